"""Less compute: low-rank matrices, frozen parts, rows updated lazily, and a mask by a guide."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import Problem, beats_its_negatives
from torch import nn

from dialekt.config import ModelConfig, Precision, TrainingConfig, TrainingMethod
from dialekt.errors import ConfigError
from dialekt.models.encoder import Encoder
from dialekt.models.vectors import VectorsInputs, load_vectors
from dialekt.models.vectors import run as make_vectors
from dialekt.store.tables import write_records
from dialekt.training import stage
from dialekt.training.batches import Piece, collate
from dialekt.training.examples import build_examples
from dialekt.training.lazy_embedding import LazyAdamW, LazyEmbedding
from dialekt.training.lora import add_lora, merge_lora
from dialekt.training.records import TrainingInputs
from dialekt.training.tables import Space
from dialekt.types import Document, Progress, Query, Role

Build = Callable[..., TrainingInputs]
CONFIG = TrainingConfig(
    epochs=15, batch_size=20, learning_rate=1e-2, evaluations=3, precision=Precision.FP32, patience=9, interpolate=False
)
LORA = CONFIG.model_copy(update={"method": TrainingMethod.LORA, "lora_rank": 4, "learning_rate": 5e-3, "epochs": 40.0})


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a saved model."""
    encoder = Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)
    return dict(encoder.model.state_dict())


def changed(base: Path, tuned: Path) -> set[str]:
    """The names of the weights that differ."""
    before, after = weights_of(base), weights_of(tuned)
    assert before.keys() == after.keys()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


def test_lora_learns_and_leaves_a_plain_model(
    training_inputs: Build, problem: Problem, tiny_model: Path, tmp_path: Path
) -> None:
    """A fraction of the numbers is trained, dev rises, and only linear layers of the plain model differ."""
    inputs = training_inputs(score_dev=partial(beats_its_negatives, problem))
    facts = stage.run(LORA, inputs, tmp_path)
    assert facts.method == "lora"
    assert facts.trained_weights < 10_000
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1
    names = changed(tiny_model, tmp_path / "model")
    assert names
    assert all(".layer." in name and name.endswith("weight") for name in names)


