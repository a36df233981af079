"""The server without HTTP: models by reference, permits, work, and what happens when a model is promoted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType

from dialekt.config import EngineName, ServingConfig
from dialekt.errors import (
    BackendError,
    DeadlineError,
    DialektError,
    ModelError,
    OverloadedError,
    UnavailableError,
)
from dialekt.models.encoders import describe
from dialekt.models.engines.lanes import cpu_count
from dialekt.models.engines.loading import load_servable
from dialekt.models.engines.records import ModelKind
from dialekt.models.engines.servable import Servable
from dialekt.models.engines.tokenizer import limit_workers
from dialekt.models.machine import device_memory_bytes
from dialekt.serving.admission import Permits
from dialekt.serving.cores import Cores
from dialekt.serving.job import Job
from dialekt.serving.journal import Journal, JournalEvent
from dialekt.serving.metrics import Metrics
from dialekt.serving.patience import Patience, Receive
from dialekt.serving.pipeline import PipelineOptions
from dialekt.serving.prompts import choose_prompt
from dialekt.serving.records import CatalogueRow, Outcome, Work
from dialekt.serving.shelf import GIB, Prepare, Prepared, Shelf, Slot
from dialekt.serving.sources import Source, Sources, Target
from dialekt.serving.windows import join_outcomes, windows_of
from dialekt.types import Progress

_RETRY_SECONDS = 30.0  # after which a promoted version that could not be loaded is tried again
WATCH_SECONDS = 0.25  # between two looks at what aliases mean
_ROOM_PER_WEIGHT = 1.5  # memory of a loaded model per byte of its fp32 weights
_KIND_NAMES = {
    ModelKind.EMBEDDING: "an embedding model",
    ModelKind.RERANKER: "a re-ranker model",
    ModelKind.CLASSIFIER: "a classifier model",
}


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """A model that stays in memory, and stays the same version, until the request is answered."""

    slot: Slot
    patience: Patience

    @property
    def reference(self) -> str:
        """The version that answers: `name@v3`, or `name`."""
        return self.slot.target.reference

    @property
    def model(self) -> Servable:
        """The loaded model."""
        return self.slot.pipeline.servable

    async def run(self, work: Work, receive: Receive | None = None) -> Outcome:
        """Compute a request's inputs. Raises `RequestError`: too long, out of time, client gone, engine failed.

        `receive` is the request's ASGI channel: when it says that the client has gone, the work is dropped.
        """
        job = Job(work, asyncio.get_running_loop().create_future())
        self.patience.follow(job, receive)
        try:
            self.slot.pipeline.submit(job)
            return await job.future
        finally:
            self.patience.forget(job)


class LeaseContext:
    """`async with service.lease(...) as lease`; costs nothing where the model is loaded."""

    def __init__(self, service: "Service", take: Callable[[], Awaitable[Slot]]):
        self._service = service
        self._take = take
        self._slot: Slot | None = None

    async def __aenter__(self) -> Lease:
        """Wait for the model and hold it."""
        self._slot = await self._take()
        return Lease(self._slot, self._service.patience)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the model go."""
        if self._slot is not None:
            self._service.give_back(self._slot)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A target that could not be loaded, and when it is tried again."""

    target: Target
    until: float


class Service:
    """One per process, in one event loop. `start` and `stop` belong to the application's lifespan."""

    def __init__(
        self, config: ServingConfig, sources: Sources, prepare: Prepare, *, limit_bytes: int, journal: Journal
    ):
        self.config = config
        self.metrics = Metrics()
        self.journal = journal
        self.patience = Patience()
        self.draining = False
        self.failure: DialektError | None = None
        limit_workers(self.tokenization_workers)
        self._sources = sources
        self._permits = Permits(config.max_concurrent_requests)
        options = PipelineOptions(config.max_batch_tokens, Cores(cpu_count()), self.metrics, journal)
        self._shelf = Shelf(prepare, options, limit_bytes=limit_bytes, metrics=self.metrics, journal=journal)
        self._meanings: dict[str, Target] = {}  # what a reference is answered with now
        self._refused: dict[str, Refusal] = {}  # what references mean now but cannot be loaded
        self._loads_awaited = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def default_name(self) -> str:
        """The model that answers where a request names none."""
        return self._sources.default_name

    @property
    def ready(self) -> bool:
        """Whether requests should come: the default model is loaded, and the server is not about to end."""
        return not self.draining and self.default_name in self._meanings

    @property
    def is_alive(self) -> bool:
        """Whether the threads of all loaded models run."""
        return all(slot.pipeline.is_alive for slot in self._shelf.slots)

    @property
    def waiting(self) -> int:
        """Inputs that are tokenised and wait for an engine."""
        return sum(slot.pipeline.waiting for slot in self._shelf.slots)

    @property
    def tokenization_workers(self) -> int:
        """Threads of the tokenizer library."""
        return self.config.tokenization_workers or max(1, cpu_count() - 1)

    @property
    def in_flight(self) -> int:
        """Inputs that hold a permit."""
        return self._permits.in_flight

    async def start(self, *, on_failure: Callable[[], None] | None = None) -> None:
        """Begin to load the default model and to follow promotions; returns at once.

        When the default model cannot be loaded, `failure` says why and `on_failure` is called.
        """
        self._tasks = [
            asyncio.create_task(self._load_default(on_failure)),
            asyncio.create_task(self.patience.watch()),
        ]

    def drain(self) -> None:
        """Stop being ready; what is in flight goes on."""
        self.draining = True

    async def stop(self) -> None:
        """End everything, after the models have computed what they were given."""
        self.draining = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._shelf.close()

    def lease(self, reference: str | None, *kinds: ModelKind, documents: bool = False) -> LeaseContext:
        """Hold the model that a reference means; none means the first served model of one of the kinds.

        With `documents` it is the one that encodes them, where that is another one. Raises `UnknownModelError`, and
        `BackendError` for a model of another kind. Waits while a model loads.
        """
        return LeaseContext(self, partial(self.take, reference, kinds, documents=documents))

    def admit(self, inputs: int) -> AbstractContextManager[None]:
        """Hold a permit per input; raises `OverloadedError` for all of them."""
        return self._permits.take(inputs)

    def check_room(self) -> None:
        """Raise `OverloadedError` where no input could be admitted, before anything is read of a request."""
        self._permits.check()

    async def run_windows(self, lease: Lease, work: Work, receive: Receive | None = None) -> Outcome:
        """Compute an array of any length with at most half of all permits, a window at a time."""
        held = min(len(work.inputs), max(1, self.config.max_concurrent_requests // 2))
        with self.admit(held):
            windows = windows_of(work, most=held)
            if len(windows) == 1:
                return await lease.run(work, receive)
            lanes = asyncio.Semaphore(2)  # one window computes while the next is tokenised

            end = time.monotonic() + work.deadline_seconds

            async def run(window: Work) -> Outcome:
                async with lanes:
                    left = max(0.001, end - time.monotonic())  # the deadline is that of the whole
                    return await lease.run(replace(window, deadline_seconds=left), receive)

            tasks = [asyncio.create_task(run(window)) for window in windows]
            try:
                return join_outcomes(await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()

    def rows(self) -> list[CatalogueRow]:
        """Return everything that can be asked for. Reads the registry from disk."""
        return self._sources.rows([slot.target for slot in self._shelf.slots])

    async def take(self, reference: str | None, kinds: Sequence[ModelKind], *, documents: bool = False) -> Slot:
        """Return the slot that a reference means, or that of its documents, held; `give_back` ends the hold."""
        name = self._of_kind(kinds) if reference is None else reference
        target = self._meanings.get(name)
        slot = self._shelf.find(target) if target else None
        if slot is None:
            slot = await self._load(name)
        kind = slot.pipeline.servable.kind
        if kinds and kind not in kinds:
            raise BackendError(
                f"model {slot.target.reference!r} is not {_KIND_NAMES[kinds[0]]}", failure="model_type", param="model"
            )
        self._shelf.hold(slot)
        return await self._exchange(slot) if documents else slot

    async def take_documents(self, slot: Slot) -> Slot:
        """Return the slot that encodes the documents for a model, held: the model's own, unless it has another."""
        contract = slot.pipeline.servable.contract
        if contract is not None and contract.document_model:
            target = replace(slot.target, encodes_documents=True)
            slot = await self._shelf.get(target)
            while slot is not self._shelf.find(target):  # it had to make room before anybody held it
                slot = await self._shelf.get(target)
        self._shelf.hold(slot)
        return slot

    def model_id(self, slot: Slot) -> str:
        """Return what the project knows a model by: for a Hub name its commit, else the hash of its files. Blocks."""
        place = self._sources.place(slot.target)
        return describe(place.location, place.model)

    async def _exchange(self, slot: Slot) -> Slot:
        """Give a held slot for the one that encodes its model's documents. Raises `DeadlineError`."""
        seconds = self.config.deadline_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self.take_documents(slot)
        except TimeoutError:
            raise DeadlineError(f"the model was not loaded within {seconds:g} s", hint="ask again later") from None
        finally:
            self.give_back(slot)

    def give_back(self, slot: Slot) -> None:
        """End a hold."""
        self._shelf.release(slot)

    @contextmanager
    def holding(self, slot: Slot) -> Iterator[Lease]:
        """Hold a model that is in memory."""
        self._shelf.hold(slot)
        try:
            yield Lease(slot, self.patience)
        finally:
            self._shelf.release(slot)

    def _of_kind(self, kinds: Sequence[ModelKind]) -> str:
        name = self._sources.of_kind(kinds)
        if name is None:
            raise BackendError(
                f"model is not {_KIND_NAMES[kinds[0]]}",
                hint="serve one beside it: dialekt serve NAME=FOLDER OTHER=FOLDER",
                failure="model_type",
            )
        return name

    async def _load(self, name: str) -> Slot:
        """Load what a reference means now, and answer the reference with it until it means something else."""
        if self.draining:
            raise UnavailableError("the server is about to end")
        if self.failure is not None:
            raise UnavailableError("the default model cannot be loaded; the server's log says why")
        seconds, limit = self.config.deadline_seconds, self.config.max_concurrent_requests
        if self._loads_awaited >= limit:
            raise OverloadedError(f"{limit} requests wait for a model to be loaded", retry_after_seconds=5)
        self._loads_awaited += 1
        try:
            async with asyncio.timeout(seconds):
                known = self._meanings.get(name)
                target = known if known is not None else await asyncio.to_thread(self._sources.resolve, name)
                slot = await self._shelf.get(target)
                while slot is not self._shelf.find(target):  # it had to make room before anybody held it
                    slot = await self._shelf.get(target)
        except TimeoutError:
            raise DeadlineError(f"the model was not loaded within {seconds:g} s", hint="ask again later") from None
        finally:
            self._loads_awaited -= 1
        self._meanings.setdefault(name, target)
        return slot

    def _is_refused(self, name: str, target: Target) -> bool:
        refusal = self._refused.get(name)
        return refusal is not None and refusal.target == target and time.monotonic() < refusal.until

    def _unforeseen(self, error: Exception, name: str) -> ModelError:
        self.journal.fault(error, where=name)
        return ModelError(f"loading it failed: unexpected {type(error).__name__}", hint="see the log of the server")

    async def _load_default(self, on_failure: Callable[[], None] | None) -> None:
        name = self.default_name
        try:
            target = await asyncio.to_thread(self._sources.resolve, name)
            self._shelf.pinned.add(target)
            slot = await self._shelf.get(target)
            choose_prompt(self.config, slot.pipeline.servable, name=None, input_type=None)
        except Exception as error:  # noqa: BLE001 - a server that can never be ready has to end, whatever it was
            self.failure = error if isinstance(error, DialektError) else self._unforeseen(error, name)
            if on_failure:
                on_failure()
            return
        self._meanings[name] = target
        self.journal.note(JournalEvent.READY, model=target.reference)
        await self._follow()

    async def _follow(self) -> None:
        """Look again and again what the references in use mean; change over once the new version is loaded."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for name, old in list(self._meanings.items()):
                if name != old.reference:  # a version means itself for ever
                    await self._change_over(name, old)

    async def _change_over(self, name: str, old: Target) -> None:
        """Answer a reference with the version that it means now, if that is another one and can be loaded."""
        new = old
        try:
            new = await asyncio.to_thread(self._sources.resolve, name)
            if new == old:
                self._refused.pop(name, None)
            if new == old or self._is_refused(name, new):
                return
            slot = self._shelf.find(old)
            engine = slot.pipeline.servable.engine.name if slot else None
            await self._shelf.get(new, prefer=engine if isinstance(engine, EngineName) else None)
        except Exception as error:  # noqa: BLE001 - whatever it was, the old version answers and the next is looked for
            found = error if isinstance(error, DialektError) else self._unforeseen(error, name)
            if not self._is_refused(name, new):
                self._refused[name] = Refusal(new, time.monotonic() + _RETRY_SECONDS)
                self.journal.note(JournalEvent.WARNING, reference=name, kept=old.reference, reason=found.message)
            return
        self._refused.pop(name, None)
        self._meanings[name] = new
        if name == self.default_name:
            self._shelf.pinned = {new}
        self.metrics.model_reloaded()
        self.journal.note(JournalEvent.RELOAD, reference=name, model=new.reference, before=old.reference)


def make_service(config: ServingConfig, sources: Sequence[Source], *, journal: Journal) -> Service:
    """Return a service that loads its models with the configured engine. Raises `InputError`, `ModelError`."""
    known = Sources(sources)
    limit = config.memory_limit_gib * GIB if config.memory_limit_gib else device_memory_bytes("cpu") / 2

    def prepare(target: Target) -> Prepared:
        place = known.place(target)

        def report(step: Progress) -> None:
            if step.note:
                of = f"{step.done + 1} of {step.total}"
                journal.note(JournalEvent.TRY, model=target.reference, engine=step.note, number=of)

        def load(prefer: EngineName | None) -> Servable:
            loaded = load_servable(
                place.location, model=place.model, engine=config.engine, dtype=config.dtype, cache=config.cache,
                material=known.material(target), prefer=prefer, progress=report,
            )  # fmt: skip
            for warning in loaded.warnings:
                journal.note(JournalEvent.WARNING, model=target.reference, reason=warning)
            return loaded

        return Prepared(int(_ROOM_PER_WEIGHT * place.weights_bytes()), load)

    return Service(config, known, prepare, limit_bytes=int(limit), journal=journal)
