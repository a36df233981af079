"""Adapters are learnt on frozen vectors, and lose nothing when stopped."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.training.conftest import Problem

from dialekt.config import AdapterConfig, AdapterKind, ModelConfig, ObjectiveName, Precision, TrainingConfig, TunedSide
from dialekt.errors import InputError
from dialekt.models.adapter_folder import Maps, read_maps, save_adapter
from dialekt.models.base import describe_model
from dialekt.models.contract import read_contract
from dialekt.models.encoder import Encoder
from dialekt.models.vectors import VectorsInputs, load_vectors
from dialekt.models.vectors import run as encode_all
from dialekt.store.tables import write_records
from dialekt.training import adapting
from dialekt.training.adapting import AdaptingInputs
from dialekt.training.adapting_batches import VectorSource, pairs_of_step
from dialekt.training.examples import build_examples
from dialekt.training.records import EncodeFunction, GeneralGuard, TrainingInputs
from dialekt.types import Pair, Progress, Role, TeacherScore

Build = Callable[..., TrainingInputs]
CONFIG = TrainingConfig(epochs=100, batch_size=60, learning_rate=0.03, evaluations=5, patience=9)
PLAIN = AdapterConfig(strengths=(0.0,))


@dataclass(frozen=True)
class Bench:
    """The inputs of the stage, and what a finished one ranks right of the training queries."""

    inputs: AdaptingInputs
    vectors: Path
    problem: Problem

    def right(self, folder: Path, *, dimension: int = 32) -> float:
        """Return the share of queries whose own document comes first, with vectors cut."""
        maps, loaded = read_maps(folder / "model"), load_vectors(self.vectors)
        documents = np.asarray(loaded.document_vectors)
        documents = maps.documents.apply(documents) if maps.documents else documents
        queries = maps.queries.apply(np.asarray(loaded.query_vectors))
        return hits(queries[:, :dimension], documents[:, :dimension])


def hits(queries: NDArray[np.float32], documents: NDArray[np.float32]) -> float:
    """Return the share of the first twenty queries that find their document first, by cosine."""
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries[:20], documents)]
    return float(np.mean((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(20)))


@pytest.fixture
def bench(problem: Problem, training_inputs: Build, tiny_model: Path, tmp_path: Path) -> Bench:
    """The small problem with the tiny model's vectors of all its texts."""
    return make_bench(problem, training_inputs(), tiny_model, tmp_path)


def make_bench(problem: Problem, inputs: TrainingInputs, tiny_model: Path, folder: Path) -> Bench:
    """Encode everything once, and save what is learnt behind the tiny model."""
    vectors = folder / "vectors"
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    if not vectors.is_dir():
        encode_all(encoder, VectorsInputs(inputs.corpus, inputs.split), vectors)
    contract = replace(read_contract(tiny_model), matryoshka_dimensions=(32, 4))

    def save(maps: Maps, out: Path) -> None:
        save_adapter(out, maps, contract, tiny_model, documents_id=describe_model(str(tiny_model)))

    given = AdaptingInputs(inputs, contract, vectors, encoder.encode, frozenset(), save)
    return Bench(given, vectors, problem)


@pytest.mark.parametrize("kind", AdapterKind)
@pytest.mark.parametrize("side", TunedSide)
def test_maps_connect_what_the_base_model_cannot(
    bench: Bench, tmp_path: Path, kind: AdapterKind, side: TunedSide
) -> None:
    """Every kind, on both sides and on queries alone; short prefixes of the vectors learn, too."""
    adapter = AdapterConfig(kind=kind, strengths=(0.0,))
    facts = adapting.run(CONFIG.model_copy(update={"side": side}), adapter, bench.inputs, tmp_path / "out")
    assert facts.base_dev_ndcg < 0.3
    assert facts.best_dev_ndcg > 0.6
    assert bench.right(tmp_path / "out") == pytest.approx(facts.best_dev_ndcg)
    assert bench.right(tmp_path / "out", dimension=4) > 0.2
    assert facts.side == side
    assert (read_maps(tmp_path / "out" / "model").documents is None) is (side is TunedSide.QUERY)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["interpolation.json", "model"]


