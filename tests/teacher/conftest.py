"""A small teaching problem over a tiny real model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.config import ModelConfig, TeacherConfig
from dialekt.store.tables import write_records
from dialekt.teacher.records import ScorePairs, TeacherFacts, TeacherInputs
from dialekt.teacher.stage import run
from dialekt.types import DevComparison, Document, HardNegative, Pair, Qrel, Query, Retriever, Split

WORDS = ("cat", "dog", "bird", "fish", "tree", "flower", "river", "mountain", "city", "road")
ENDINGS = ("", " one", " two", " three", " red", " green", " blue")
LEARNING = TeacherConfig(model="trained", epochs=100, learning_rate=3e-3, max_tokens=32)


@dataclass(frozen=True)
class Problem:
    """A query's word stands in its document: easy to see for who reads both together."""

    documents: list[Document]
    queries: list[Query]
    pairs: list[Pair]
    negatives: list[HardNegative]


@dataclass(frozen=True)
class Taught:
    """A finished stage: its folder and its facts."""

    out: Path
    facts: TeacherFacts


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Seventy queries over ten documents; the queries with the last ending are for dev."""
    documents = [
        Document(f"d{i}", f"all about the {word} {word}", parent_id=f"d{i}", duplicate_of=f"d{i}")
        for i, word in enumerate(WORDS)
    ]
    every = [(word, ending) for ending in ENDINGS for word in range(len(WORDS))]
    queries = [
        Query(f"q{word}{ending}", f"{WORDS[word]}{ending}", Split.DEV if ending == ENDINGS[-1] else Split.TRAIN)
        for word, ending in every
    ]
    trained = [(word, ending) for word, ending in every if ending != ENDINGS[-1]]
    pairs = [Pair(f"q{word}{ending}", f"d{word}") for word, ending in trained]
    negatives = [
        HardNegative(f"q{word}{ending}", f"d{(word + shift) % len(WORDS)}", shift, 0.4, 0.6, Retriever.DENSE)
        for word, ending in trained
        for shift in (1, 2, 3)
    ]
    return Problem(documents, queries, pairs, negatives)


@pytest.fixture
def inputs(problem: Problem, tiny_model: Path, tmp_path: Path) -> TeacherInputs:
    """The problem as inputs of the stage."""
    return write_inputs(problem, tiny_model, tmp_path / "artefacts")


@pytest.fixture(scope="session")
def taught(problem: Problem, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A teacher that was trained here, with what it did."""
    home = tmp_path_factory.mktemp("taught")
    out = home / "out"
    out.mkdir()
    return Taught(out, run(LEARNING, write_inputs(problem, tiny_model, home / "artefacts"), out))


def write_inputs(problem: Problem, base: Path, folder: Path) -> TeacherInputs:
    """Write the problem's artefacts and return the inputs of the stage."""
    folder.mkdir(exist_ok=True)
    qrels = [Qrel(pair.query_id, pair.document_id) for pair in problem.pairs]
    write_records(folder / "documents.parquet", problem.documents, Document)
    write_records(folder / "queries.parquet", problem.queries, Query)
    write_records(folder / "pairs.parquet", problem.pairs, Pair)
    write_records(folder / "qrels.parquet", qrels, Qrel)
    write_records(folder / "negatives.parquet", problem.negatives, HardNegative)
    return TeacherInputs(
        model=ModelConfig(base=str(base), device="cpu"),
        corpus=folder,
        examples=folder,
        negatives=folder,
        compare=compare_with(problem, student=0.2),
        seed=5,
    )


def compare_with(problem: Problem, *, student: float) -> Callable[[ScorePairs], DevComparison]:
    """Return a comparison with a student of this score: how often a teacher puts the right document first."""

    def compare(score: ScorePairs) -> DevComparison:
        queries = [query.text for query in problem.queries if query.split is Split.DEV]
        documents = [document.content for document in problem.documents]
        pairs: NDArray[np.int64] = np.indices((len(queries), len(documents))).reshape(2, -1).T
        scores = score(queries, documents, pairs).reshape(len(queries), len(documents))
        teacher = float(np.mean(scores.argmax(axis=1) == np.arange(len(queries))))
        gain = teacher - student
        return DevComparison(student, teacher, gain, gain - 0.1, gain + 0.1, len(queries))

    return compare
