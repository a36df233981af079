"""Which engine computes when: one that wants all cores takes turns with those that want a part of them."""

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_NICENESS = 5


def compute_in_background() -> None:
    """Let this thread, and those that it starts, compute when the event loop does not want the core.

    An engine's threads never wait, so without this the scheduler lets the loop wait for milliseconds whenever an answer
    could be written or a request read; meanwhile clients wait, and then the engine does.
    """
    if sys.platform == "linux":  # elsewhere a priority belongs to the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class Cores:
    """The cores of the machine, lent in the order in which they were asked for.

    Two engines that each start a thread per core slow each other down far more than twice: their threads spin while
    they wait.
    """

    def __init__(self, count: int):
        self.count = count
        self._free = count
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, wanted: int) -> Iterator[None]:
        """Wait for so many cores and hold them."""
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            while self._line[0] is not ticket or self._free < wanted:
                self._changed.wait()
            self._line.popleft()
            self._free -= wanted
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