def test_merged_matrices_give_the_same_vectors(tiny_model: Path) -> None:
    """Merging changes no vector, and leaves no trace in the names of the weights."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    names = [*encoder.model.state_dict()]
    transformer = encoder.model[0].auto_model
    add_lora(transformer, rank=4, seed=1)
    for name, weights in transformer.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weights, std=0.1)
    before = encoder.encode(["the pump is cold", "a red door"], Role.DOCUMENT)
    merge_lora(transformer)
    assert [*encoder.model.state_dict()] == names
    np.testing.assert_allclose(encoder.encode(["the pump is cold", "a red door"], Role.DOCUMENT), before, atol=1e-5)


def test_lora_starts_from_an_adapted_model(training_inputs: Build, tiny_model: Path, tmp_path: Path) -> None:
    """The base that the result may be mixed with is scored without the matrices, and mixes with the merged weights."""
    adapted = tmp_path / "adapted"
    stage.run(CONFIG.model_copy(update={"epochs": 1.0}), training_inputs(), adapted)
    quick = LORA.model_copy(update={"epochs": 2.0, "interpolate": True})
    facts = stage.run(quick, training_inputs(start=adapted / "model"), tmp_path / "out")
    plain = stage.run(CONFIG.model_copy(update={"epochs": 1.0}), training_inputs(), tmp_path / "plain")
    assert facts.base_dev_ndcg == plain.base_dev_ndcg
    assert weights_of(tmp_path / "out" / "model").keys() == weights_of(tiny_model).keys()


def test_a_stopped_lora_run_goes_on(training_inputs: Build, tmp_path: Path) -> None:
    """Checkpoints hold the low-rank matrices: a stopped run ends with the weights of one that was not."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    stage.run(LORA, training_inputs(), whole)

    def stop(progress: Progress) -> None:
        if progress.label == "mixing base and tuned weights" or (progress.label == "training" and progress.done == 41):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            stage.run(LORA.model_copy(update={"interpolate": True}), training_inputs(), parts, progress=stop)
    facts = stage.run(LORA, training_inputs(), parts)
    assert facts.resumed
    expected, found = weights_of(whole / "model"), weights_of(parts / "model")
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize(
    ("changes", "still"),
    [({"freeze_embeddings": True}, ("embeddings",)), ({"frozen_layers": 1}, ("embeddings", "layer.0."))],
)
def test_frozen_parts_stay(
    training_inputs: Build, tiny_model: Path, tmp_path: Path, changes: dict[str, object], still: tuple[str, ...]
) -> None:
    """Embeddings, or the lowest layers with them, are as they were; the rest learns."""
    facts = stage.run(CONFIG.model_copy(update=changes), training_inputs(), tmp_path)
    names = changed(tiny_model, tmp_path / "model")
    assert names
    assert not [name for name in names if any(part in name for part in still)]
    assert facts.best_dev_ndcg > facts.base_dev_ndcg
    assert facts.trained_weights < sum(value.numel() for value in weights_of(tiny_model).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora_rank": 8}, "lora_rank is set, but all weights are trained"),
        ({"method": TrainingMethod.LORA, "freeze_embeddings": True}, "there is nothing to freeze"),
        ({"frozen_layers": 2}, "leaves none of the model's 2 layers"),
    ],
)
def test_idle_settings_are_refused(
    training_inputs: Build, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """What would do nothing, or leave nothing to train, is an error."""
    with pytest.raises(ConfigError, match=message):
        stage.run(CONFIG.model_copy(update=changes), training_inputs(), tmp_path)


def _steps(*, lazy: bool, ids: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Train a small table on the sums of its rows; return it before and after."""
    torch.manual_seed(3)
    table = nn.Embedding(12, 4)
    before = table.weight.detach().clone()
    settings = {"lr": 0.1, "betas": (0.9, 0.999), "weight_decay": 0.01}
    module: nn.Module
    if lazy:
        module = LazyEmbedding(table).train()
        optimizer: torch.optim.Optimizer = LazyAdamW([{"params": [module.weight]}], embedding=module, **settings)
    else:
        module, optimizer = table, torch.optim.AdamW(table.parameters(), **settings)  # type: ignore[arg-type]
    for step in ids:
        tokens = torch.tensor(step)
        if isinstance(module, LazyEmbedding):
            module.open(tokens)
        module(tokens).sin().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, table.weight.detach()


def test_lazy_rows_move_as_dense_ones_do() -> None:
    """Where every step touches all rows, lazy and dense AdamW are the same."""
    ids = [[*range(12), 3, 3], [*range(12), 5]]
    torch.testing.assert_close(_steps(lazy=True, ids=ids)[1], _steps(lazy=False, ids=ids)[1])


def test_untouched_rows_stay() -> None:
    """A row that no step reads keeps its bits, also its weight decay; a dense table would have moved it."""
    before, after = _steps(lazy=True, ids=[[1, 2, 2], [2, 7]])
    moved = (before != after).any(dim=1).nonzero().flatten().tolist()
    assert moved == [1, 2, 7]


def test_a_guide_masks_what_is_too_near(problem: Problem, tiny_model: Path, tmp_path: Path) -> None:
    """A document that the base model puts nearer than a share of the positive is no negative; targets stay."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    write_records(tmp_path / "documents.parquet", problem.documents, Document)
    write_records(tmp_path / "queries.parquet", problem.queries, Query)
    make_vectors(encoder, VectorsInputs(tmp_path, tmp_path), tmp_path / "vectors")
    plain = build_examples(problem.documents, problem.queries, problem.pairs, [], tokenise=encoder.token_ids)
    space = Space.of(load_vectors(tmp_path / "vectors"), plain.query_ids, plain.document_ids)
    rows = np.arange(20, dtype=np.int32)
    settings = {"hard_negatives": 0, "piece": Piece(32, 9_999), "pad_id": 0, "seed": 1}
    loose, strict = (
        collate(replace(plain, guide=space), rows, mask_above=share, **settings)  # type: ignore[arg-type]
        for share in (1.0, 0.8)
    )
    cosines = space.cosines(plain.pair_query[rows], np.arange(20, dtype=np.int32))
    positives = cosines[rows, loose.targets]
    expected = cosines > (positives - 0.2 * np.abs(positives))[:, None]
    expected[rows, strict.targets] = False
    np.testing.assert_array_equal(strict.masked.numpy(), expected)
    assert loose.masked.sum() < strict.masked.sum() < 20 * 19
    assert not strict.masked[torch.arange(20), strict.targets].any()
