"""The server's metrics: TEI's names and buckets, and `dialekt_*` for what TEI has no word for.

An observation costs under a microsecond, where prometheus_client's histogram costs three; that library also appends
`_total` to counters, which TEI does not. It still gives the metrics of the process.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from threading import Lock
from typing import Protocol

from dialekt.models.engines.records import ModelKind
from dialekt.serving.records import Outcome

_SECONDS = tuple(1e-5 * 1.5**step for step in range(1, 36))
_INPUT_TOKENS = tuple(float(1 << bits) for bits in range(20))
_BATCH_INPUTS = tuple(float(1 << bits) for bits in range(13))
_BATCH_TOKENS = tuple(float(1 << bits) for bits in range(21))


class Instrument(Protocol):
    """Something that is counted or measured."""

    def lines(self) -> Iterable[str]:
        """Return what Prometheus reads, line by line."""


class Counter:
    """A number that grows; one per value of its label, if it has one."""

    def __init__(self, name: str, description: str, label: str = ""):
        self._name, self._description, self._label = name, description, label
        self._values: dict[str, float] = {} if label else {"": 0.0}
        self._lock = Lock()

    def add(self, amount: float = 1, *, label: str = "") -> None:
        """Add an amount."""
        with self._lock:
            self._values[label] = self._values.get(label, 0.0) + amount

    def lines(self) -> Iterable[str]:
        """Return what Prometheus reads, line by line."""
        yield from _head(self._name, self._description, "counter")
        for value, number in sorted(self._values.copy().items()):
            labels = f'{{{self._label}="{value}"}}' if self._label else ""
            yield f"{self._name}{labels} {number!r}"


class Gauge:
    """A number that rises and falls."""

    def __init__(self, name: str, description: str):
        self._name, self._description = name, description
        self.value = 0.0

    def lines(self) -> Iterable[str]:
        """Return what Prometheus reads, line by line."""
        yield from _head(self._name, self._description, "gauge")
        yield f"{self._name} {self.value!r}"


class Histogram:
    """How often a number fell into which range; `bounds` are the ranges' upper ends, included."""

    def __init__(self, name: str, description: str, bounds: Sequence[float]):
        self._name, self._description, self._bounds = name, description, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = Lock()

    def observe(self, number: float, times: int = 1) -> None:
        """Count a number, or the mean of several as often as there are."""
        place = bisect_left(self._bounds, number)
        with self._lock:
            self._counts[place] += times
            self._sum += number * times

    def lines(self) -> Iterable[str]:
        """Return what Prometheus reads, line by line."""
        with self._lock:
            totals, total = list(accumulate(self._counts)), self._sum
        yield from _head(self._name, self._description, "histogram")
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), totals, strict=True):
            yield f'{self._name}_bucket{{le="{bound}"}} {count}'
        yield f"{self._name}_sum {total!r}"
        yield f"{self._name}_count {totals[-1]}"


class _Stages:
    """The five durations and counts that TEI keeps of requests, and again of inputs by task."""

    def __init__(self, prefix: str, what: str):
        self.total = Histogram(f"{prefix}_duration", f"seconds from the start of {what} to its answer", _SECONDS)
        self.tokenization = Histogram(f"{prefix}_tokenization_duration", f"seconds {what} was tokenised", _SECONDS)
        self.queue = Histogram(f"{prefix}_queue_duration", f"seconds {what} waited for the engine", _SECONDS)
        self.inference = Histogram(f"{prefix}_inference_duration", f"seconds the engine computed {what}", _SECONDS)

    def observe(self, seconds: float, outcome: Outcome, times: int) -> None:
        self.total.observe(seconds, times)
        self.tokenization.observe(outcome.tokenization_seconds, times)
        self.queue.observe(outcome.queue_seconds, times)
        self.inference.observe(outcome.inference_seconds, times)

    def instruments(self) -> tuple[Instrument, ...]:
        return (self.total, self.tokenization, self.queue, self.inference)


class _Task:
    """What TEI counts of the inputs of one kind of model."""

    def __init__(self, name: str):
        self.count = Counter(f"te_{name}_count", f"inputs taken to {name}")
        self.success = Counter(f"te_{name}_success", f"inputs answered on {name}")
        self.stages = _Stages(f"te_{name}", "an input")

    def instruments(self) -> tuple[Instrument, ...]:
        return (self.count, self.success, *self.stages.instruments())


class Info:
    """A name that changes, as a label of the number 1."""

    def __init__(self, name: str, description: str, label: str):
        self._name, self._description, self._label = name, description, label
        self.value = ""

    def lines(self) -> Iterable[str]:
        """Return what Prometheus reads, line by line."""
        yield from _head(self._name, self._description, "gauge")
        if self.value:
            yield f'{self._name}{{{self._label}="{self.value}"}} 1'


