"""The stage learns, resumes exactly, caches gradients exactly, and stops cleanly."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.interrupting import press_ctrl_c
from tests.training.conftest import Problem

from dialekt.config import ModelConfig, ObjectiveName, Precision, TrainingConfig
from dialekt.errors import ConfigError, InputError
from dialekt.models.contract import read_contract
from dialekt.models.encoder import Encoder
from dialekt.models.fitting import CHECKPOINT_FILES, last_checkpoint
from dialekt.store.tables import write_records
from dialekt.training import stage
from dialekt.training.batches import Piece, collate
from dialekt.training.derive import Machine, derive_recipe
from dialekt.training.examples import build_examples
from dialekt.training.objective import Objective
from dialekt.training.preparing import prepare_model
from dialekt.training.records import EncodeFunction, GeneralGuard, TrainingInputs
from dialekt.training.trainer import RankingStep
from dialekt.types import HardNegative, Pair, Progress, Retriever, Role, TeacherScore

Build = Callable[..., TrainingInputs]
CONFIG = TrainingConfig(
    epochs=10, batch_size=20, learning_rate=5e-3, evaluations=3, precision=Precision.FP32, patience=9
)


def weights_of(folder: Path, tiny_model: Path) -> dict[str, torch.Tensor]:
    """The weights of a saved model."""
    encoder = Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)
    return dict(encoder.model.state_dict())


def test_it_learns_and_writes_a_whole_model(training_inputs: Build, tmp_path: Path) -> None:
    """Training lifts the dev score, the folder loads with its contract, and nothing else is left behind."""
    out = tmp_path / "out"
    out.mkdir()
    facts = stage.run(CONFIG, training_inputs(), out)
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1
    assert sorted(path.name for path in out.iterdir()) == ["interpolation.json", "model"]
    assert not (out / "model" / "README.md").exists()
    assert read_contract(out / "model").matryoshka_dimensions[0] == read_contract(out / "model").dimension
    assert [point.dev_ndcg for point in facts.curve if point.dev_ndcg is not None]
    assert json.dumps(asdict(facts))
    assert "queries_per_document" in facts.derived


def test_the_saved_model_scores_what_the_facts_say(training_inputs: Build, tmp_path: Path) -> None:
    """The mixture that was chosen is the mixture that was saved."""
    inputs = training_inputs()
    facts = stage.run(CONFIG, inputs, tmp_path)
    encoder = Encoder.load(str(tmp_path / "model"), ModelConfig(device="cpu"), precision=Precision.FP32)
    assert inputs.score_dev(encoder.encode) == pytest.approx(facts.best_dev_ndcg)
    assert facts.best_dev_ndcg == max(mixture.dev_ndcg for mixture in facts.mixtures)


def test_a_resumed_run_equals_an_uninterrupted_one(training_inputs: Build, tiny_model: Path, tmp_path: Path) -> None:
    """A run stopped after a dev score and started again ends with the same weights."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    inputs = training_inputs()
    stage.run(CONFIG, inputs, whole)

    def stop_at_ten(progress: Progress) -> None:
        if progress.label == "training" and progress.done == 12:
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        stage.run(CONFIG, inputs, parts, progress=stop_at_ten)
    facts = stage.run(CONFIG, inputs, parts)
    assert facts.resumed
    expected, found = weights_of(whole / "model", tiny_model), weights_of(parts / "model", tiny_model)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_a_stop_while_mixing_repeats_no_training(training_inputs: Build, tmp_path: Path) -> None:
    """Stopped between training and the choice of the mixture, the next run only chooses."""

    def stop_at_mixing(progress: Progress) -> None:
        if progress.label == "mixing base and tuned weights":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.run(CONFIG, training_inputs(), tmp_path, progress=stop_at_mixing)
    labels: list[str] = []
    facts = stage.run(CONFIG, training_inputs(), tmp_path, progress=lambda progress: labels.append(progress.label))
    assert "training" not in labels
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1
    assert {"fitted.json", "fitted.safetensors", "checkpoints"}.isdisjoint(path.name for path in tmp_path.iterdir())


