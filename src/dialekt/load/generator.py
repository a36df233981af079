"""The load generator: one event loop that keeps a closed or an open loop of requests going and notes every answer.

In an open loop the latency of a request counts from the moment it was to be sent. A generator that counts from the
moment it could send leaves out exactly the requests that waited (coordinated omission: Tene, "How not to measure
latency", 2015).
"""

import asyncio
import random
import signal
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

import numpy as np

from dialekt.load.connection import Connection
from dialekt.load.records import OK, Answer, Failure, Inspect, Plan, Tally
from dialekt.load.targets import SHOWN_CHARACTERS, tls_context

EARLY_SECONDS = 0.0005  # timers of event loops have steps of 1 ms: half a step early is as often late, so without bias
RETRY_SECONDS = 0.05
SWEEP_SECONDS = 0.25
MOST_COMPLAINTS = 100
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_here(plan: Plan, inspect: Inspect | None = None) -> Tally:
    """Send the load from this process. Ctrl-C ends it early; what was measured until then is returned."""
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        return runner.run(Generator(plan, inspect).run())


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop


class Notes:
    """What came of every request that ended in the measured time, as it comes."""

    def __init__(self, inspect: Inspect | None) -> None:
        self.intended, self.finished = array("d"), array("d")
        self.status, self.tokens = array("h"), array("q")
        self.examples: dict[int, str] = {}
        self.complaints: list[str] = []
        self._inspect = inspect

    def add(self, intended: float, finished: float, status: int, tokens: int) -> None:
        """Note one request; times are seconds since the start of the measurement."""
        self.intended.append(intended)
        self.finished.append(finished)
        self.status.append(status)
        self.tokens.append(tokens)

    def look(self, connection: Connection, status: int) -> None:
        """Keep the first body of each failing status, and what the inspector finds wrong."""
        if status != OK and status not in self.examples:
            self.examples[status] = connection.body[:SHOWN_CHARACTERS].decode("utf-8", errors="replace")
        if self._inspect is None:
            return
        wrong = self._inspect(Answer(connection.row, status, connection.headers, connection.body))
        if wrong and len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(wrong)


