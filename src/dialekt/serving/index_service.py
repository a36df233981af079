"""The index in the server: what is live, what is to be, and writes that reach the vectors before they are answered.

The server answers from one release at a time. It sees within a quarter of a second that another one is live, and
exchanges the whole: a request that has begun keeps what it has. Whoever switches waits until servers are prepared, and
switches only when the new vectors hold every write; so nothing has to be caught up with here.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from dialekt.config import SearchConfig
from dialekt.errors import DeadlineError, DialektError, NotServedError, UnavailableError
from dialekt.index.documents import KEPT_CHANGES, Written
from dialekt.index.opened import OpenIndex
from dialekt.index.switching import shorten_log
from dialekt.serving.journal import JournalEvent
from dialekt.serving.release import ServedRelease, load_release
from dialekt.serving.service import WATCH_SECONDS, Service
from dialekt.serving.ubi import UbiLog

REPORT_SECONDS = 1.0  # between two signs of life, and two looks for writes that are not in the vectors yet
RETRY_SECONDS = 10.0  # after which a release that could not be loaded is tried again
READER_NAME, WRITER_NAME, APPLIER_NAME = "dialekt-read", "dialekt-write", "dialekt-apply"  # of threads
_THREADS = 8
_NUMBERS = count(1)

Result = TypeVar("Result")
Look = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Landed:
    """A write that is durable. `applied`: searches see it; else they will, later."""

    written: Written
    applied: bool


class IndexService:
    """A `Service` and the index beside it. One per process, in one event loop; `start` and `stop` are for both."""

    def __init__(self, opened: OpenIndex, service: Service, config: SearchConfig, *, model_name: str):
        self.opened = opened
        self.service = service
        self.config = config
        self.log = UbiLog(config)
        self._model_name = model_name
        self._name = f"{socket.gethostname()}-{os.getpid()}-{next(_NUMBERS)}"
        self._current: ServedRelease | None = None
        self._previous = ""
        self._announced = ""
        self._shortened = 0
        self._has_looked = False
        self._loaded: dict[str, ServedRelease] = {}
        self._outdated: list[ServedRelease] = []
        self._loading: dict[str, asyncio.Task[ServedRelease]] = {}
        self._refused: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._reading, self._writing, self._applying = (
            ThreadPoolExecutor(_THREADS, thread_name_prefix=name) for name in (READER_NAME, WRITER_NAME, APPLIER_NAME)
        )

    @property
    def failure(self) -> DialektError | None:
        """Why requests can never come. An index that cannot be used is none: models answer all the same."""
        return self.service.failure

    @property
    def ready(self) -> bool:
        """Whether requests should come: the live release is loaded, or cannot be."""
        return self.service.ready and self._has_looked

    async def start(self, *, on_failure: Callable[[], None] | None = None) -> None:
        """Begin to load in the background."""
        await self.service.start(on_failure=on_failure)
        self._tasks = [
            asyncio.create_task(self._again_and_again(self._follow, WATCH_SECONDS)),
            asyncio.create_task(self._again_and_again(self._prepare, WATCH_SECONDS)),
            asyncio.create_task(self._again_and_again(self._report, REPORT_SECONDS)),
            asyncio.create_task(self._again_and_again(self._catch_up, REPORT_SECONDS)),
        ]

    def drain(self) -> None:
        """Stop being ready."""
        self.service.drain()

    async def stop(self) -> None:
        """End everything. What is durable and not in the vectors yet, the next server or command applies."""
        for task in (*self._tasks, *self._loading.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._loading.values(), return_exceptions=True)
        await asyncio.gather(*(served.let_go(self.service) for served in (*self._loaded.values(), *self._outdated)))
        await self.service.stop()
        await asyncio.to_thread(self._close)

    def current(self) -> ServedRelease:
        """Return what answers now. Raises `NotServedError` before there is a release, `UnavailableError`."""
        if self._current is not None:
            return self._current
        if not self._has_looked:
            raise UnavailableError("the live release is being loaded")
        if self._refused:
            raise UnavailableError("the live release cannot be loaded; the server's log says why")
        raise NotServedError("no release of the index is live", hint="dialekt index build makes the first one")

    async def in_thread(self, work: Callable[[], Result], *, seconds: float | None = None) -> Result:
        """Read or search, which blocks. Raises `DeadlineError` after a time; unset: the longest of a request."""
        seconds = self.service.config.deadline_seconds if seconds is None else max(0.0, seconds)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._reading, work)
        except TimeoutError:
            raise DeadlineError(f"the index gave no answer within {seconds:.3g} s", hint="ask again later") from None

    async def look_up(self, work: Callable[[], Result]) -> Result:
        """Read documents, which no engine is asked for: not behind searches that wait for one."""
        return await asyncio.to_thread(work)

    async def write(self, change: Callable[[], Written], *, patience_seconds: float) -> Landed:
        """Make a change durable, then bring it to the vectors that searches are answered from, here and elsewhere.

        Where that fails or takes too long the change is kept and applied later. Raises what `change` raises.
        """
        written = await asyncio.get_running_loop().run_in_executor(self._writing, change)
        try:
            async with asyncio.timeout(patience_seconds):
                await self._apply(written)
        except TimeoutError:
            return Landed(written, applied=False)
        except Exception as error:  # noqa: BLE001 - whatever it was, the change is kept, and the client is told so
            self._complain(error, where="apply")
            return Landed(written, applied=False)
        self._said.pop("apply", None)
        return Landed(written, applied=bool(written.live))

    async def _apply(self, written: Written) -> None:
        """Bring a write to the release that is answered from here, to the live one, and to those of other servers."""
        servers = await asyncio.to_thread(self.opened.catalogue.servers)
        wanted = {server.release: self._loaded[server.release] for server in servers if server.release in self._loaded}
        if written.live:
            wanted[written.live] = await self._load(written.live)
        if self._current is not None:
            wanted[self._current.name] = self._current
        await asyncio.gather(*(served.applier.until(written.sequence) for served in wanted.values()))

    async def _follow(self) -> None:
        """Answer from what is live."""
        live, before = await asyncio.to_thread(self.opened.catalogue.live), self._current
        name = before.name if before else ""
        if not live or self._is_refused(live):
            return
        await self._forget_changed(live)
        if live == name and live in self._loaded:
            return
        self._current = await self._load(live)
        self._previous = name if name != live else self._previous
        self.service.metrics.index.release_changed(live)
        model = self._current.queries.target.reference
        self.service.journal.note(JournalEvent.RELOAD, release=live, model=model, before=name)
        await self._report()
        await self._let_go()

    async def _prepare(self) -> None:
        """Get ready for what is about to go live."""
        announced = await asyncio.to_thread(self.opened.catalogue.announced)
        if announced == self._announced or self._is_refused(announced):
            return
        if announced:
            await self._forget_changed(announced)
            await self._load(announced)
        self._announced = announced
        await self._report()
        await self._let_go()

    async def _report(self) -> None:
        release = self._current.name if self._current else ""
        report = self.opened.catalogue.report_server
        await asyncio.to_thread(report, self._name, release=release, prepared=self._announced)

    async def _catch_up(self) -> None:
        """Apply what other processes wrote, and what could not be applied when it was written."""
        served = self._current
        if served is None:
            return
        await self._let_go()
        tail, position = await asyncio.to_thread(self._positions, served.version.name)
        self.service.metrics.index.pending_changed(tail - position)
        if tail > position:
            await served.applier.until(tail)
            self.service.metrics.index.pending_changed(0)
        if tail >= self._shortened + KEPT_CHANGES:
            await asyncio.to_thread(shorten_log, self.opened)
            self._shortened = tail

    def _positions(self, version: str) -> tuple[int, int]:
        return self.opened.documents.tail(), self.opened.catalogue.version(version).position

    async def _load(self, name: str) -> ServedRelease:
        """Return a release that is loaded; all who wait for it share one load."""
        if (found := self._loaded.get(name)) is not None:
            return found
        if self._is_refused(name):
            raise UnavailableError(f"the release {name} could not be loaded a moment ago")
        if (task := self._loading.get(name)) is None:
            task = asyncio.create_task(self._bring(name))
            self._loading[name] = task
            task.add_done_callback(lambda _: self._loading.pop(name, None))
        return await asyncio.shield(task)

    async def _forget_changed(self, name: str) -> None:
        """Have a release loaded again whose settings are others by now; requests in flight keep what they have."""
        found = self._loaded.get(name)
        if found is not None and found.release != await asyncio.to_thread(self.opened.catalogue.release, name):
            self._outdated.append(self._loaded.pop(name))

    async def _bring(self, name: str) -> ServedRelease:
        try:
            found = await load_release(
                self.opened, self.service, name, model_name=self._model_name, threads=self._applying
            )
        except Exception:
            self._refused[name] = time.monotonic() + RETRY_SECONDS
            raise
        self._refused.pop(name, None)
        self._loaded[name] = found
        return found

    def _is_refused(self, name: str) -> bool:
        return time.monotonic() < self._refused.get(name, 0.0)

    async def _let_go(self) -> None:
        """Let go of releases that are neither live, nor about to be, nor what one could go back to."""
        live = self._current.name if self._current else ""
        for old in [old for old in self._outdated if old is not self._current]:
            self._outdated.remove(old)
            await old.let_go(self.service)
        wanted = await asyncio.to_thread(self._wanted)
        for name in self._loaded.keys() - wanted - {live}:
            served = self._loaded.pop(name, None)
            if served is None:
                continue
            await served.let_go(self.service)
            if served.version.name not in {other.version.name for other in self._loaded.values()}:
                await asyncio.to_thread(self.opened.release_engine, served.version.name)

    def _wanted(self) -> set[str]:
        catalogue = self.opened.catalogue
        there, announced = {release.name for release in catalogue.releases()}, catalogue.announced()
        previous = self._previous if announced in {"", self._previous} else ""  # make room for what is to come
        return there & {catalogue.live(), announced, self._announced, previous}

    async def _again_and_again(self, look: Look, seconds: float) -> None:
        """Do something for ever; what goes wrong is said once, and tried again."""
        while True:
            if self.service.ready:
                try:
                    await look()
                except Exception as error:  # noqa: BLE001 - whatever it was, what is loaded answers meanwhile
                    self._complain(error, where=look.__name__)
                else:
                    self._said.pop(look.__name__.strip("_"), None)
                self._has_looked = self._has_looked or look == self._follow
            await asyncio.sleep(seconds if self.service.ready else WATCH_SECONDS)

    def _complain(self, error: Exception, *, where: str) -> None:
        """Write into the log what is wrong, unless that was the last thing that was said of it."""
        where = where.strip("_")
        said = error.message if isinstance(error, DialektError) else type(error).__name__
        if self._said.get(where) == said:
            return
        self._said[where] = said
        if isinstance(error, DialektError):
            self.service.journal.note(JournalEvent.WARNING, index=where, reason=said)
        else:
            self.service.journal.fault(error, where=f"index {where}")

    def _close(self) -> None:
        """Forget this server and close what it had open; an application that still waits is left behind."""
        self._reading.shutdown()
        self._writing.shutdown()
        self._applying.shutdown(wait=False, cancel_futures=True)
        self.opened.catalogue.forget_server(self._name)
        self.opened.close()
        self.log.close()
