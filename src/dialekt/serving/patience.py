"""Whether anybody still waits: deadlines, and clients that have gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from dialekt.errors import ClientGoneError, DeadlineError
from dialekt.serving.job import Job

Receive = Callable[[], Awaitable[Any]]

_LOOK_SECONDS = 0.05
_QUICK_SECONDS = 0.1  # most jobs end earlier, and are spared a task that listens to their client


class Patience:
    """Follows the jobs in flight and gives up those that nobody waits for. Belongs to the event loop."""

    def __init__(self) -> None:
        self._channels: dict[Job, Receive | None] = {}
        self._listening: dict[Job, asyncio.Task[None]] = {}

    def follow(self, job: Job, receive: Receive | None) -> None:
        """Look after a job until it is forgotten; `receive` is its request's ASGI channel."""
        self._channels[job] = receive

    def forget(self, job: Job) -> None:
        """Stop looking after a job; one that is not done is given up, for its request has ended."""
        job.given_up = job.given_up or not job.future.done() or job.future.cancelled()
        self._channels.pop(job, None)
        if listener := self._listening.pop(job, None):
            listener.cancel()

    async def watch(self) -> None:
        """Look at all jobs, again and again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for job, receive in list(self._channels.items()):
                if now >= job.deadline:
                    _give_up(job, DeadlineError(f"no answer within {job.work.deadline_seconds:g} s"))
                elif receive and job not in self._listening and now - job.arrived_at > _QUICK_SECONDS:
                    self._listening[job] = asyncio.create_task(_listen(job, receive))


async def _listen(job: Job, receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    _give_up(job, ClientGoneError("the client has gone"))


def _give_up(job: Job, error: DeadlineError | ClientGoneError) -> None:
    job.given_up = True
    if not job.future.done():
        job.future.set_exception(error)
