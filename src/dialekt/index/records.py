"""What travels inside the index room: rows and what is found, versions, releases, switches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine, Quantization
from dialekt.types import Role

Embed = Callable[[Sequence[str], Role], NDArray[np.float32]]
"""Texts and their side of the contract → float32 (texts, dimension), rows of length 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Units (documents or chunks) of an index, column by column.

    `document_ids` name the whole document of each unit, `hashes` are of the encoded text, `tags` are the metadata as
    `filters.tags_of` makes them, `spaces` say which model made the vector. `vectors` is float32 (rows, dimension),
    L2-normalised, or (rows, 0) where vectors were not asked for.
    """

    ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    hashes: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    spaces: tuple[str, ...]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: Sequence[int]) -> "Rows":
        """Return some of the rows, in the order of the places."""
        columns = (self.ids, self.document_ids, self.hashes, self.tags, self.spaces)
        ids, documents, hashes, tags, spaces = (tuple(column[place] for place in places) for column in columns)
        return Rows(ids, documents, hashes, tags, spaces, self.vectors[list(places)])  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The best units of one query, best first. `scores` is float32 (units,): cosines of the full vectors."""

    ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    spaces: tuple[str, ...]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FirstStage:
    """Short vectors that are searched first: the first `dimensions` components, scaled to length 1, quantised."""

    dimensions: int
    quantization: Quantization

    @property
    def bytes_per_vector(self) -> float:
        """Memory of one vector's code, without what an index adds."""
        match self.quantization:
            case Quantization.NONE:
                return self.dimensions * 4
            case Quantization.INT8:
                return self.dimensions
            case Quantization.BINARY:
                return self.dimensions / 8


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an index version is made of. `url` is never stored: it may hold a password."""

    engine: IndexEngine
    dimension: int
    first_stage: FirstStage | None = None


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How hard a search tries. `effort` is one of `VectorEngine.efforts`; 0 is the engine's default.

    `oversampling` is the number of first-stage candidates per result; without a first stage it has no meaning.
    `exact` compares the query with every vector instead.
    """

    effort: int = 0
    oversampling: float = 4.0
    exact: bool = False


@dataclass(frozen=True, slots=True)
class EngineSize:
    """Bytes of an index version: all of it on disk or in the server, and what the first search reads."""

    disk_bytes: int
    first_stage_bytes: int


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a set of rows adds up to, whatever their order: equal for equal sets of (id, hash, tags)."""

    rows: int
    total: int


class State(StrEnum):
    """How far an index version or a release has come."""

    BUILDING = "building"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """A set of vectors of all documents. `position` is the last change of the log that it holds."""

    name: str
    space: str
    spec: EngineSpec
    state: State
    created: str
    position: int


@dataclass(frozen=True, slots=True)
class Release:
    """What goes live as one: a model for queries, the vectors it is to search, and how.

    `model` is a registry version's name, or `base`; `model_id` the hash of its content. `facts` are what the checks
    before the switch measured.
    """

    name: str
    index: str
    model: str
    model_id: str
    settings: SearchSettings
    state: State
    created: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class SwitchKind(StrEnum):
    """Which way the live release changed."""

    CUT_OVER = "cut-over"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Switch:
    """One line of the history of what was live. `overridden` lists failed checks that the user overruled."""

    at: str
    kind: SwitchKind
    release: str
    previous: str
    reason: str = ""
    overridden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves the index: what it answers from, and what it could answer from at once."""

    name: str
    release: str
    prepared: str
    seen: float