def test_half_a_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    """A kill while a checkpoint is written or removed leaves one that is passed over for the one before."""
    for step in (3, 6, 9):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in CHECKPOINT_FILES:
            (folder / name).write_text("{}")
    (tmp_path / "checkpoint-9" / "trainer_state.json").write_text('{"global_st')
    (tmp_path / "checkpoint-6" / "optimizer.pt").unlink()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-3"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_document_tokens": 512}, "reads at most 64 tokens"),
        ({"remine_every": 0.5, "hard_negatives": 0}, "uses none"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(
    training_inputs: Build, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """A limit beyond the model's, or re-mining without negatives, is an error and not a silent no."""
    with pytest.raises(ConfigError, match=message):
        stage.run(CONFIG.model_copy(update=changes), training_inputs(), tmp_path)


def test_gradient_caching_gives_the_same_gradients(problem: Problem, tiny_model: Path) -> None:
    """Piece by piece, a step has the loss and the gradients of the whole step, up to rounding."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    prepare_model(encoder)
    examples = build_examples(
        problem.documents, problem.queries, problem.pairs, problem.negatives, tokenise=encoder.token_ids
    )
    machine = Machine("cpu", Precision.FP32, 1 << 34)
    gradients, losses = [], []
    for budget in (100_000, 24):
        config = TrainingConfig(mini_batch_tokens=budget)
        recipe = derive_recipe(config, examples, machine=machine, max_tokens=64, hidden_numbers=64)
        step = RankingStep(encoder.model, objective=Objective((32, 16), 0.05), recipe=recipe)
        rows = np.arange(30, dtype=np.int32)
        batch = collate(examples, rows, hard_negatives=1, piece=Piece(32, budget), pad_id=0, seed=1)
        encoder.model.train()
        encoder.model.zero_grad()
        if step.is_too_large(batch):
            losses.append(step.backward_cached(batch, lambda loss: loss.backward()))  # type: ignore[no-untyped-call]
        else:
            losses.append(step(batch))
            losses[-1].backward()  # type: ignore[no-untyped-call]
        gradients.append(
            {name: value.grad.clone() for name, value in step.named_parameters() if value.grad is not None}
        )
    torch.testing.assert_close(losses[1], losses[0].detach())
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-3, atol=1e-5, msg=name)


def test_bf16_learns_as_well(training_inputs: Build, tmp_path: Path) -> None:
    """bf16 matrix products with fp32 weights reach the fp32 score within a few queries."""
    facts = stage.run(CONFIG.model_copy(update={"precision": Precision.BF16}), training_inputs(), tmp_path)
    assert facts.precision == "bf16"
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1


def test_a_useless_tuning_is_mixed_away(training_inputs: Build, tmp_path: Path) -> None:
    """When dev prefers the base, the saved model is the base, and the facts warn."""
    base = Encoder.load(training_inputs().model.base, training_inputs().model, precision=Precision.FP32)
    reference = base.encode(["where is the pump"], Role.QUERY)

    def closeness(encode: EncodeFunction) -> float:
        return float((encode(["where is the pump"], Role.QUERY) @ reference.T)[0, 0])

    facts = stage.run(CONFIG, training_inputs(score_dev=closeness), tmp_path)
    assert facts.interpolation == 0.0
    assert any("equals the base" in warning for warning in facts.warnings)
    tuned = Encoder.load(str(tmp_path / "model"), ModelConfig(device="cpu"), precision=Precision.FP32)
    np.testing.assert_allclose(tuned.encode(["where is the pump"], Role.QUERY), reference, atol=1e-6)


def test_made_dev_queries_allow_half_of_the_tuned_weights(training_inputs: Build, tmp_path: Path) -> None:
    """Where dev queries are made like the training queries, the mixture stops at half, unless the user says more."""
    facts = stage.run(CONFIG, training_inputs(made_dev_queries=True), tmp_path / "half")
    assert facts.mixtures[-1].dev_ndcg >= facts.best_dev_ndcg
    assert facts.interpolation <= 0.5
    assert "forgotten" in facts.derived["max_tuned_share"].why
    whole = CONFIG.model_copy(update={"max_tuned_share": 1.0})
    facts = stage.run(whole, training_inputs(made_dev_queries=True), tmp_path / "whole")
    assert facts.interpolation > 0.5
    assert "max_tuned_share" not in facts.derived


@pytest.mark.parametrize("kind", [ObjectiveName.LISTWISE, ObjectiveName.MARGIN_MSE])
def test_a_teachers_scores_are_learned(
    kind: ObjectiveName, training_inputs: Build, problem: Problem, tmp_path: Path
) -> None:
    """From scores alone, without the contrastive loss, the student learns what the teacher prefers, right or wrong."""
    wrong_documents = [[item.document_id for item in problem.negatives if item.query_id == f"q{i}"] for i in range(20)]

    def beats_its_negatives(encode: EncodeFunction) -> float:
        queries = encode([query.text for query in problem.queries[:20]], Role.QUERY)
        documents = encode([document.content for document in problem.documents], Role.DOCUMENT)
        cosines = queries @ documents.T  # (queries, documents)
        return float(
            np.mean([cosines[i, i] > max(cosines[i, int(name[1:])] for name in wrong_documents[i]) for i in range(20)])
        )

    dev = {}
    for name, right in (("right", 8.0), ("wrong", -8.0)):
        folder = tmp_path / name
        (folder / "teacher").mkdir(parents=True)
        scores = [TeacherScore(pair.query_id, pair.document_id, right) for pair in problem.pairs]
        scores += [TeacherScore(item.query_id, item.document_id, -right) for item in problem.negatives]
        write_records(folder / "teacher/scores.parquet", scores, TeacherScore)
        config = CONFIG.model_copy(update={"objectives": {kind: 1.0}, "hard_negatives": 3, "interpolate": False})
        inputs = training_inputs(teacher=folder / "teacher", score_dev=beats_its_negatives)
        facts = stage.run(config, inputs, folder / "out")
        assert facts.teacher_scores == len(scores)
        assert "towards the teacher inside" in facts.loss
        dev[name] = next(point.dev_ndcg for point in reversed(facts.curve) if point.dev_ndcg is not None)
    assert dev["right"] > 0.8
    assert dev["wrong"] < 0.2


def test_remined_negatives_are_used(training_inputs: Build, tmp_path: Path) -> None:
    """Re-mining is called with the model under training, after every given part of an epoch but the last."""
    calls: list[int] = []

    def remine(encode: EncodeFunction) -> list[HardNegative]:
        calls.append(len(encode(["the pump"], Role.DOCUMENT)))
        return [HardNegative(f"q{i}", f"d{(i + 7) % 20}", 1, 0.2, 0.5, Retriever.DENSE) for i in range(60)]

    config = CONFIG.model_copy(update={"remine_every": 1.0, "epochs": 3.0})
    stage.run(config, training_inputs(remine=remine), tmp_path)
    assert calls == [1] * 2


def test_a_time_limit_shortens_the_plan(training_inputs: Build, tmp_path: Path) -> None:
    """With next to no time there is one step, and the reason is recorded."""
    facts = stage.run(CONFIG.model_copy(update={"time_limit_minutes": 1e-6}), training_inputs(), tmp_path)
    assert facts.steps == 1
    assert "minutes of training" in facts.derived["steps"].why


class PlannedError(Exception):
    """Raised when the plan is made, so that nobody waits for the training."""


@pytest.mark.parametrize(("share", "least", "most"), [(0.25, 45, 58), (1.0, 30, 40)])
def test_a_time_limit_leaves_time_to_ask_every_mixture(
    share: float, least: float, most: float, training_inputs: Build, tmp_path: Path
) -> None:
    """General queries may be asked of four mixtures, or of as many as the largest share allows: that is no training."""
    inputs = training_inputs()
    timed: list[Progress] = []

    def slow(encode: EncodeFunction) -> float:
        time.sleep(0.3)
        return inputs.score_dev(encode)

    def watch(progress: Progress) -> None:
        if timed:
            raise PlannedError
        timed.extend([progress] if "timing" in progress.label else [])

    guard = GeneralGuard(score=lambda _: 0.5, texts=20 * inputs.dev_texts, base_ndcg=0.5, max_loss=0.03)
    config = CONFIG.model_copy(update={"time_limit_minutes": 1.0, "epochs": 1e4, "max_tuned_share": share})
    with pytest.raises(PlannedError):
        stage.run(config, replace(inputs, score_dev=slow, general=guard), tmp_path, progress=watch)
    start = json.loads((tmp_path / "start.json").read_text(encoding="utf-8"))
    assert least <= start["steps"] * start["seconds_per_step"] <= most


def test_no_pairs_is_an_error(training_inputs: Build, tmp_path: Path) -> None:
    """Nothing to train on is said before a model is loaded for long."""
    inputs = training_inputs()
    empty = tmp_path / "empty"
    empty.mkdir()
    write_records(empty / "pairs.parquet", [], Pair)
    with pytest.raises(InputError, match="no training pair"):
        stage.run(CONFIG, replace(inputs, pairs=empty), tmp_path)


def test_training_prints_nothing(training_inputs: Build, tmp_path: Path) -> None:
    """The library's own logs and bars stay quiet: stdout belongs to the command line."""
    inputs = training_inputs()
    program = (
        "from pathlib import Path; from dialekt.config import ModelConfig, TrainingConfig;"
        "from dialekt.training import stage; from dialekt.training.records import TrainingInputs;"
        f"a = Path({str(inputs.corpus)!r}); model = ModelConfig(base={inputs.model.base!r}, device='cpu');"
        "inputs = TrainingInputs(model, a, a, a, a, 1, lambda encode: 0.5, 1);"
        f"stage.run(TrainingConfig(epochs=1, batch_size=30), inputs, Path({str(tmp_path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
