"""The process: its port, slow connections, and its end."""

import asyncio
import io
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from dialekt.config import LogStyle
from dialekt.errors import ConfigError, DialektError, ModelError, UsageError
from dialekt.serving.connections import ConnectionLimits
from dialekt.serving.journal import Journal
from dialekt.serving.server import Listener, Server, ServerOptions, Tls

SHORT = ConnectionLimits(
    connections=4,
    receive_seconds=0.5,
    bytes_per_second=1_000_000,
    read_seconds=1.0,
    keep_alive_seconds=60,
    header_bytes=4096,
)
GET = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


class Echo:
    """An application that answers with the size of the body, after as many milliseconds as the path says."""

    def __init__(self, failure: DialektError | None = None) -> None:
        self.failure = failure
        self.ready = False
        self.stopped = False
        self.draining = False

    async def start(self, *, on_failure: Callable[[], None] | None = None) -> None:
        """Be ready, or fail."""
        if self.failure and on_failure:
            on_failure()
        self.ready = self.failure is None

    def drain(self) -> None:
        """Be ready no more."""
        self.ready, self.draining = False, True

    async def stop(self) -> None:
        """Remember it."""
        self.stopped = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, wait, answer."""
        if scope["path"] == "/broken":
            raise ValueError("secret text")
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        await asyncio.sleep(int(scope["path"].strip("/") or 0) / 1000)
        body = b"x" * 20_000_000 if scope["path"] == "/0" else str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@dataclass
class Running:
    """A server in a thread, and how to reach it."""

    server: Server
    listener: Listener
    echo: Echo
    log: io.BytesIO
    thread: threading.Thread

    def connect(self) -> AbstractContextManager[socket.socket]:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.listener.port), timeout=10)

    def end(self) -> None:
        """End the server and wait for it."""
        self.server.end()
        self.thread.join(timeout=10)
        assert not self.thread.is_alive()

    def events(self) -> list[str]:
        """Return what the log tells of."""
        return [orjson.loads(line)["event"] for line in self.log.getvalue().splitlines()]


@contextmanager
def running(
    echo: Echo | None = None, *, drain_seconds: float = 5.0, linger_seconds: float = 0.1, tls: Tls | None = None
) -> Iterator[Running]:
    """Run a server in a thread until the block ends."""
    echo, log, listener = echo or Echo(), io.BytesIO(), Listener("127.0.0.1", 0)
    journal = Journal(log, LogStyle.JSON)
    options = ServerOptions(drain_seconds=drain_seconds, linger_seconds=linger_seconds, tls=tls, limits=SHORT)
    server = Server(echo, echo, journal, options)
    thread = threading.Thread(target=server.listen, args=(listener,))
    thread.start()
    found = Running(server, listener, echo, log, thread)
    try:
        while not server.started:
            time.sleep(0.01)
        yield found
    finally:
        found.end()
        journal.close()
        listener.close()


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_connection_serves_many_requests() -> None:
    """Two requests on one connection get two answers, and the connection stays open."""
    with running() as found, found.connect() as client:
        for _ in range(2):
            client.sendall(b"POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n3")
            assert b"\r\nserver:" not in answer


def test_a_port_in_use_is_said_before_anything_is_loaded() -> None:
    """Binding a port that is taken is an error that names it and says what to do."""
    first = Listener("127.0.0.1", 0)
    first.socket.listen()
    with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{first.port}: Address already in use"):
        Listener("127.0.0.1", first.port)
    first.close()


def test_a_port_is_free_again_at_once() -> None:
    """After an end with open connections the same port can be bound: a killed server restarts."""
    with running() as found:
        port = found.listener.port
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(GET)
        client.recv(100)
    Listener("127.0.0.1", port).close()
    client.close()


def test_trickled_headers_are_answered_408() -> None:
    """A client that sends a header a byte at a time loses its connection soon."""
    with running() as found, found.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: ")
        started = time.monotonic()
        assert read_all(client).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - started < 3


def test_trickled_bodies_are_answered_408() -> None:
    """A client that never ends its body loses its connection soon, and the application stops waiting."""
    with running() as found, found.connect() as client:
        client.sendall(b"POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nabc")
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 408")
        assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["error_type"] == "Timeout"


def test_a_connection_that_says_nothing_is_closed() -> None:
    """A connection without a byte is closed without an answer."""
    with running() as found, found.connect() as client:
        assert read_all(client) == b""


def test_a_client_that_does_not_read_is_given_up() -> None:
    """An answer that nobody reads does not stay in memory."""
    with running() as found, found.connect() as client:
        client.sendall(b"GET /0 HTTP/1.1\r\nhost: a\r\n\r\n")
        deadline = time.monotonic() + 6
        while found.server.server_state.connections or time.monotonic() < deadline - 5.9:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_headers_have_an_end() -> None:
    """Headers above the limit are refused with 431."""
    with running() as found, found.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.1)
        client.sendall((b"x-long: " + b"y" * 100 + b"\r\n") * 50)
        assert client.recv(4096).startswith(b"HTTP/1.1 431")


def test_too_many_connections_are_refused_in_words() -> None:
    """A connection above the limit gets a 503 with Retry-After."""
    with running() as found:
        held = [socket.create_connection(("127.0.0.1", found.listener.port)) for _ in range(4)]
        with found.connect() as client:
            answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1\r\n" in answer
        for connection in held:
            connection.close()


def test_what_is_no_http_is_answered_400() -> None:
    """Bytes that are no HTTP get a JSON body and an end."""
    with running() as found, found.connect() as client:
        client.sendall(b"\x16\x03\x01 what\r\n\r\n")
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 400")
        assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["error_type"] == "Validation"


def test_requests_in_flight_are_answered_before_the_end() -> None:
    """A request that is computed when the end is asked for is answered, and its connection ends."""
    with running() as found, found.connect() as client:
        client.sendall(b"GET /1500 HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(0.2)
        found.end()
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert found.echo.stopped


def test_while_draining_new_requests_are_answered_and_end_their_connection() -> None:
    """For a while after the signal clients are still answered, and told to go elsewhere."""
    with running(linger_seconds=1.0) as found:
        found.server.end()
        while not found.echo.draining:
            time.sleep(0.01)
        with found.connect() as client:
            client.sendall(GET)
            assert b"connection: close" in read_all(client)


def test_a_connection_that_was_just_made_is_answered() -> None:
    """A client that has connected when the server stops listening still gets its answer."""
    with running() as found, found.connect() as client:
        found.server.end()
        while not found.server.should_exit:
            time.sleep(0.005)
        time.sleep(0.1)
        client.sendall(GET)
        assert b"connection: close" in read_all(client)


def test_the_end_does_not_wait_for_ever() -> None:
    """A request that takes longer than the drain time is given up."""
    with running(drain_seconds=1.0) as found, found.connect() as client:
        client.sendall(b"GET /60000 HTTP/1.1\r\nhost: a\r\n\r\n")
        time.sleep(0.2)
        started = time.monotonic()
        found.end()
        assert time.monotonic() - started < 5
    assert orjson.loads(found.log.getvalue().splitlines()[-1])["unanswered"] == 1
    assert found.events() == ["drain", "warning", "stop"]


def test_a_model_that_cannot_be_loaded_ends_the_server() -> None:
    """When the application fails at the start, the server ends by itself."""
    with running(Echo(ModelError("no such model"))) as found:
        found.thread.join(timeout=5)
        assert not found.thread.is_alive()
        assert found.echo.stopped


def test_an_unexpected_error_is_logged_without_its_text() -> None:
    """An exception of the application becomes a 500 and a line with its kind and place."""
    with running() as found, found.connect() as client:
        client.sendall(b"GET /broken HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 500")
    assert "fault" in found.events()
    assert b"secret" not in found.log.getvalue()


def _certificate(folder: Path) -> Tls:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return Tls(certificate, key)


def test_tls_is_spoken_where_a_certificate_is_given(tmp_path: Path) -> None:
    """With a certificate the server speaks HTTPS."""
    tls = _certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(tls.certificate))
    with running(tls=tls) as found:
        assert found.listener.url(tls=True) == f"https://127.0.0.1:{found.listener.port}"
        with found.connect() as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            client.sendall(GET)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_bad_certificate_is_one_clear_error(tmp_path: Path) -> None:
    """A file that is no certificate is named before anything is served."""
    wrong = tmp_path / "cert.pem"
    wrong.write_text("no certificate", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cert\.pem: certificate or key cannot be used"):
        Server(Echo(), Echo(), Journal(io.BytesIO(), LogStyle.JSON), ServerOptions(drain_seconds=1.0, tls=Tls(wrong)))


def test_a_password_is_not_shown() -> None:
    """The representation of the TLS options leaves the key's password out."""
    assert "hush" not in repr(Tls(Path("a"), Path("b"), "hush"))


@pytest.mark.parametrize(
    ("hostname", "url"),
    [("0.0.0.0", "http://127.0.0.1:"), ("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")],
)
def test_the_url_can_be_typed(hostname: str, url: str) -> None:
    """The address that is shown can be used on this machine, whatever the server listens on."""
    try:
        listener = Listener(hostname, 0)
    except UsageError:
        pytest.skip(f"this machine has no {hostname}")
    assert listener.url(tls=False).startswith(url)
    listener.close()