def test_prefixes_learn_because_the_loss_asks_them(bench: Bench, tmp_path: Path) -> None:
    """Trained at the full dimension alone, the first four numbers rank worse."""
    nested = replace(bench.inputs, contract=replace(bench.inputs.contract, matryoshka_dimensions=(32,)))
    for name, inputs in (("nested", bench.inputs), ("full", nested)):
        adapting.run(CONFIG, PLAIN, inputs, tmp_path / name)
    assert bench.right(tmp_path / "nested", dimension=4) > bench.right(tmp_path / "full", dimension=4) + 0.1


def test_one_map_for_both_sides(bench: Bench, tmp_path: Path) -> None:
    """A shared map is one; it learns less than two here, but it learns."""
    facts = adapting.run(CONFIG, AdapterConfig(shared=True, strengths=(0.0,)), bench.inputs, tmp_path / "out")
    maps = read_maps(tmp_path / "out" / "model")
    assert maps.documents is maps.queries
    assert facts.best_dev_ndcg > facts.base_dev_ndcg


def test_rate_and_strength_are_chosen_on_dev(bench: Bench, tmp_path: Path) -> None:
    """Of two strengths, one of which allows no change at all, the one that helps is taken, and that is recorded."""
    adapter = AdapterConfig(strengths=(0.0, 1e4))
    facts = adapting.run(CONFIG.model_copy(update={"learning_rate": None}), adapter, bench.inputs, tmp_path / "out")
    assert facts.derived["adapter.strength"].value == 0.0
    assert facts.derived["learning_rate"].value == facts.learning_rate
    assert facts.best_dev_ndcg > 0.6


def test_a_strength_holds_vectors_where_they_were(bench: Bench, tmp_path: Path) -> None:
    """The stronger, the nearer the map is to none."""
    config, moved = CONFIG.model_copy(update={"interpolate": False}), []
    for strength in (0.0, 1.0, 100.0):
        out = tmp_path / f"{strength}"
        adapting.run(config, AdapterConfig(strengths=(strength,)), bench.inputs, out)
        moved.append(float(np.abs(read_maps(out / "model").queries.weights["matrix"] - np.eye(32)).max()))
    assert moved[0] > moved[1] > moved[2]


