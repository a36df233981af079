"""One connection of the server: nobody can hold it by sending slowly, by reading slowly, or by sending nothing.

uvicorn limits how long a connection may idle between two requests, but not how long a request may take to arrive or
an answer to be read. Here the server looks at every connection once a second.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

ARRIVAL_SECONDS = 0.5  # when the server ends: for the first request of a connection that was just made


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may take. A request that is still arriving after `receive_seconds` must come at
    `bytes_per_second`; an answer that nobody has read from for `read_seconds` is given up.
    """

    connections: int
    receive_seconds: float = 30.0
    bytes_per_second: int = 16 * 1024
    read_seconds: float = 30.0
    keep_alive_seconds: int = 75  # above the 60 s of common load balancers, which else meet closed connections
    header_bytes: int = 64 * 1024


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's connection with limits; `closing` lets every answer end its connection."""

    limits: ClassVar[ConnectionLimits]
    closing: ClassVar[bool]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn says it
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._receiving = self._in_headers = True
        self._received = 0
        self._blocked_since: float | None = None
        self._unread = 0  # bytes of the answer that the client had not taken then
        if len(self.connections) > self.limits.connections:
            self._refuse(503, f"more than {self.limits.connections} open connections", "Overloaded")

    def data_received(self, data: bytes) -> None:
        """Count what arrives, and end headers that have no end."""
        self._received += len(data)
        super().data_received(data)
        if self._in_headers and self._received > self.limits.header_bytes:
            self._refuse(431, f"headers above {self.limits.header_bytes} bytes", "Validation")

    def on_message_begin(self) -> None:
        """A request begins to arrive."""
        self._since = self.loop.time()
        self._receiving = self._in_headers = True
        self._received = 1  # what came with the beginning is not counted
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are there; while the server drains, the answer ends the connection."""
        self._in_headers = False
        super().on_headers_complete()
        if self.closing and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The request is there whole."""
        self._receiving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written."""
        self._since = self.loop.time()
        super().on_response_complete()

    def shutdown(self) -> None:
        """End the connection, after the answer to a request that is here or on its way."""
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self._receiving:
            self.loop.call_later(ARRIVAL_SECONDS, self._close_if_silent)
        else:
            super().shutdown()

    def _close_if_silent(self) -> None:
        if self._receiving and not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(400, msg, "Validation")

    def inspect(self, now: float) -> None:
        """End the connection if it has overstepped a limit; `now` is the loop's time."""
        if self.transport.is_closing():
            self._inspect_reader(now)
        elif self._receiving:
            self._inspect_sender(now)
        elif self.flow.write_paused:
            self._inspect_reader(now)
        else:
            self._blocked_since = None
            idle = self.cycle is None or self.cycle.response_complete
            if idle and now - self._since > self.limits.keep_alive_seconds:
                self.transport.close()

    def _inspect_sender(self, now: float) -> None:
        if now - self._since <= self.limits.receive_seconds + self._received / self.limits.bytes_per_second:
            return
        answered = self.cycle is not None and self.cycle.response_started
        if answered or (self._in_headers and not self._received):
            self.transport.close()
        else:
            self._refuse(408, "the request took too long to arrive", "Timeout")

    def _inspect_reader(self, now: float) -> None:
        unread = self.transport.get_write_buffer_size()
        if self._blocked_since is None or unread < self._unread:
            self._blocked_since, self._unread = now, unread
        elif now - self._blocked_since > self.limits.read_seconds:
            self.transport.abort()

    def _refuse(self, status: int, message: str, error_type: str) -> None:
        """Answer without the application, and close."""
        body = orjson.dumps({"error": message, "error_type": error_type})
        retry = b"retry-after: 1\r\n" if status == 503 else b""
        self.transport.write(
            STATUS_LINE[status] + retry + b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        self.transport.close()


def guarded(limits: ConnectionLimits) -> type[GuardedConnection]:
    """Return the connections of one server: their limits, and whether it drains, belong to the class."""
    members: dict[str, Any] = {"limits": limits, "closing": False}
    return type("Connection", (GuardedConnection,), members)
