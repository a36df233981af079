"""Every objective equals its reference, learns by itself, and is refused where its data are missing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CoSENTLoss,
    CosineSimilarityLoss,
    MultipleNegativesRankingLoss,
)
from tests.training.conftest import Problem, beats_its_negatives
from torch import Tensor

from dialekt.config import ModelConfig, ObjectiveName, Precision, TrainingConfig
from dialekt.errors import ConfigError
from dialekt.models.encoder import Encoder
from dialekt.models.vectors import VectorsInputs
from dialekt.models.vectors import run as make_vectors
from dialekt.store.tables import read_records, write_records
from dialekt.training import stage
from dialekt.training.losses.distillation import embedding_loss
from dialekt.training.losses.ranking import symmetric_loss, triplet_loss
from dialekt.training.losses.scored import cosent_loss, cosine_loss
from dialekt.training.losses.table import OBJECTIVES, Needs
from dialekt.training.records import TrainingInputs
from dialekt.types import Pair, PairSource, Qrel, Role, TeacherScore

Build = Callable[..., TrainingInputs]
CONFIG = TrainingConfig(
    epochs=20, batch_size=20, learning_rate=1e-2, evaluations=2, precision=Precision.FP32, patience=9, interpolate=False
)


@pytest.fixture
def vectors() -> tuple[Tensor, Tensor]:
    """Five queries and five documents."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(5, 16, generator=generator), torch.randn(5, 16, generator=generator)


@pytest.fixture
def library(tiny_model: Path) -> SentenceTransformer:
    """A model for the library's losses to hold."""
    return SentenceTransformer(str(tiny_model), device="cpu")


PLAIN = {"targets": torch.arange(5), "masked": torch.zeros(5, 5, dtype=torch.bool), "weights": torch.ones(5)}


def test_symmetric_is_the_librarys(vectors: tuple[Tensor, Tensor], library: SentenceTransformer) -> None:
    """Without a mask it is sentence-transformers' MultipleNegativesRankingLoss in both directions."""
    directions = ("query_to_doc", "doc_to_query")
    expected = MultipleNegativesRankingLoss(library, scale=20.0, directions=directions, partition_mode="per_direction")
    ours = symmetric_loss(*vectors, temperature=0.05, **PLAIN)
    torch.testing.assert_close(ours, expected.compute_loss_from_embeddings([*vectors], None))


def test_symmetric_takes_no_other_query_of_a_document_for_a_stranger(vectors: tuple[Tensor, Tensor]) -> None:
    """Two queries of one document are no negatives of each other, as if each stood there without the other."""
    queries, documents = vectors
    shared = dict(PLAIN, targets=torch.tensor([0, 0, 1, 2, 3]))
    alone = [torch.tensor(rows) for rows in ([0, 2, 3, 4], [1, 2, 3, 4])]
    logits = torch.nn.functional.normalize(queries, dim=1) @ torch.nn.functional.normalize(documents, dim=1).T / 0.1
    columns = [logits[rows][:, 0].log_softmax(dim=0)[0] for rows in alone]
    forward = torch.nn.functional.cross_entropy(logits, shared["targets"])
    others = [logits[:, column].log_softmax(dim=0)[row] for row, column in ((2, 1), (3, 2), (4, 3))]
    expected = (forward - torch.stack([*columns, *others]).mean()) / 2
    torch.testing.assert_close(symmetric_loss(queries, documents, temperature=0.1, **shared), expected)


def test_cosine_and_cosent_are_the_librarys(vectors: tuple[Tensor, Tensor], library: SentenceTransformer) -> None:
    """Over one graded document per query they are the library's losses for scored pairs."""
    grades = torch.full((5, 5), torch.nan)
    labels = torch.tensor([1.0, 0.0, 0.5, 0.25, 1.0])
    grades[torch.arange(5), torch.arange(5)] = labels
    expected = CosineSimilarityLoss(library).compute_loss_from_embeddings([*vectors], labels)
    torch.testing.assert_close(cosine_loss(*vectors, grades=grades, weights=torch.ones(5)), expected)
    expected = CoSENTLoss(library, scale=20.0).compute_loss_from_embeddings([*vectors], labels)
    torch.testing.assert_close(cosent_loss(*vectors, grades=grades, temperature=0.05), expected)