@pytest.mark.parametrize("label", ["trying 2 of 2", "training"])
def test_a_stopped_training_goes_on_and_ends_the_same(bench: Bench, tmp_path: Path, label: str) -> None:
    """Stopped in a trial or in the training itself, the next run ends with the same weights and tries nothing twice."""
    adapter, seen = AdapterConfig(strengths=(0.0, 0.1)), []

    def stop(step: Progress) -> None:
        if step.label == label and step.done == (step.total or 0) - 1:
            raise KeyboardInterrupt

    whole = adapting.run(CONFIG, adapter, bench.inputs, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        adapting.run(CONFIG, adapter, bench.inputs, tmp_path / "part", progress=stop)
    facts = adapting.run(
        CONFIG, adapter, bench.inputs, tmp_path / "part", progress=lambda step: seen.append(step.label)
    )
    assert facts.resumed is (label == "training")
    assert "trying 1 of 2" not in seen
    assert (facts.best_step, facts.best_dev_ndcg) == (whole.best_step, whole.best_dev_ndcg)
    first, second = (read_maps(tmp_path / name / "model").queries.weights["matrix"] for name in ("whole", "part"))
    np.testing.assert_array_equal(first, second)


def test_a_limit_of_time_shortens_the_training(bench: Bench, tmp_path: Path) -> None:
    """The speed is measured in the trials; what was cut off is recorded."""
    config = CONFIG.model_copy(update={"time_limit_minutes": 0.001, "epochs": 4_000.0})
    facts = adapting.run(config, PLAIN, bench.inputs, tmp_path / "out")
    assert facts.steps < 4_000
    assert facts.derived["steps"].value == facts.steps


def test_general_queries_refuse_a_share_that_forgets(bench: Bench, tmp_path: Path) -> None:
    """Where everything but the untouched vectors loses the general world, the untouched vectors are the result."""

    def score(encode: EncodeFunction) -> float:
        vectors = encode(["the garden pump"], Role.QUERY)
        return float(np.allclose(vectors, bench.inputs.encode(["the garden pump"], Role.QUERY), atol=1e-4))

    guard = GeneralGuard(score=score, texts=1, base_ndcg=1.0, max_loss=0.1)
    inputs = replace(bench.inputs, training=replace(bench.inputs.training, general=guard))
    facts = adapting.run(CONFIG, PLAIN, inputs, tmp_path / "out")
    assert facts.interpolation == 0.0
    assert "on general queries" in facts.warnings[0]
    np.testing.assert_array_equal(read_maps(tmp_path / "out" / "model").queries.weights["matrix"], np.eye(32))


@pytest.mark.parametrize("kind", [ObjectiveName.LISTWISE, ObjectiveName.MARGIN_MSE])
def test_a_teachers_scores_are_learnt(bench: Bench, tmp_path: Path, kind: ObjectiveName) -> None:
    """With pairs that all point to the wrong document and a teacher that knows, the teacher wins."""
    problem, teacher = bench.problem, tmp_path / "teacher"
    scores = [
        TeacherScore(query.id, document.id, 8.0 if place == row % 20 else -4.0)
        for row, query in enumerate(problem.queries)
        for place, document in enumerate(problem.documents)
    ]
    teacher.mkdir()
    write_records(teacher / "scores.parquet", scores, TeacherScore)
    wrong = [Pair(f"q{row}", f"d{(row + 3) % 20}") for row in range(60)]
    write_records(bench.inputs.training.pairs / "pairs.parquet", wrong, Pair)
    config = CONFIG.model_copy(update={"objectives": {kind: 1.0}})
    inputs = replace(bench.inputs, training=replace(bench.inputs.training, teacher=teacher))
    facts = adapting.run(config, PLAIN, inputs, tmp_path / "out")
    assert facts.teacher_scores == len(scores)
    assert facts.best_dev_ndcg > 0.6
    assert "towards the teacher inside" in facts.loss


def test_a_step_holds_positives_hard_and_random_negatives(problem: Problem, bench: Bench) -> None:
    """Each document once; answers of a query masked, barred documents drawn by nobody, weights of pairs kept."""
    examples = build_examples(
        problem.documents,
        problem.queries,
        [*problem.pairs, Pair("q0", "d5", weight=0.25)],
        problem.negatives,
        tokenise=lambda texts, _: [[]] * len(texts),
        keep_all_documents=True,
    )
    barred = frozenset(f"d{number}" for number in range(10, 20))
    source = VectorSource.of(examples, load_vectors(bench.vectors), barred=barred, mask_above=None)
    pairs = np.array([0, 60])
    batch = source.batch(pairs, hard_negatives=2, negatives=50, generator=np.random.default_rng(1))
    ids = [
        examples.document_ids[int(np.argmax(source.document_vectors @ vector.numpy()))] for vector in batch.documents
    ]
    assert len(set(ids)) == len(ids)
    assert set(ids) >= {f"d{number}" for number in range(10)}
    assert not barred & set(ids) - {negative.document_id for negative in problem.negatives}
    assert batch.known.weights.tolist() == [1.0, 0.25]
    rows, columns = torch.nonzero(batch.known.masked, as_tuple=True)
    assert [(int(row), ids[int(column)]) for row, column in zip(rows, columns, strict=True)] == [(0, "d5"), (1, "d0")]


def test_every_epoch_goes_once_through_all_pairs() -> None:
    """In another order each time, the same for the same seed."""
    epochs = [
        np.concatenate([pairs_of_step(25, 3 * epoch + step, batch_size=10, seed=1) for step in range(3)])
        for epoch in range(2)
    ]
    assert [sorted(epoch.tolist()) for epoch in epochs] == [list(range(25))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    np.testing.assert_array_equal(pairs_of_step(25, 4, batch_size=10, seed=1), epochs[1][10:20])


def test_nothing_to_learn_from_is_said(bench: Bench, tmp_path: Path) -> None:
    """Without a pair there is no training."""
    write_records(bench.inputs.training.pairs / "pairs.parquet", [], Pair)
    with pytest.raises(InputError, match="no training pair"):
        adapting.run(CONFIG, PLAIN, bench.inputs, tmp_path / "out")
