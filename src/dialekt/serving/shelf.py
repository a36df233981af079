"""The models in memory: loaded when asked for, shared by all requests, put away when memory is short."""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from dialekt.config import EngineName
from dialekt.errors import BackendError
from dialekt.models.engines.servable import Servable
from dialekt.serving.cores import compute_in_background
from dialekt.serving.journal import Journal, JournalEvent
from dialekt.serving.metrics import Metrics
from dialekt.serving.pipeline import Pipeline, PipelineOptions
from dialekt.serving.sources import Target

GIB = 1 << 30
_ROOM_SECONDS = 30.0  # that a load waits for models in use
LOADER_NAME = "dialekt-load"  # of the thread that loads models


@dataclass(frozen=True, slots=True)
class Prepared:
    """A target whose files were found whole, before it is loaded.

    `size_bytes` is what `load` will need. `load` blocks; it is given the engine that the predecessor runs on, None for
    no predecessor.
    """

    size_bytes: int
    load: Callable[[EngineName | None], Servable]


Prepare = Callable[[Target], Prepared]  # blocks: it reads and hashes files


@dataclass(slots=True, eq=False)
class Slot:
    """A loaded model, and how many requests hold it."""

    target: Target
    pipeline: Pipeline
    leases: int = 0
    last_used: float = field(default_factory=time.monotonic)

    @property
    def size_bytes(self) -> int:
        """Estimated memory."""
        return self.pipeline.servable.size_bytes


class Shelf:
    """Loads one model at a time; belongs to the event loop."""

    def __init__(
        self, prepare: Prepare, options: PipelineOptions, *, limit_bytes: int, metrics: Metrics, journal: Journal
    ):
        self._prepare = prepare
        self._options = options
        self._limit_bytes = limit_bytes
        self._metrics = metrics
        self._journal = journal
        self._slots: dict[Target, Slot] = {}
        self._loading: dict[Target, asyncio.Task[Slot]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._released = asyncio.Event()
        self._worker = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix=LOADER_NAME, initializer=compute_in_background
        )
        self.pinned: set[Target] = set()

    @property
    def slots(self) -> Iterable[Slot]:
        """What is in memory now."""
        return self._slots.values()

    def find(self, target: Target) -> Slot | None:
        """Return a loaded model without waiting; None when it is not loaded."""
        return self._slots.get(target)

    async def get(self, target: Target, *, prefer: EngineName | None = None) -> Slot:
        """Return a loaded model, loading it first if need be; all who wait for it share one load."""
        if slot := self._slots.get(target):
            return slot
        task = self._loading.get(target)
        if task is None:
            task = asyncio.create_task(self._load(target, prefer))
            self._loading[target] = task
            task.add_done_callback(lambda _: self._loading.pop(target, None))
        return await asyncio.shield(task)  # a client that goes away does not stop the load for others

    def hold(self, slot: Slot) -> None:
        """Keep a model in memory for a request."""
        slot.leases += 1
        slot.last_used = time.monotonic()

    def release(self, slot: Slot) -> None:
        """End a request's hold."""
        slot.leases -= 1
        if not slot.leases:
            self._released.set()

    async def close(self) -> None:
        """End all pipelines, after what they have been given is computed."""
        for task in list(self._loading.values()):
            task.cancel()
        for slot in list(self._slots.values()):
            await self._put_away(slot)
        self._worker.shutdown(wait=False, cancel_futures=True)

    async def _load(self, target: Target, prefer: EngineName | None) -> Slot:
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._worker, self._prepare, target)
        until = time.monotonic() + _ROOM_SECONDS
        while True:
            async with self._one_at_a_time:
                if await self._make_room(target, prepared.size_bytes):
                    return await self._bring(target, prepared, prefer)
            await self._wait_for_room(target, until)

    async def _bring(self, target: Target, prepared: Prepared, prefer: EngineName | None) -> Slot:
        """Load a model for which there is room."""
        start = time.monotonic()
        servable = await asyncio.get_running_loop().run_in_executor(self._worker, prepared.load, prefer)
        slot = Slot(target, Pipeline(servable, self._options, name=target.reference))
        self._slots[target] = slot
        self._metrics.model_loaded()
        self._count()
        self._journal.note(
            JournalEvent.LOAD,
            model=target.reference,
            engine=servable.engine.name.value,
            precision=servable.engine.precision,
            seconds=round(time.monotonic() - start, 2),
        )
        return slot

    async def _make_room(self, target: Target, needed: int) -> bool:
        """Put idle models away, the least recently used first; return whether there is room now.

        Raises `BackendError` where there never can be, before anything is put away.
        """
        fixed = sum(slot.size_bytes for slot in self._slots.values() if slot.target in self.pinned)
        if target not in self.pinned and fixed + needed > self._limit_bytes:
            raise BackendError(
                f"the model {target.reference!r} needs {needed / GIB:.1f} GiB, and the limit of loaded models is "
                f"{self._limit_bytes / GIB:.1f} GiB",
                hint="start the server with a higher serving.memory_limit_gib",
            )
        while sum(slot.size_bytes for slot in self._slots.values()) + needed > self._limit_bytes:
            movable = [slot for slot in self._slots.values() if slot.target not in self.pinned]
            idle = [slot for slot in movable if not slot.leases]
            if not idle:
                return not movable  # what must be served is served: the limit is the operator's to raise
            await self._put_away(min(idle, key=lambda slot: slot.last_used))
            self._metrics.model_evicted()
        return True

    async def _wait_for_room(self, target: Target, until: float) -> None:
        """Wait until a model is free, while others may be loaded. Raises `BackendError` after a time."""
        self._released.clear()
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await self._released.wait()
        except TimeoutError:
            raise BackendError(
                f"the model {target.reference!r} has no room beside those that are in use",
                hint="ask again later, or start the server with a higher serving.memory_limit_gib",
            ) from None

    async def _put_away(self, slot: Slot) -> None:
        self._slots.pop(slot.target, None)
        self._count()
        await asyncio.get_running_loop().run_in_executor(None, slot.pipeline.close)
        self._journal.note(JournalEvent.EVICT, model=slot.target.reference)

    def _count(self) -> None:
        self._metrics.models_changed(
            loaded=len(self._slots), size_bytes=sum(slot.size_bytes for slot in self._slots.values())
        )