def test_triplets_count_where_the_margin_is_violated(vectors: tuple[Tensor, Tensor]) -> None:
    """By hand: the mean over violating negatives of each query, none of which is masked."""
    queries, documents = vectors
    cosines = torch.nn.functional.normalize(queries, dim=1) @ torch.nn.functional.normalize(documents, dim=1).T
    masked = PLAIN["masked"].clone()
    masked[0, 1] = True
    negatives = [[other for other in range(5) if (row, other) not in {(0, 1), (row, row)}] for row in range(5)]
    means = []
    for row, others in enumerate(negatives):
        gaps = [float(cosines[row, other] - cosines[row, row] + 0.3) for other in others]
        active = [gap for gap in gaps if gap > 0]
        means.append(sum(active) / len(active) if active else 0.0)
    found = triplet_loss(queries, documents, margin=0.3, **dict(PLAIN, masked=masked))
    assert float(found) == pytest.approx(np.mean(means), rel=1e-5)


def test_another_models_cosines_are_the_optimum(vectors: tuple[Tensor, Tensor]) -> None:
    """The loss towards a model's cosines is zero for that model, and larger for every other."""
    queries, documents = vectors
    cosines = torch.nn.functional.normalize(queries, dim=1) @ torch.nn.functional.normalize(documents, dim=1).T
    loss = partial(embedding_loss, wanted=cosines, weights=torch.ones(5), temperature=0.1)
    assert float(loss(queries, documents)) == pytest.approx(0.0, abs=1e-6)
    assert float(loss(queries.flip(0), documents)) > 0.1


def _prepare(inputs: TrainingInputs, name: ObjectiveName, problem: Problem, tiny_model: Path) -> TrainingInputs:
    """Give an objective what it needs: a teacher's scores, or the vectors of a model that knows the answers."""
    match OBJECTIVES[name].needs:
        case Needs.TEACHER:
            scores = [TeacherScore(pair.query_id, pair.document_id, 8.0) for pair in problem.pairs]
            scores += [TeacherScore(item.query_id, item.document_id, -8.0) for item in problem.negatives]
            write_records(inputs.corpus / "scores.parquet", scores, TeacherScore)
            return replace(inputs, teacher=inputs.corpus)
        case Needs.EMBEDDINGS:
            folder = inputs.corpus / "knowing"
            folder.mkdir()
            taught = stage.run(CONFIG.model_copy(update={"objectives": None}), inputs, folder)
            assert taught.best_dev_ndcg > 0.5
            encoder = Encoder.load(str(folder / "model"), ModelConfig(device="cpu"), precision=Precision.FP32)
            make_vectors(encoder, VectorsInputs(inputs.corpus, inputs.split), folder / "vectors")
            return replace(inputs, wanted_vectors=folder / "vectors")
        case Needs.GRADES:
            return replace(inputs, score_dev=partial(beats_its_negatives, problem))
        case Needs.NOTHING:
            return inputs


@pytest.mark.parametrize("name", ObjectiveName)
def test_every_objective_learns_alone(
    name: ObjectiveName, training_inputs: Build, problem: Problem, tiny_model: Path, tmp_path: Path
) -> None:
    """Alone and inside Matryoshka each lifts the dev score; hard negatives count as grade 0."""
    inputs = _prepare(training_inputs(), name, problem, tiny_model)
    config = CONFIG.model_copy(
        update={"objectives": {name: 1.0}, "hard_negatives": 3, "distil_from": "x" if inputs.wanted_vectors else None}
    )
    facts = stage.run(config, inputs, tmp_path / "out")
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1
    assert facts.loss == f"{OBJECTIVES[name].title} inside Matryoshka [32]"


def test_sources_have_objectives_of_their_own(training_inputs: Build, problem: Problem, tmp_path: Path) -> None:
    """Several datasets with several objectives in one run: the facts say which share each has, and it learns."""
    inputs = training_inputs()
    pairs = [
        replace(pair, source=PairSource.LOGS if row % 2 else PairSource.QRELS) for row, pair in enumerate(problem.pairs)
    ]
    write_records(inputs.pairs / "pairs.parquet", pairs, Pair)
    config = CONFIG.model_copy(
        update={
            "objectives": {ObjectiveName.RANKING: 1.0, ObjectiveName.COSENT: 0.5},
            "objective_sources": {ObjectiveName.RANKING: (PairSource.QRELS,), ObjectiveName.COSENT: (PairSource.LOGS,)},
        }
    )
    facts = stage.run(config, inputs, tmp_path / "out")
    assert "ranking (67% of qrels) and CoSENT on grades (33% of logs)" in facts.loss
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1


