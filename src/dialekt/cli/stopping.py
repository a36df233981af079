"""Ctrl-C and requests to end, remembered until they are heeded.

A KeyboardInterrupt that is raised inside a library's callback or destructor is swallowed there, and the command would
go on as if nobody had asked. So the request is kept, and the journey looks for it whenever it reports.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from dialekt.types import Progress

if TYPE_CHECKING:
    from dialekt.flow.records import Observer, StageName, StageRecord


class StopRequest:
    """The handler of both signals; `heed` raises KeyboardInterrupt once one has come."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """Remember the request, and try to stop at once."""
        self.received = True
        raise KeyboardInterrupt

    def heed(self) -> None:
        """Stop if it was asked for."""
        if self.received:
            raise KeyboardInterrupt


STOP = StopRequest()


@contextmanager
def stopping() -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM for the length of a command; only the main thread of a program may."""
    STOP.received = False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, STOP) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class HeedingObserver:
    """Passes everything on to another observer, and heeds a request to stop first."""

    def __init__(self, observer: "Observer") -> None:
        self._observer = observer

    def stage_started(self, stage: "StageName", reason: str) -> None:
        """A stage begins."""
        STOP.heed()
        self._observer.stage_started(stage, reason)

    def progressed(self, stage: str, progress: Progress) -> None:
        """A stage has come further."""
        STOP.heed()
        self._observer.progressed(stage, progress)

    def stage_ended(self, record: "StageRecord") -> None:
        """A stage has ended; its artefact is kept."""
        self._observer.stage_ended(record)
        STOP.heed()
