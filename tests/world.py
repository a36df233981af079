"""A small world on disk: a corpus, a split, pairs, negatives and vectors, as the stages before would leave them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.store.tables import write_records
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Retriever, Split

TOPICS = 40
DIMENSION = 16


@dataclass(frozen=True)
class World:
    """Folders of the artefacts, and the records in them."""

    root: Path
    documents: tuple[Document, ...]
    queries: tuple[Query, ...]
    qrels: tuple[Qrel, ...]
    pairs: tuple[Pair, ...]
    negatives: tuple[HardNegative, ...]

    def folder(self, name: str) -> Path:
        """Return an artefact's folder."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self) -> "World":
        """Write every table."""
        write_records(self.folder("corpus") / "documents.parquet", self.documents, Document)
        write_records(self.folder("split") / "queries.parquet", self.queries, Query)
        write_records(self.folder("split") / "qrels.parquet", self.qrels, Qrel)
        write_records(self.folder("pairs") / "pairs.parquet", self.pairs, Pair)
        write_records(self.folder("negatives") / "negatives.parquet", self.negatives, HardNegative)
        return self

    def write_vectors(self, name: str, *, noise: float, seed: int = 3) -> Path:
        """Write vectors in which texts of one topic point the same way, but for noise."""
        generator = np.random.default_rng(seed)
        topics = np.random.default_rng(0).normal(size=(TOPICS, DIMENSION))
        sides: tuple[tuple[str, str, Sequence[Document | Query]], ...] = (
            ("document", "documents", self.documents),
            ("query", "queries", self.queries),
        )
        for singular, plural, items in sides:
            rows = topics[[topic_of(item.text) for item in items]]
            vectors = unit(rows + noise * generator.normal(size=rows.shape))
            np.save(self.folder(name) / f"{plural}.npy", vectors)
            (self.folder(name) / f"{singular}_ids.json").write_text(json.dumps([item.id for item in items]))
        return self.folder(name)

    def changed(self, **changes: object) -> "World":
        """Return the world with other records, written."""
        return replace(self, **changes).write()  # type: ignore[arg-type]


def topic_of(text: str) -> int:
    """Return the number in a text's second word: 7 for "which topic7" and for "about 7 word7"."""
    return int(text.split()[1].removeprefix("topic"))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / lengths).astype(np.float32)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Forty topics with three documents each, one query per topic: 12 test, 12 dev and 16 for training.

    Documents 0 and 2 of its topic answer a query; document 2 has two chunks. The queries of every third topic share
    no word with their documents, so that BM25 finds nothing for them.
    """
    splits = [Split.TEST] * 12 + [Split.DEV] * 12 + [Split.TRAIN] * 16
    documents = [document for topic in range(TOPICS) for document in documents_of(topic)]
    queries = [
        Query(f"q{topic}", f"which topic{topic}" if topic % 3 == 0 else f"which topic{topic} word{topic}", split)
        for topic, split in enumerate(splits)
    ]
    qrels = [Qrel(f"q{topic}", f"{topic}/{number}") for topic in range(TOPICS) for number in (0, 2)]
    trained = range(24, TOPICS)
    pairs = [Pair(f"q{topic}", f"{topic}/0") for topic in trained]
    negatives = [
        HardNegative(f"q{topic}", f"{topic}/1", rank=1, score=0.5, positive_score=0.9, retriever=Retriever.DENSE)
        for topic in trained
    ]
    records = (documents, queries, qrels, pairs, negatives)
    return World(tmp_path, *map(tuple, records)).write()  # type: ignore[arg-type]


def documents_of(topic: int) -> list[Document]:
    """Return the four units of a topic: two documents, and one document in two chunks."""
    whole = [
        Document(f"{topic}/{number}", f"about {topic} word{topic} fact{number} rotor", parent_id=f"{topic}/{number}")
        for number in range(2)
    ]
    chunks = [
        Document(f"{topic}/2#{chunk}", f"about {topic} word{topic} chunk{chunk} stator", parent_id=f"{topic}/2")
        for chunk in range(2)
    ]
    return [replace(document, duplicate_of=document.id) for document in (*whole, *chunks)]
