"""The engines that the congruence suite runs over, and rows to put into them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine, Quantization
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSpec, FirstStage, Found, Rows, SearchSettings

DIMENSION = 8

HeldRow = tuple[str, str, tuple[str, ...], str, tuple[float, ...]]
"""Document, hash, sorted tags, space, vector."""

SPACE = "space-a"
DEFAULT = SearchSettings()
EXACT = SearchSettings(exact=True)


@dataclass(frozen=True)
class EngineCase:
    """An engine as the suite sees it: `url` of its server, whether several handles may be open at a time.

    `first_stages` are those that the recall of two stages is measured with.
    """

    engine: IndexEngine
    url: str | None = None
    several: bool = True
    first_stages: tuple[FirstStage, ...] = (
        FirstStage(128, Quantization.INT8),
        FirstStage(384, Quantization.BINARY),
        FirstStage(128, Quantization.NONE),
    )

    def spec(self, *, dimension: int = DIMENSION, first_stage: FirstStage | None = None) -> EngineSpec:
        """Return the spec of a version."""
        return EngineSpec(self.engine, dimension, first_stage)

    def open(self, home: Path, *, dimension: int = DIMENSION, first_stage: FirstStage | None = None) -> VectorEngine:
        """Open the version that belongs to a test's folder; the same folder gives the same rows."""
        spec = self.spec(dimension=dimension, first_stage=first_stage)
        return open_engine(spec, name=version_name(home), folder=home / "version", url=self.url)


FILE_ENGINES = {
    "exact": EngineCase(IndexEngine.EXACT),
    "lancedb": EngineCase(IndexEngine.LANCEDB),
    "qdrant": EngineCase(
        IndexEngine.QDRANT, several=False, first_stages=(FirstStage(128, Quantization.INT8),)
    ),  # local mode filters in Python, slowly
}
SERVER_ENGINES = {
    "qdrant-rest": EngineCase(IndexEngine.QDRANT, first_stages=(FirstStage(384, Quantization.BINARY),)),
    "pgvector": EngineCase(
        IndexEngine.PGVECTOR,
        first_stages=(FirstStage(128, Quantization.NONE), FirstStage(384, Quantization.BINARY)),
    ),
}


def version_name(home: Path) -> str:
    """Return a name that no other test's folder gives: server engines name their tables by it."""
    return "v" + hashlib.blake2b(str(home).encode(), digest_size=6).hexdigest()


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the vectors with length 1."""
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=-1, keepdims=True), dtype=np.float32)


def clustered(count: int, dimension: int, *, seed: int, clusters: int = 60) -> NDArray[np.float32]:
    """Return vectors around the same cluster centres for every seed, strongest in their first components.

    As in a Matryoshka model, the first components alone tell most vectors apart.
    """
    weights = np.linspace(1.0, 0.1, dimension) ** 1.5
    centres = np.random.default_rng(11).normal(size=(clusters, dimension))
    draw = np.random.default_rng(seed)
    noise = draw.normal(size=(count, dimension))
    return unit((centres[draw.integers(0, clusters, count)] + 0.8 * noise) * weights)


def rows_of(vectors: NDArray[np.float32], *, prefix: str = "d", first: int = 0, space: str = SPACE) -> Rows:
    """Return rows with numbered ids and tags: a language, one of 50 years, and a tag of their own."""
    numbers = range(first, first + len(vectors))
    return Rows(
        ids=tuple(f"{prefix}{number}" for number in numbers),
        document_ids=tuple(f"whole-{prefix}{number // 2}" for number in numbers),
        hashes=tuple(f"hash-{number}" for number in numbers),
        tags=tuple(tags_of_number(number) for number in numbers),
        spaces=(space,) * len(vectors),
        vectors=vectors,
    )


def tags_of_number(number: int) -> tuple[str, ...]:
    """Return the tags of a numbered row."""
    return (f"lang={'de' if number % 3 == 0 else 'en'}", f"n={number}", f"year={number % 50}")


def exact_answers(
    rows: Rows, queries: NDArray[np.float32], limit: int, *, where: Filter | None = None
) -> list[list[tuple[str, float]]]:
    """Return the true best ids and cosines of every query, in float64."""
    passing = [place for place, tags in enumerate(rows.tags) if where is None or where.matches(tags)]
    vectors = rows.vectors[passing].astype(np.float64)
    answers = []
    for query in queries.astype(np.float64):
        scores = vectors @ query
        order = np.argsort(-scores, kind="stable")[:limit]
        answers.append([(rows.ids[passing[place]], float(scores[place])) for place in order])
    return answers


def recall(found: Sequence[Found], truth: Sequence[Sequence[tuple[str, float]]]) -> float:
    """Return the mean share of the true best that was found."""
    shares = [
        len(set(one.ids) & {unit_id for unit_id, _ in best}) / len(best) for one, best in zip(found, truth, strict=True)
    ]
    return float(np.mean(shares))


def contents(engine: VectorEngine) -> dict[str, HeldRow]:
    """Return all that an engine holds by id; raise where an id is there twice."""
    held: dict[str, HeldRow] = {}
    for part in engine.scan(vectors=True):
        columns = zip(part.ids, part.document_ids, part.hashes, part.tags, part.spaces, part.vectors, strict=True)
        for unit_id, document, content, tags, space, vector in columns:
            assert unit_id not in held, f"{unit_id} is there twice"
            held[unit_id] = (document, content, tuple(sorted(tags)), space, tuple(map(float, vector)))
    return held


def contents_of(rows: Rows) -> dict[str, HeldRow]:
    """Return rows as `contents` gives them."""
    columns = zip(rows.ids, rows.document_ids, rows.hashes, rows.tags, rows.spaces, rows.vectors, strict=True)
    return {
        unit_id: (document, content, tuple(sorted(tags)), space, tuple(map(float, vector)))
        for unit_id, document, content, tags, space, vector in columns
    }
