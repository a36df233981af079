"""The queue before an engine: queries ahead of bulk, nobody starves, turns of bounded length."""

import heapq
import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from dialekt.models.engines.records import TokenRow
from dialekt.serving.job import Job
from dialekt.serving.records import Priority

_HEAD_START_SECONDS = 0.5  # a query overtakes bulk that came up to this much earlier; older bulk goes first


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One input of a job: its row of tokens and its place in the job's answer."""

    job: Job
    place: int
    row: TokenRow
    queued_at: float  # time.monotonic


class EngineQueue:
    """Items in the order in which they should be computed. Any thread may put and take."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, items: Iterable[Item]) -> None:
        """Add items; wake the engine."""
        with self._changed:
            for item in items:
                late = _HEAD_START_SECONDS if item.job.work.priority is Priority.BULK else 0.0
                heapq.heappush(self._heap, (item.job.arrived_at + late, next(self._numbers), item))
            self._changed.notify_all()

    def take(self, max_tokens: int) -> list[Item]:
        """Wait for items and return the first ones, up to a number of tokens; nothing once the queue is closed.

        Items of jobs that were given up, or whose deadline has passed, are dropped on the way.
        """
        with self._changed:
            while True:
                taken = self._pop(max_tokens)
                if taken or self._closed:
                    return taken
                self._changed.wait()

    def close(self) -> None:
        """Let the taker end as soon as the queue is empty."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pop(self, max_tokens: int) -> list[Item]:
        taken: list[Item] = []
        tokens, now = 0, time.monotonic()
        while self._heap:
            item = self._heap[0][2]
            length = max(1, len(item.row.ids))
            if taken and tokens + length > max_tokens:
                break
            heapq.heappop(self._heap)
            if item.job.is_wanted(now):
                taken.append(item)
                tokens += length
        return taken