class IndexMetrics:
    """What is counted of searches and writes."""

    def __init__(self) -> None:
        self._searches = Counter("dialekt_search_count", "queries answered from the index")
        self._encode = Histogram("dialekt_search_encode_duration", "seconds to a search's query vectors", _SECONDS)
        self._retrieve = Histogram("dialekt_search_retrieve_duration", "seconds a search took in the index", _SECONDS)
        self._rerank = Histogram("dialekt_search_rerank_duration", "seconds a search took to re-rank", _SECONDS)
        self._written = Counter("dialekt_index_changes", "documents and chunks that writes changed", "kind")
        self._pending = Gauge("dialekt_index_pending", "changes of the log that searches do not see yet")
        self._release = Info("dialekt_index_release", "the release that answers", "release")

    def searched(self, queries: int, *, encode: float, retrieve: float, rerank: float | None) -> None:
        """Count a request that searched, with the seconds of its parts."""
        self._searches.add(queries)
        self._encode.observe(encode)
        self._retrieve.observe(retrieve)
        if rerank is not None:
            self._rerank.observe(rerank)

    def changed(self, units: int, *, kind: str) -> None:
        """Count what a write changed: upsert, patch or delete."""
        self._written.add(units, label=kind)

    def pending_changed(self, changes: int) -> None:
        """Say how many changes wait now."""
        self._pending.value = float(changes)

    def release_changed(self, name: str) -> None:
        """Say which release answers now."""
        self._release.value = name

    def instruments(self) -> tuple[Instrument, ...]:
        """Return all of them."""
        return (
            self._searches, self._encode, self._retrieve, self._rerank, self._written, self._pending, self._release,
        )  # fmt: skip


class Metrics:
    """All metrics of one server; every method may be called from any thread."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._requests = Counter("te_request_count", "requests taken", "method")
        self._successes = Counter("te_request_success", "requests answered with 200", "method")
        self._failures = Counter("te_request_failure", "requests refused or failed", "err")
        self._stages = _Stages("te_request", "a request")
        self._input_length = Histogram("te_request_input_length", "tokens of an input", _INPUT_TOKENS)
        self._embed, self._predict = _Task("embed"), _Task("predict")
        self._batch_inputs = Histogram("te_batch_next_size", "inputs in a batch", _BATCH_INPUTS)
        self._batch_tokens = Histogram("te_batch_next_tokens", "tokens in a batch, padding included", _BATCH_TOKENS)
        self._queue = Gauge("te_queue_size", "inputs that wait for the engine")
        self._models = Gauge("dialekt_models_loaded", "models and versions in memory")
        self._model_bytes = Gauge("dialekt_models_bytes", "estimated memory of the loaded models")
        self._loads = Counter("dialekt_model_loads", "models and versions loaded")
        self._reloads = Counter("dialekt_model_reloads", "times that a reference came to mean another version")
        self._evictions = Counter("dialekt_model_evictions", "models and versions that left memory for others")
        self.index = IndexMetrics()

    def request_started(self, *, inputs: int, kind: ModelKind) -> None:
        """Count a request that is well-formed and begins to be worked on."""
        self._requests.add(label="single" if inputs == 1 else "batch")
        self._task(kind).count.add(inputs)

    def request_answered(self, outcome: Outcome, *, kind: ModelKind, seconds: float) -> None:
        """Count a request that was answered `seconds` after it came."""
        inputs = len(outcome.tokens)
        task = self._task(kind)
        self._successes.add(label="single" if inputs == 1 else "batch")
        self._stages.observe(seconds, outcome, 1)
        task.success.add(inputs)
        task.stages.observe(seconds, outcome, inputs)
        for tokens in outcome.tokens:
            self._input_length.observe(tokens)

    def request_failed(self, failure: str) -> None:
        """Count a request that was refused or failed; `failure` is `RequestError.failure`."""
        self._failures.add(label=failure)

    def batch(self, inputs: int, tokens: int) -> None:
        """Count a batch on its way to the engine."""
        self._batch_inputs.observe(inputs)
        self._batch_tokens.observe(tokens)

    def queue_changed(self, inputs: int) -> None:
        """Say how many inputs wait now."""
        self._queue.value = float(inputs)

    def models_changed(self, *, loaded: int, size_bytes: int) -> None:
        """Say how many models are in memory now, and how much of it they are thought to take."""
        self._models.value, self._model_bytes.value = float(loaded), float(size_bytes)

    def model_loaded(self) -> None:
        """Count a model that was loaded."""
        self._loads.add()

    def model_reloaded(self) -> None:
        """Count a promotion or rollback that took effect."""
        self._reloads.add()

    def model_evicted(self) -> None:
        """Count a model that left memory to make room."""
        self._evictions.add()

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        from prometheus_client import generate_latest

        instruments: tuple[Instrument, ...] = (
            self._requests, self._successes, self._failures, *self._stages.instruments(), self._input_length,
            *self._embed.instruments(), *self._predict.instruments(), self._queue, self._batch_inputs,
            self._batch_tokens, self._models, self._model_bytes, self._loads, self._reloads, self._evictions,
            *self.index.instruments(),
        )  # fmt: skip
        text = "".join(f"{line}\n" for instrument in instruments for line in instrument.lines())
        return text.encode() + generate_latest(self._process)

    def _task(self, kind: ModelKind) -> _Task:
        return self._embed if kind is ModelKind.EMBEDDING else self._predict


def _head(name: str, description: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {description}", f"# TYPE {name} {kind}"
