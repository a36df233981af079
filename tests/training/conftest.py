"""A small training problem over a tiny real model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dialekt.config import ModelConfig
from dialekt.store.tables import write_records
from dialekt.training.records import EncodeFunction, TrainingInputs
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Retriever, Role

WORDS = (
    *("cat", "dog", "bird", "fish", "tree", "flower", "river", "mountain", "city", "road"),
    *("train", "plane", "car", "bus", "bike", "house", "garden", "school", "book", "music"),
)


@dataclass(frozen=True)
class Problem:
    """Each query word belongs to the document of another word: only training can connect them."""

    documents: list[Document]
    queries: list[Query]
    pairs: list[Pair]
    negatives: list[HardNegative]


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Sixty queries over twenty documents."""
    documents = [
        Document(f"d{i}", f"everything about the {WORDS[i - 7]} in the city", parent_id=f"d{i}", duplicate_of=f"d{i}")
        for i in range(len(WORDS))
    ]
    endings = ["", *(f" {number}" for number in "12")]
    queries = [Query(f"q{i}", f"where is the {WORDS[i % len(WORDS)]}{endings[i // len(WORDS)]}") for i in range(60)]
    pairs = [Pair(f"q{i}", f"d{i % len(WORDS)}") for i in range(60)]
    negatives = [
        HardNegative(f"q{i}", f"d{(i + 1 + shift) % len(WORDS)}", shift + 1, 0.4, 0.6, Retriever.DENSE)
        for i in range(60)
        for shift in range(3)
    ]
    return Problem(documents, queries, pairs, negatives)


def beats_its_negatives(problem: Problem, encode: EncodeFunction) -> float:
    """Return the share of queries whose answer is nearer than each of their hard negatives."""
    queries = encode([query.text for query in problem.queries[:20]], Role.QUERY)
    cosines = queries @ encode([document.content for document in problem.documents], Role.DOCUMENT).T
    wrong = [[int(one.document_id[1:]) for one in problem.negatives if one.query_id == f"q{row}"] for row in range(20)]
    return float(np.mean([cosines[row, row] > max(cosines[row, wrong[row]]) for row in range(20)]))


@pytest.fixture
def training_inputs(problem: Problem, tiny_model: Path, tmp_path: Path) -> Callable[..., TrainingInputs]:
    """A function that writes the problem's artefacts and returns the inputs of the stage."""

    def score(encode: EncodeFunction) -> float:
        queries = encode([query.text for query in problem.queries[:20]], Role.QUERY)
        documents = encode([document.content for document in problem.documents], Role.DOCUMENT)
        return float(np.mean((queries @ documents.T).argmax(axis=1) == np.arange(20)))

    def build(**changes: object) -> TrainingInputs:
        folder = tmp_path / "artefacts"
        folder.mkdir(exist_ok=True)
        write_records(folder / "documents.parquet", problem.documents, Document)
        write_records(folder / "queries.parquet", problem.queries, Query)
        write_records(folder / "pairs.parquet", problem.pairs, Pair)
        qrels = [Qrel(pair.query_id, pair.document_id) for pair in problem.pairs]
        write_records(folder / "qrels.parquet", qrels, Qrel)
        write_records(folder / "negatives.parquet", problem.negatives, HardNegative)
        values = {
            "model": ModelConfig(base=str(tiny_model), device="cpu"),
            "corpus": folder, "split": folder, "pairs": folder, "negatives": folder,
            "seed": 5, "score_dev": score, "dev_texts": 40,
        }  # fmt: skip
        return TrainingInputs(**(values | changes))  # type: ignore[arg-type]

    return build
