"""One loaded model at work: a thread that tokenises, and one per lane of the engine that computes."""

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import BackendError, EndpointError, RequestError, UpstreamError
from dialekt.models.engines.bulk import calls
from dialekt.models.engines.records import REMOTE, ModelInput, TokenizeOptions
from dialekt.models.engines.servable import Servable
from dialekt.serving.batching import EngineQueue, Item
from dialekt.serving.cores import Cores, compute_in_background
from dialekt.serving.job import Job, resolve
from dialekt.serving.journal import Journal, JournalEvent
from dialekt.serving.metrics import Metrics

_TURN_SECONDS = 0.05  # a query that comes while the engine works waits about this long at most
_SPEED_MEMORY = 0.2  # share of a new measurement in the engine's speed
_MOST_INPUTS_PER_CALL = 4_096  # of the tokeniser


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """What the pipelines of a server share. An engine holds its part of the cores while it computes."""

    max_batch_tokens: int
    cores: Cores
    metrics: Metrics
    journal: Journal


class Pipeline:
    """Takes jobs from the event loop and resolves their futures there."""

    def __init__(self, servable: Servable, options: PipelineOptions, *, name: str):
        self.servable = servable
        self._options = options
        self._name = name
        self._intake: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._queue = EngineQueue()
        self._tokens_per_second = 0.0
        is_remote = servable.engine.device == REMOTE  # it waits, and needs no core for that
        self._share = 0 if is_remote else max(1, options.cores.count // servable.engine.lanes)
        self._filling = threading.Lock()  # lanes may compute inputs of one job
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=target, name=f"{name} {target.__name__.strip('_')}", daemon=True)
            for target in (self._tokenise, *[self._compute] * servable.engine.lanes)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Inputs that are tokenised and not yet computed."""
        return len(self._queue)

    @property
    def is_alive(self) -> bool:
        """Whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, job: Job) -> None:
        """Hand a job over; its future is resolved in the event loop."""
        self._intake.put(job)

    def close(self) -> None:
        """Finish what was submitted, then end the threads and free the engine. Blocks."""
        self._intake.put(None)
        for thread in self._threads:
            thread.join()
        self.servable.engine.close()

    def _tokenise(self) -> None:
        while True:
            jobs = self._drain()
            if jobs is None:
                self._queue.close()
                return
            now = time.monotonic()
            wanted = [job for job in jobs if job.is_wanted(now)]
            for options, group in groupby(wanted, key=lambda job: job.work.options):
                self._tokenise_together(options, list(group))

    def _drain(self) -> list[Job] | None:
        """Wait for a job and return it with all that came meanwhile; None at the end."""
        first = self._intake.get()
        if first is None:
            return None
        jobs, inputs = [first], len(first.work.inputs)
        while inputs < _MOST_INPUTS_PER_CALL:
            try:
                job = self._intake.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._intake.put(None)
                break
            jobs.append(job)
            inputs += len(job.work.inputs)
        return jobs

    def _tokenise_together(self, options: TokenizeOptions, jobs: list[Job]) -> None:
        """Tokenise jobs in one call; when that fails, one by one, so that only the culprit fails."""
        inputs = [item for job in jobs for item in job.work.inputs]
        try:
            self._lay_out(jobs, inputs, options)
        except Exception as error:  # noqa: BLE001 - whatever a request holds, the thread lives and the client hears of it
            if len(jobs) > 1:
                for job in jobs:
                    self._tokenise_together(options, [job])
                return
            jobs[0].fault = self._explain(error)
            self._tell(jobs)

    def _lay_out(self, jobs: list[Job], inputs: Sequence[ModelInput], options: TokenizeOptions) -> None:
        start = time.perf_counter()
        rows = self.servable.tokenizer.encode(inputs, options)
        seconds = time.perf_counter() - start
        queued_at, place, items, refused = time.monotonic(), 0, [], []
        for job in jobs:
            own = rows[place : place + len(job.work.inputs)]
            place += len(own)
            lengths = [len(row.ids) for row in own]
            job.fault = self._too_long(lengths)
            if job.fault:
                refused.append(job)
                continue
            job.expect(self.servable.engine.width, lengths, seconds=seconds / len(jobs))
            items += [Item(job, number, row, queued_at) for number, row in enumerate(own)]
        self._tell(refused)
        self._queue.put(items)

    def _too_long(self, lengths: Sequence[int]) -> RequestError | None:
        limit = self.servable.max_tokens
        worst = max(lengths, default=0)
        if worst <= limit:
            return None
        return RequestError(f"`inputs` must have less than {limit} tokens. Given: {worst}", param="inputs")

    def _compute(self) -> None:
        compute_in_background()
        while taken := self._queue.take(self._turn_tokens()):
            for call in calls([len(item.row.ids) for item in taken], self.servable.engine):
                self._run([taken[row] for row in call])

    def _turn_tokens(self) -> int:
        """Return how many tokens the engine takes from the queue at once: what it computes in a short time."""
        wanted = max(int(self._tokens_per_second * _TURN_SECONDS), self.servable.engine.batch_tokens)
        return min(wanted, self._options.max_batch_tokens)

    def _run(self, items: list[Item]) -> None:
        tokens = sum(len(item.row.ids) for item in items)
        self._options.metrics.batch(len(items), len(items) * len(items[0].row.ids))
        with self._options.cores.hold(self._share):
            start = time.monotonic()
            try:
                results = self._results(items)
            except Exception as error:  # noqa: BLE001 - a failing engine fails these requests, not the server
                results = None
                fault = self._explain(error)
            seconds = time.monotonic() - start
        # One by one, so that only the culprit fails; where the endpoint failed there is none.
        if results is None and len(items) > 1 and not isinstance(fault, UpstreamError):
            for item in items:
                self._run([item])
            return
        with self._filling:
            if results is None:
                for item in items:
                    item.job.fault = fault
            else:
                self._follow_speed(tokens / max(seconds, 1e-6))
                for item, values in zip(items, results, strict=True):
                    item.job.fill(item.place, values, waited=start - item.queued_at, computed=seconds)
            complete = [job for job in dict.fromkeys(item.job for item in items) if job.is_complete]
        self._tell(complete)

    def _results(self, items: list[Item]) -> Sequence[NDArray[np.float32]]:
        """Return one result per item: vectors, or matrices for those who asked for a vector per token."""
        engine = self.servable.engine
        whole = [number for number, item in enumerate(items) if not item.job.work.token_level]
        detailed = [number for number, item in enumerate(items) if item.job.work.token_level]
        results: dict[int, NDArray[np.float32]] = {}
        if whole:
            values = engine.run([items[number].row for number in whole])
            if not np.isfinite(values).all():
                raise BackendError("the model returned values that are not finite")
            results.update(zip(whole, values, strict=True))
        if detailed:
            matrices = engine.token_vectors([items[number].row for number in detailed])
            results.update(zip(detailed, matrices, strict=True))
        return [results[number] for number in range(len(items))]

    def _follow_speed(self, measured: float) -> None:
        known = self._tokens_per_second
        self._tokens_per_second = measured if not known else known + _SPEED_MEMORY * (measured - known)

    def _tell(self, jobs: list[Job]) -> None:
        if jobs and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(resolve, jobs)

    def _explain(self, error: Exception) -> RequestError:
        """Return what a client hears of a failure: of ours only the kind, never its words, which may hold texts."""
        if isinstance(error, UpstreamError):
            reason = error.__cause__.message if isinstance(error.__cause__, EndpointError) else error.message
            self._options.journal.note(JournalEvent.WARNING, model=self._name, reason=reason)
        if isinstance(error, RequestError) and not isinstance(error, BackendError):
            return error
        self._options.journal.fault(error, where=self._name)
        if isinstance(error, BackendError):
            return error
        return BackendError(f"unexpected {type(error).__name__}", hint="this is a fault of the server; see its log")
