"""What the planner is asked, what it rests on, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dialekt.config import IndexEngine, Quantization


class Basis(StrEnum):
    """Where a figure comes from."""

    MEASURED = "measured"
    COUNTED = "counted"
    GIVEN = "given"
    ASSUMED = "assumed"
    UNKNOWN = "not measured here"


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with what is known of its range: None where nothing is, or where the value itself is unknown.

    `how` says in a few words how it was made, and names the model where it was extrapolated.
    """

    value: float | None
    low: float | None
    high: float | None
    basis: Basis
    how: str


def unknown(how: str) -> Figure:
    """Return the figure of something that nobody has measured."""
    return Figure(None, None, None, Basis.UNKNOWN, how)


def counted(value: float, how: str) -> Figure:
    """Return the figure of something that follows from a layout in bytes."""
    return Figure(value, value, value, Basis.COUNTED, how)


@dataclass(frozen=True, slots=True)
class Input:
    """A number that the plan rests on. `option` is what sets it, empty where nothing does."""

    name: str
    value: float
    basis: Basis
    how: str
    option: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is to be planned for.

    `units` are what is embedded and stored: documents, or their chunks. `latency_seconds` is what 95 of 100 searches
    must stay below. `memory_bytes` is what the index may take on one machine. `embedding_machines` embed at once.
    `allowed_loss` is a share of full search's quality; `price` is of a machine for an hour, None where it is not asked.
    """

    documents: int
    units: int
    tokens_per_unit: float
    queries_per_second: float
    latency_seconds: float
    changed_per_day: int
    embedding_machines: int
    memory_bytes: int
    allowed_loss: float
    price: float | None = None


@dataclass(frozen=True, slots=True)
class RowShape:
    """What an index keeps of a unit beside its vector, as means: bytes of its ids, its tags, and their bytes."""

    id_bytes: float = 16.0
    document_bytes: float = 16.0
    tags: float = 0.0
    tag_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Partitions:
    """How LanceDB divides its rows: the index room's own constants, and the share of partitions that a search reads."""

    least_rows: int
    rows_each: int
    fewest: int
    fewest_read: int
    read_share: float = 0.75

    def read_rows(self, rows: int) -> float:
        """Return how many rows a search compares with: those of the partitions that it reads, or all."""
        if rows < self.least_rows:
            return float(rows)
        partitions = max(self.fewest, rows // self.rows_each)
        read = min(partitions, max(self.fewest_read, -(-partitions * self.read_share // 1)))
        return rows * read / partitions


@dataclass(frozen=True, slots=True)
class Layout:
    """What one choice stores: full vectors of `dimension`, and what a search compares first.

    Without a first stage `searched` is the dimension and `quantization` is `none`: then the engine decides what it
    searches, LanceDB eight-bit codes for example.
    """

    engine: IndexEngine
    dimension: int
    searched: int
    quantization: Quantization
    first_stage: bool

    @property
    def name(self) -> str:
        """How tables call it: `full vectors`, `128 int8`."""
        if not self.first_stage:
            return "full vectors"
        return f"{self.searched} {'float32' if self.quantization is Quantization.NONE else self.quantization.value}"


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes per unit. `memory` is what searches read all the time, `building` what a build takes beside for a while."""

    vectors: float
    codes: float
    rest: float
    memory: float
    building: float

    @property
    def disk(self) -> float:
        """All that stays on disk or in the server."""
        return self.vectors + self.codes + self.rest


@dataclass(frozen=True, slots=True)
class Loss:
    """What a choice loses of full search's quality, as a share of it, with where that was measured."""

    value: float
    low: float
    high: float
    origin: str


@dataclass(frozen=True, slots=True)
class Serving:
    """How many machines answer the queries: `parts` hold the index together, and there are `copies` of each.

    More than one part is a model: no engine here divides an index over machines by itself.
    """

    parts: int
    copies: int

    @property
    def machines(self) -> int:
        """All of them."""
        return self.parts * self.copies


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of dimensions and quantisation, planned through.

    `machines` answer the queries; `parts` is how many an index must be divided over, 1 where one machine holds it.
    """

    layout: Layout
    loss: Figure
    disk: Figure
    vectors: Figure
    codes: Figure
    building: Figure
    memory: Figure
    search_seconds: Figure
    machines: Figure
    parts: int
    price_per_month: Figure | None


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work that is done once, or every day: on one machine, on `machines` of them, and what it costs."""

    name: str
    seconds: Figure
    machines: int
    seconds_on_all: Figure
    price: Figure | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer. `recommended` is None where no choice is known to do."""

    workload: Workload
    inputs: tuple[Input, ...]
    originals: Figure
    work: tuple[Work, ...]
    choices: tuple[Choice, ...]
    recommended: Choice | None
    reason: str
    changes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    machine: Mapping[str, str] = field(default_factory=dict)
