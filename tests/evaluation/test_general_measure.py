"""General scores: the metrics' own NDCG@10, compared query by query, with a limit."""

import json
from pathlib import Path

import numpy as np
import pytest

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.general.measure import GeneralScores, general_facts, read_set, score, score_base
from dialekt.evaluation.general.records import GeneralMaterial
from dialekt.evaluation.general.sets import write_set
from dialekt.measures.metrics import judge, score_run
from dialekt.measures.runs import Run
from dialekt.models.topk import top_k
from dialekt.types import Document, Qrel, Query, Split

QUERIES, DOCUMENTS, DIMENSION = 40, 90, 8
SETTINGS = Settings(confidence=0.95, resamples=2_000, seed=13)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A general artefact: forty queries with two graded answers each, and random vectors."""
    generator = np.random.default_rng(5)
    queries = [
        Query(f"q{number}", f"query {number}", Split.DEV if number % 2 else Split.TEST) for number in range(QUERIES)
    ]
    documents = [Document(f"d{number}", f"text {number}") for number in range(DOCUMENTS)]
    qrels = [
        Qrel(f"q{number}", f"d{number * 2 + place}", grade)
        for number in range(QUERIES)
        for place, grade in enumerate((1.0, 3.0))
    ]
    write_set(GeneralMaterial(documents, queries, qrels), tmp_path)
    for name, plural, ids in (
        ("document", "documents", [item.id for item in documents]),
        ("query", "queries", [item.id for item in queries]),
    ):
        rows = generator.normal(size=(len(ids), DIMENSION)).astype(np.float32)
        np.save(tmp_path / f"{plural}.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
        (tmp_path / f"{name}_ids.json").write_text(json.dumps(ids))
    return tmp_path


def test_scores_are_those_of_the_metrics(folder: Path) -> None:
    """NDCG@10 equals that of ir-measures on the same ranking and graded judgments."""
    general = read_set(folder)
    top = top_k(general.base_queries, general.base_documents, 10)
    run = Run(
        tuple(f"q{number}" for number in range(QUERIES)),
        tuple(f"d{number}" for number in range(DOCUMENTS)),
        top.indices,
        top.scores,
    )
    qrels = [
        Qrel(f"q{number}", f"d{number * 2 + place}", grade)
        for number in range(QUERIES)
        for place, grade in enumerate((1.0, 3.0))
    ]
    expected = score_run(run, judge(qrels, minimum_grade=1.0))["NDCG@10"]
    np.testing.assert_allclose(score_base(general), expected, atol=1e-9)
    assert expected.max() > 0


def test_queries_of_one_split(folder: Path) -> None:
    """Those that choose and those that measure are scored apart, as if the others were not there."""
    whole = score_base(read_set(folder))
    choosing, measuring = (read_set(folder, split=split) for split in (Split.DEV, Split.TEST))
    np.testing.assert_array_equal(score_base(choosing), whole[1::2])
    np.testing.assert_array_equal(score_base(measuring), whole[0::2])
    assert choosing.texts == QUERIES // 2 + DOCUMENTS
    assert measuring.query_texts[:2] == ("query 0", "query 2")


def test_other_vectors_give_other_scores(folder: Path) -> None:
    """A model that puts every query on its answer ranks perfectly but for the second answer."""
    general = read_set(folder)
    best = general.base_documents[1 : QUERIES * 2 : 2]
    assert score(general, best, general.base_documents).mean() > score_base(general).mean() + 0.5


@pytest.mark.parametrize(("loss", "passed"), [(0.05, False), (0.02, True), (-0.05, True)])
def test_a_limit_on_the_mean_loss(loss: float, passed: bool) -> None:
    """A mean loss above the limit does not pass; less does, and so does a gain."""
    base = np.linspace(0.2, 0.8, 100)
    scores = GeneralScores("builtin", documents=1_000, base=base, tuned=base - loss)
    facts = general_facts(scores, SETTINGS, limit=0.03)
    assert facts.passed is passed
    assert facts.comparison.difference == pytest.approx(-loss)
    assert (facts.name, facts.queries, facts.documents, facts.limit) == ("builtin", 100, 1_000, 0.03)
    assert facts.base.low < facts.base.value < facts.base.high
    assert facts.tuned.value == pytest.approx(0.5 - loss)


@pytest.mark.parametrize(("queries", "chance", "passed"), [(20, True, True), (120, True, False), (20, False, False)])
def test_chance_refuses_nothing(queries: int, chance: bool, passed: bool) -> None:
    """On few queries an unproven mean loss above the limit passes; on many it does not, and a proven one never does."""
    generator = np.random.default_rng(3)
    base = np.full(queries, 0.5)
    noise = generator.permutation(np.linspace(-0.4, 0.4, queries)) if chance else 0.0
    scores = GeneralScores("builtin", documents=1_000, base=base, tuned=base - 0.04 + noise)
    facts = general_facts(scores, SETTINGS, limit=0.03)
    assert facts.comparison.difference == pytest.approx(-0.04)
    assert (facts.comparison.high > 0) is chance
    assert facts.passed is passed
