"""One connection of the load generator: a request out, its answer in, a few microseconds each."""

import asyncio
import re
from time import perf_counter
from typing import Protocol, cast

import httptools

from dialekt.load.records import Failure

TOKEN_HEADER = b"x-compute-tokens"
USAGE_BYTES = 400
_USAGE = re.compile(rb'"(?:prompt|total)_tokens"\s*:\s*(\d+)')


class Owner(Protocol):
    """Who opens connections and is told what came of them."""

    keeps_answers: bool

    def opened(self, connection: "Connection") -> None:
        """A connection can take a request."""

    def answered(self, connection: "Connection", status: int, finished: float) -> None:
        """An answer is whole; the connection can take the next request if `reusable`."""

    def lost(self, connection: "Connection") -> None:
        """The connection has gone, with a request on it if `waiting`."""


class Connection(asyncio.Protocol):
    """Sends one request at a time and parses its answer."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.waiting = False
        self.reusable = True
        self.failure = Failure.CLOSED
        self.row = 0
        self.intended = 0.0
        self.sent = 0.0
        self.tokens = -1
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        self._transport = cast("asyncio.Transport", transport)
        self.owner.opened(self)

    def send(self, request: bytes, *, row: int, intended: float) -> None:
        """Send a request that was to be sent at `intended`, in seconds of `perf_counter`."""
        self.waiting = True
        self.row = row
        self.intended = intended
        self.sent = perf_counter()
        self._transport.write(request)

    def drop(self, failure: Failure) -> None:
        """Give the connection up; its request, if one waits, has failed like this."""
        self.failure = failure
        self._transport.abort()

    def close(self) -> None:
        """End a connection that is not needed."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.drop(Failure.MALFORMED)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio sets the signature
        """Tell the owner."""
        self.owner.lost(self)

    def on_message_begin(self) -> None:
        """An answer begins."""
        self.tokens = -1
        self.parts = []
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the count of tokens, and all headers where somebody looks into answers."""
        if len(name) == len(TOKEN_HEADER) and name.lower() == TOKEN_HEADER and value.isdigit():
            self.tokens = int(value)
        if self.owner.keeps_answers:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self.parts.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over. One that nobody waits for, such as a 408 before the server closes, is no answer."""
        finished = perf_counter()
        status = self._parser.get_status_code()
        self.reusable = self._parser.should_keep_alive()
        if status >= 200 and self.waiting:
            self.waiting = False
            self.owner.answered(self, status, finished)

    @property
    def body(self) -> bytes:
        """The body of the last answer."""
        return b"".join(self.parts)

    def count_tokens(self) -> int:
        """Return the tokens of the last answer by its header, or by the usage at either end of its body; -1: unsaid."""
        if self.tokens >= 0 or not self.parts:
            return self.tokens
        last = self.parts[-1] if len(self.parts[-1]) >= USAGE_BYTES else b"".join(self.parts[-2:])
        found = _USAGE.search(last[-USAGE_BYTES:]) or _USAGE.search(self.parts[0][:USAGE_BYTES])
        return int(found[1]) if found else -1
