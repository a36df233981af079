"""A real HTTP server that speaks the chat completions of OpenAI and answers as a test says."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server sends: a completion with this text, or an error with this status."""

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    input_tokens: int = 100
    output_tokens: int = 10


Script = Callable[[dict[str, Any], int], Reply]


class Endpoint(ThreadingHTTPServer):
    """Keeps every request body, and what was answered with 200 (what one would pay for)."""

    daemon_threads = True

    def __init__(self, script: Script):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.paid: list[str] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base URL for the client."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hung up: tests do so on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        """Answer by the script; the second argument counts requests from 0."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            number = len(server.requests)
            server.requests.append(body | {"path": self.path, "key": self.headers["Authorization"]})
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
        reply = server.script(body, number)
        time.sleep(reply.delay_seconds)
        with server.lock:
            server.under_way -= 1
        self._send(reply, body)

    def _send(self, reply: Reply, body: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": reply.text}
        usage = {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
        }
        found: dict[str, Any] = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }
        content = json.dumps(found if reply.status == 200 else {"error": {"message": reply.text}}).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if reply.status == 200:
            with self.server.lock:
                self.server.paid.append(body["messages"][1]["content"])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the parent's
        """Keep the test output clean."""


@contextmanager
def endpoint(script: Script) -> Iterator[Endpoint]:
    """Serve a script on a free port."""
    server = Endpoint(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def document_of(body: Mapping[str, Any]) -> str:
    """Return the first line of the document that a request shows: its title, or its first words."""
    prompt: str = body["messages"][1]["content"]
    return prompt.partition("<Document")[2].partition(">\n")[2].partition("\n")[0]


def queries_about(body: Mapping[str, Any], count: int = 3) -> str:
    """Return an answer that fits the document of a request: its own first words, in several forms."""
    subject = " ".join(document_of(body).split()[:4])
    return json.dumps({"queries": [f"number {number} on {subject}" for number in ("one", "two", "three")[:count]]})
