"""What the load generator is told, and what it measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

OK = 200


class Protocol(StrEnum):
    """Whose API a server speaks."""

    TEI = "tei"
    OPENAI = "openai"


class Failure(IntEnum):
    """Why a request has no HTTP status; kept where a status would be."""

    REFUSED = -1
    CLOSED = -2
    TIMEOUT = -3
    MALFORMED = -4


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the route that takes texts.

    `path` is the route's path; `metrics_path` is empty where the server shows no metrics. `batch_tokens` is the most
    tokens the server puts into one batch, None where it does not say. `name` is what the server calls its model.
    """

    url: str
    host: str
    port: int
    secure: bool
    protocol: Protocol
    path: str
    metrics_path: str = ""
    name: str = ""
    batch_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """When requests are sent.

    Without `rate_per_second` the loop is closed: `connections` clients, each sending when its answer has come. With it
    the loop is open: requests come at random times (Poisson), whatever the server does, over at most `connections`.
    `requests` ends the measurement earlier than `seconds`.
    """

    connections: int
    seconds: float
    warmup_seconds: float = 0.0
    rate_per_second: float | None = None
    requests: int | None = None
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, for those who look into it: `row` is the request's place in the plan."""

    row: int
    status: int
    headers: Mapping[str, str]
    body: bytes


Inspect = Callable[[Answer], str]
"""Returns what is wrong with an answer, or nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole load: where to, what, and when. `requests` are the bytes as they are sent, taken in turns."""

    target: Target
    requests: tuple[bytes, ...]
    texts_per_request: int
    pace: Pace
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Every request that ended after the start of the measurement, in seconds since then, and what came.

    `intended` is when a request was to be sent (below 0: during the warm-up), `finished` when its answer was whole;
    `status` is HTTP's or a `Failure`, `tokens` as the server counted them or -1. `unsent` requests were due in an open
    loop but found every connection taken until the end. `busy_share` is the generator's own use of a core, `stopped`
    says that it was asked to end early.
    """

    seconds: float
    intended: NDArray[np.float64]
    finished: NDArray[np.float64]
    status: NDArray[np.int16]
    tokens: NDArray[np.int64]
    unsent: int
    busy_share: float
    stopped: bool = False
    examples: Mapping[int, str] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchFill:
    """How full the server's batches were: means over the batches of the measurement."""

    batches: int
    texts: float
    tokens: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Latency:
    """Of answered requests, in milliseconds, counted from the time at which they were to be sent."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What one load found. Rates count what was answered with 200 within the measured time."""

    seconds: float
    requests: int
    answered: int
    requests_per_second: float
    texts_per_second: float
    tokens_per_second: float | None
    latency_ms: Latency | None
    failures: Mapping[str, int]
    unsent: int
    busy_share: float
    batch_fill: BatchFill | None = None
    examples: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The first server's value over the second's: geometric mean over rounds, with its 95% interval."""

    name: str
    value: float
    low: float | None
    high: float | None
    rounds: tuple[float, ...]
