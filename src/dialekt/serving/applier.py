"""Bringing an index version to the end of the log, once for all who wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

STOP_SECONDS = 3.0


class Applier:
    """Runs one application at a time; writes that come meanwhile share the next one. Belongs to the event loop."""

    def __init__(self, apply: Callable[[], int], executor: Executor):
        self._apply = apply
        self._executor = executor
        self._running: asyncio.Task[int] | None = None
        self._reached = 0

    async def until(self, sequence: int) -> None:
        """Return once the version holds the log up to a position. Raises what applying raises.

        Who stops waiting does not stop the application.
        """
        while self._reached < sequence:
            if self._running is None:
                self._running = asyncio.create_task(self._run())
            self._reached = max(self._reached, await asyncio.shield(self._running))

    async def stop(self) -> None:
        """Wait until nothing runs, but not for long: another process may have what it waits for."""
        if self._running is not None:
            await asyncio.wait([self._running], timeout=STOP_SECONDS)

    async def _run(self) -> int:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._apply)
        finally:
            self._running = None
