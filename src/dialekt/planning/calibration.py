"""What was measured on this machine, as it is kept for the next plan: frozen records in, JSON out, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dialekt.config import IndexEngine, Quantization
from dialekt.planning.growth import Growth, Observation, fit
from dialekt.planning.records import Layout
from dialekt.types import Interval

FORMAT = 1


@dataclass(frozen=True, slots=True)
class EncodingSpeed:
    """How fast this machine embeds. Intervals are the median and the range of several rounds.

    `documents` is in tokens per second, in bulk; `query` in seconds of the whole machine per query, in full batches as
    the server makes them; `query_alone` in seconds of one query by itself, which no batch fills up.
    """

    measured_at: str
    device: str
    precision: str
    cores: int
    memory_bytes: int
    model_bytes: int
    documents: Interval
    document_tokens: float
    query: Interval
    query_alone: Interval
    query_tokens: float
    serving_engine: str


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """One search of one size: seconds by itself, and seconds of the whole machine per query with every core busy.

    `read_rows` is how many rows the search compared with; all of them in exact search.
    """

    first_stage: bool
    dimensions: int
    quantization: Quantization
    rows: int
    read_rows: float
    alone: Interval
    service: Interval


@dataclass(frozen=True, slots=True)
class SearchSpeed:
    """How fast an engine is filled (rows per second, its indexes made) and searched on this machine."""

    measured_at: str
    engine: IndexEngine
    oversampling: float
    load: Interval
    trials: tuple[SearchTrial, ...]

    @property
    def largest(self) -> int:
        """The most rows that were measured."""
        return max(trial.rows for trial in self.trials)

    @property
    def scatter(self) -> float:
        """The largest share by which rounds of one trial differ."""
        both = [one for trial in self.trials for one in (trial.alone, trial.service)]
        return max(one.high / one.low - 1 for one in both)

    def alone(self, layout: Layout) -> Growth:
        """Return how the time of one search by itself grows."""
        return fit([Observation(one.read_rows, one.dimensions, one.alone) for one in self._of(layout)])

    def service(self, layout: Layout) -> Growth:
        """Return how the machine's time per search grows when it has many to answer."""
        return fit([Observation(one.read_rows, one.dimensions, one.service) for one in self._of(layout)])

    def _of(self, layout: Layout) -> list[SearchTrial]:
        kind = layout.quantization if layout.first_stage else Quantization.NONE
        wanted = (layout.first_stage, kind)
        return [trial for trial in self.trials if (trial.first_stage, trial.quantization) == wanted]


def to_json(key: str, speed: EncodingSpeed | SearchSpeed) -> str:
    """Return a measurement under its key as the text of a file."""
    return json.dumps({"format": FORMAT, "key": key, **asdict(speed)}, indent=2) + "\n"


def encoding_from_json(text: str, key: str) -> EncodingSpeed | None:
    """Return what was measured of a model; None for another key, another format, or a damaged file."""
    values = _values(text, key)
    try:
        return EncodingSpeed(**values | _intervals(values, "documents", "query", "query_alone")) if values else None
    except (KeyError, TypeError):
        return None


def search_from_json(text: str, key: str) -> SearchSpeed | None:
    """Return what was measured of an engine; None for another key, another format, or a damaged file."""
    values = _values(text, key)
    if not values:
        return None
    try:
        trials = tuple(
            SearchTrial(
                **one | _intervals(one, "alone", "service") | {"quantization": Quantization(one["quantization"])}
            )
            for one in values["trials"]
        )
        kind = IndexEngine(values["engine"])
        return SearchSpeed(**values | _intervals(values, "load") | {"trials": trials, "engine": kind})
    except (KeyError, TypeError, ValueError):
        return None


def _values(text: str, key: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(values, dict) or (values.pop("format", None), values.pop("key", None)) != (FORMAT, key):
        return {}
    return values


def _intervals(values: Mapping[str, Any], *names: str) -> dict[str, Interval]:
    return {name: Interval(**values[name]) for name in names}
