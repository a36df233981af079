"""The process: a port, its connections, and an end without a failed request.

On SIGTERM or Ctrl-C the server says that it is not ready any more, ends every connection with its next answer, stops
listening, lets requests in flight finish, and exits with 0. A second signal ends it at once.
"""

import asyncio
import gc
import logging
import math
import resource
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from dialekt.errors import ConfigError, DialektError, UsageError
from dialekt.serving.connections import ConnectionLimits, GuardedConnection, guarded
from dialekt.serving.journal import Journal, JournalEvent

BACKLOG = 2048
READY_POLL_SECONDS = 0.05
WANTED_FILES = 65_536
FILES_FOR_ELSE = 256  # models, graphs, logs; the rest of the process's files may be connections
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate and key; `password` of the key, where it has one."""

    certificate: Path
    key: Path | None = None
    password: str | None = field(default=None, repr=False)


class Application(Protocol):
    """What answers the requests, as the process sees it; `Service` and `IndexService` are some."""

    @property
    def failure(self) -> DialektError | None:
        """Why requests can never come; None while they may."""

    @property
    def ready(self) -> bool:
        """Whether requests should come."""

    async def start(self, *, on_failure: Callable[[], None] | None = None) -> None:
        """Begin to load in the background; called once the port listens."""

    def drain(self) -> None:
        """Stop being ready."""

    async def stop(self) -> None:
        """End everything."""


class Listener:
    """A bound port. Bound before any model is loaded, so that a port in use is said at once."""

    def __init__(self, hostname: str, port: int) -> None:
        try:
            self.socket = _bind(hostname, port)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {hostname}:{port}: {error.strerror or error}",
                hint="choose another with --port, or --port 0 for a free one; or stop what listens there",
            ) from None
        self.port = int(self.socket.getsockname()[1])
        self.hostname = hostname

    def url(self, *, tls: bool) -> str:
        """Return an address that a client on this machine can use."""
        everywhere = self.hostname in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if everywhere else self.hostname
        return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def close(self) -> None:
        """Give the port back."""
        self.socket.close()


def _bind(hostname: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, *_, address = found[0]
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the process listens and ends. `on_ready` is called once, when requests should come.

    For `linger_seconds` of the drain it still listens: clients and balancers see an unready server that ends its
    connections, and go elsewhere.
    """

    drain_seconds: float
    linger_seconds: float = 1.0
    tls: Tls | None = None
    limits: ConnectionLimits | None = None
    on_ready: Callable[[], Awaitable[None]] | None = None


class Server(uvicorn.Server):
    """uvicorn's server with an end in two steps and an eye on slow connections. `run` returns when it has ended.

    Raises `ConfigError` for a certificate that cannot be used. `forced` says that a second signal came.
    """

    def __init__(self, app: ASGIApp, application: Application, journal: Journal, options: ServerOptions) -> None:
        self._connection = guarded(options.limits or ConnectionLimits(connections=_raise_file_limit()))
        super().__init__(_configure(app, self._connection, options))
        self._application = application
        self._journal = journal
        self._options = options
        self._asked_to_end = False
        self._listens_until = math.inf
        self.forced = False

    def listen(self, listener: Listener) -> None:
        """Serve until a signal comes or `end` is called, and whatever started has ended."""
        with _library_logs(self._journal):
            self.run(sockets=[listener.socket])

    def end(self) -> None:
        """Begin the end: drain, then stop. Any thread may ask."""
        self._asked_to_end = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then let the application load."""
        await super().startup(sockets=sockets)
        await self._application.start(on_failure=self.end)
        self._announcing = asyncio.create_task(self._announce())

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: go on, or come nearer to the end."""
        if counter % 10 == 0:
            self._inspect_connections()
        if self._asked_to_end and self._listens_until == math.inf:
            self._begin_to_end()
        if time.monotonic() >= self._listens_until:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests in flight finish, then the application."""
        inspecting = asyncio.create_task(self._keep_inspecting())
        await super().shutdown(sockets=sockets)
        if self.force_exit:
            for request in self.server_state.tasks:
                request.cancel()  # so that nothing is computed for them
        for task in (inspecting, self._announcing):
            task.cancel()
        self.forced = self.force_exit
        unanswered = len(self.server_state.tasks)
        await self._application.stop()
        self._journal.note(JournalEvent.STOP, unanswered=unanswered)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Answer the signals alone: the command line's own handlers would end the process in the middle."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        """Remember that the end was asked for; asked twice, do not wait."""
        if self._asked_to_end:
            self.force_exit = self.should_exit = True
        self.end()

    def _begin_to_end(self) -> None:
        self._connection.closing = True
        self._application.drain()
        self._journal.note(JournalEvent.DRAIN, in_flight=len(self.server_state.tasks))
        failed = self._application.failure is not None
        linger = 0.0 if failed else min(self._options.linger_seconds, self._options.drain_seconds)
        self._listens_until = time.monotonic() + linger

    async def _announce(self) -> None:
        while not self._application.ready:
            await asyncio.sleep(READY_POLL_SECONDS)
        gc.collect()
        gc.freeze()  # libraries and models stay: collections that look at them again cost milliseconds each
        if self._options.on_ready:
            await self._options.on_ready()

    async def _keep_inspecting(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._inspect_connections()

    def _inspect_connections(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, GuardedConnection):
                connection.inspect(now)


def _raise_file_limit() -> int:
    """Let the process open as many files as it may; return how many of them may be connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    files = wanted if soft == resource.RLIM_INFINITY else min(soft, WANTED_FILES)
    return max(64, files - FILES_FOR_ELSE)


def _configure(app: ASGIApp, connection: type[GuardedConnection], options: ServerOptions) -> uvicorn.Config:
    tls = options.tls
    config = uvicorn.Config(
        app,
        http=connection,
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=connection.limits.keep_alive_seconds,
        timeout_graceful_shutdown=math.ceil(options.drain_seconds),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_keyfile_password=tls.password if tls else None,
    )
    try:
        config.load()
    except OSError as error:  # of which ssl.SSLError is one
        raise ConfigError(
            f"certificate or key cannot be used: {error.strerror or error}",
            path=tls.certificate if tls else None,
            hint="PEM files are needed; a key with a password needs SSL_KEYFILE_PASSWORD in the environment",
        ) from None
    return config


@contextmanager
def _library_logs(journal: Journal) -> Iterator[None]:
    """Pass what the HTTP server and the event loop complain of to the log."""
    handler = _JournalHandler(journal)
    loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
    former = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, level, propagate in former:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _JournalHandler(logging.Handler):
    """Writes a library's warning without its arguments, and an error by kind and place: both may hold texts."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            return  # a request that was given up at the end, which the last line counts
        if error is not None:
            self._journal.fault(error, where=record.name)
            return
        message = str(record.msg).partition("\n")[0][:200]
        self._journal.note(JournalEvent.WARNING, logger=record.name, message=message)