def test_a_judged_grade_orders_documents(training_inputs: Build, problem: Problem, tmp_path: Path) -> None:
    """What was judged low is drawn beside the negatives, and CoSENT puts it between the answer and the rest."""
    inputs = training_inputs()
    pairs = [replace(pair, grade=2.0) for pair in problem.pairs]
    middle = [Qrel(pair.query_id, f"d{(int(pair.document_id[1:]) + 9) % 20}", 1.0) for pair in problem.pairs]
    write_records(inputs.pairs / "pairs.parquet", pairs, Pair)
    write_records(
        inputs.split / "qrels.parquet", [*middle, *(Qrel(p.query_id, p.document_id, 2.0) for p in pairs)], Qrel
    )
    config = CONFIG.model_copy(update={"objectives": {ObjectiveName.COSENT: 1.0}, "hard_negatives": 4})
    stage.run(config, inputs, tmp_path / "out")
    encoder = Encoder.load(str(tmp_path / "out" / "model"), ModelConfig(device="cpu"), precision=Precision.FP32)
    queries = encoder.encode([query.text for query in problem.queries[:20]], Role.QUERY)
    cosines = queries @ encoder.encode([one.content for one in problem.documents], Role.DOCUMENT).T
    rows = np.arange(20)
    best, middling, negatives = (cosines[rows, (rows + shift) % 20].mean() for shift in (0, 9, 2))
    assert best > middling > negatives


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": {ObjectiveName.LISTWISE: 1.0}}, "'listwise', but there is nothing"),
        ({"objectives": {ObjectiveName.EMBEDDING: 1.0}}, "'embedding', but there is nothing"),
        ({"objectives": {ObjectiveName.RANKING: 1.0}, "distil_from": "x"}, "distil_from is set"),
        ({"objective_sources": {ObjectiveName.COSENT: (PairSource.LOGS,)}}, "names 'cosent', which is not minimised"),
        ({"objective_sources": {ObjectiveName.RANKING: (PairSource.LOGS,)}}, "there is no pair of logs for 'ranking'"),
        ({"objectives": {ObjectiveName.COSENT: 1.0}, "remine_every": 1.0}, "an objective learns from grades"),
    ],
)
def test_objectives_without_data_are_refused(
    training_inputs: Build, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """An objective that could learn nothing, and a setting that nothing reads, are errors."""
    with pytest.raises(ConfigError, match=message):
        stage.run(CONFIG.model_copy(update=changes), training_inputs(), tmp_path)


def test_grades_without_difference_are_refused(training_inputs: Build, problem: Problem, tmp_path: Path) -> None:
    """One grade and no negative orders nothing."""
    inputs = training_inputs()
    write_records(inputs.negatives / "negatives.parquet", [], type(problem.negatives[0]))
    assert read_records(inputs.pairs / "pairs.parquet", Pair)
    with pytest.raises(ConfigError, match="'cosent', but there is nothing"):
        stage.run(CONFIG.model_copy(update={"objectives": {ObjectiveName.COSENT: 1.0}}), inputs, tmp_path)


def test_objectives_are_joined_by_plus() -> None:
    """Where a setting is one word, as in a recipe, several objectives are one too."""
    config = TrainingConfig.model_validate({"objectives": "ranking+cosent"})
    assert config.objectives == {ObjectiveName.RANKING: 1.0, ObjectiveName.COSENT: 1.0}


@pytest.mark.parametrize("given", ["cosent", ["cosent"], {"cosent": 1.0}])
def test_objectives_are_named_as_is_convenient(given: object) -> None:
    """A name, a list of names and a table of weights are read alike."""
    config = TrainingConfig.model_validate({"objectives": given})
    assert config.objectives == {ObjectiveName.COSENT: 1.0}
