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
    """Return the number in a text's second word: "topic7" → 7."""
    return int(text.split()[1].removeprefix("topic"))


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale rows to length 1."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Forty topics with three documents each; one query per topic: 16 for training, 12 dev, 12 test.

    Every third query shares no rare word with its documents, so BM25 misses it. Document "t/2" of each topic has two
    chunks.
    """
    documents = []
    for topic in range(TOPICS):
        for number in range(2):
            text = f"about topic{topic} word{topic} fact{number} of the rotor"
            documents.append(Document(f"{topic}/{number}", text, parent_id=f"{topic}/{number}"))
        for chunk in range(2):
            text = f"long topic{topic} chunk{chunk} of the stator"
            documents.append(Document(f"{topic}/2#{chunk}", text, parent_id=f"{topic}/2"))
    splits = [Split.TRAIN] * 16 + [Split.DEV] * 12 + [Split.TEST] * 12
    queries = [
        Query(f"q{topic}", f"what topic{topic if topic % 3 else TOPICS - 1} is" if topic % 3 else f"what topic{topic}", split)
        for topic, split in enumerate(splits)
    ]
    qrels = [Qrel(f"q{topic}", f"{topic}/{number}") for topic in range(TOPICS) for number in (0, 2)]
    pairs = [Pair(f"q{topic}", f"{topic}/0") for topic in range(16)]
    negatives = [
        HardNegative(f"q{topic}", f"{(topic + 1) % 16}/1", 1, 0.5, 0.9, Retriever.DENSE) for topic in range(16)
    ]
    documents = [replace(document, duplicate_of=document.id) for document in documents]
    return World(
        tmp_path, tuple(documents), tuple(queries), tuple(qrels), tuple(pairs), tuple(negatives)
    ).write()