class Generator:
    """Opens connections, sends requests at the plan's pace, and notes what comes back."""

    def __init__(self, plan: Plan, inspect: Inspect | None) -> None:
        self.keeps_answers = inspect is not None
        self._plan, self._pace = plan, plan.pace
        self._notes = Notes(inspect)
        self._draw = random.Random(plan.seed)  # noqa: S311 - a draw, not a secret
        self._row = self._draw.randrange(len(plan.requests))
        self._tls = tls_context(plan.target)
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[float] = deque()
        self._left = plan.pace.requests
        self._sending, self._stopped = True, False
        self._unsent = 0
        self._cpu_began = 0.0

    async def run(self) -> Tally:
        """Send the whole load and return what came of it."""
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._began = perf_counter() + self._pace.warmup_seconds
        self._due = perf_counter()
        timers = [
            self._loop.call_later(self._pace.warmup_seconds, self._note_cpu),
            self._loop.call_later(self._pace.warmup_seconds + self._pace.seconds, self._end),
        ]
        sweeper = asyncio.ensure_future(self._sweep())
        with self._stopping_at_signals():
            self._start()
            await self._over.wait()
        seconds, busy = max(perf_counter() - self._began, 0.0), time.process_time() - self._cpu_began
        sweeper.cancel()
        for timer in timers:
            timer.cancel()
        for connection in self._connections:
            connection.close()
        return self._tally(seconds, busy)

    def _start(self) -> None:
        if self._pace.rate_per_second is None:
            for _ in range(self._pace.connections):
                self._open()
        else:
            self._tick()

    def _tick(self) -> None:
        """Send what is due in the open loop, and come back for the next."""
        rate = self._pace.rate_per_second
        assert rate is not None
        now = perf_counter()
        while self._sending and self._due <= now + EARLY_SECONDS:
            self._arrive(min(self._due, now))
            self._due += self._draw.expovariate(rate)
        if self._sending:
            self._loop.call_later(max(self._due - perf_counter() - EARLY_SECONDS, 0.0), self._tick)

    def _arrive(self, intended: float) -> None:
        self._count(intended)
        if self._idle:
            self._send(self._idle.pop(), intended)
            return
        self._waiting.append(intended)
        if len(self._connections) + len(self._opening) < self._pace.connections:
            self._open()

    def _open(self) -> None:
        task = self._loop.create_task(self._connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        target, tried = self._plan.target, perf_counter()
        try:
            await self._loop.create_connection(lambda: Connection(self), target.host, target.port, ssl=self._tls)
        except OSError:
            is_open = self._pace.rate_per_second is not None
            intended = (self._waiting.popleft() if self._waiting else None) if is_open else tried
            if intended is not None:
                self._note(intended, perf_counter(), Failure.REFUSED, -1)
            if self._sending and not is_open:
                self._loop.call_later(RETRY_SECONDS, self._open)
            self._end_if_quiet()

    def opened(self, connection: Connection) -> None:
        """Use a new connection."""
        self._connections.add(connection)
        self._use(connection)

    def _use(self, connection: Connection) -> None:
        if self._pace.rate_per_second is None:
            if self._sending:
                now = perf_counter()
                self._count(now)
                self._send(connection, now)
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _send(self, connection: Connection, intended: float) -> None:
        requests = self._plan.requests
        self._row = (self._row + 1) % len(requests)
        connection.send(requests[self._row], row=self._row, intended=intended)

    def _count(self, intended: float) -> None:
        """Count a request against the plan's number of them."""
        if self._left is not None and intended >= self._began:
            self._left -= 1
            self._sending = self._left > 0

    def answered(self, connection: Connection, status: int, finished: float) -> None:
        """Note an answer, and use its connection again."""
        tokens = connection.count_tokens() if status == OK else -1
        self._note(connection.intended, finished, status, tokens)
        if status != OK or self.keeps_answers:
            self._notes.look(connection, status)
        if connection.reusable:
            self._use(connection)
        else:
            connection.close()
        if not self._sending:
            self._end_if_quiet()

    def lost(self, connection: Connection) -> None:
        """Note what was on a connection that has gone, and open another where one is needed."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.waiting and not self._stopped:
            self._note(connection.intended, perf_counter(), connection.failure, -1)
        if self._sending and (self._pace.rate_per_second is None or self._waiting):
            self._loop.call_later(RETRY_SECONDS if connection.waiting else 0.0, self._open)
        self._end_if_quiet()

    def _note(self, intended: float, finished: float, status: int, tokens: int) -> None:
        """Note a request; of a fixed number only those that were sent in the measured time."""
        if (finished if self._left is None else intended) >= self._began:
            self._notes.add(intended - self._began, finished - self._began, status, tokens)

    async def _sweep(self) -> None:
        """Give up requests that have waited too long for their answer."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            oldest = perf_counter() - self._pace.timeout_seconds
            for connection in [one for one in self._connections if one.waiting and one.sent < oldest]:
                connection.drop(Failure.TIMEOUT)

    def _note_cpu(self) -> None:
        self._cpu_began = time.process_time()

    def _end(self) -> None:
        """Send nothing more; answers that are on their way are waited for."""
        self._sending = False
        self._unsent = sum(intended >= self._began for intended in self._waiting)
        self._waiting.clear()
        self._end_if_quiet()

    def _stop(self) -> None:
        """End at once."""
        self._stopped = True
        self._end()
        self._over.set()

    def _end_if_quiet(self) -> None:
        if not self._sending and not self._waiting and not any(one.waiting for one in self._connections):
            self._over.set()

    @contextmanager
    def _stopping_at_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number, handler in former.items():
                self._loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _tally(self, seconds: float, busy: float) -> Tally:
        """Return the notes; the measured time ends where nothing more was sent, or with the last of a fixed number."""
        notes = self._notes
        return Tally(
            seconds=seconds if self._stopped or self._pace.requests is not None else self._pace.seconds,
            intended=np.array(notes.intended, dtype=np.float64),
            finished=np.array(notes.finished, dtype=np.float64),
            status=np.array(notes.status, dtype=np.int16),
            tokens=np.array(notes.tokens, dtype=np.int64),
            unsent=self._unsent,
            busy_share=busy / seconds if seconds > 0 else 0.0,
            stopped=self._stopped,
            examples=notes.examples,
            complaints=tuple(notes.complaints),
        )
