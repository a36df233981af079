"""One request after the other to an embedding endpoint: tries again, and says what is wrong without quoting a text."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, assert_never
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np
from numpy.typing import NDArray
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from dialekt.errors import EndpointError
from dialekt.models.endpoint import EmbeddingEndpoint, EndpointKind

CONCURRENCY = 4
RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
SHOWN_CHARACTERS = 200
QUOTE_CHARACTERS = 20
SHORTEST_QUOTE = 8
UNREACHED = (ConnectTimeoutError, NewConnectionError, ProxyError, SSLError)
NO_ANSWER, TOO_LATE = 502, 504
"""Statuses that stand for a server that was not reached, and for one that did not answer in time."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is tried again, and how long it may take."""

    retries: int = 6
    connect_retries: int = 2
    timeout_seconds: float = 120.0
    longest_pause_seconds: float = 60.0


WORK = Patience()
"""Of a stage that runs for hours."""

SOMEBODY_WAITS = Patience(retries=1, connect_retries=1, timeout_seconds=30.0, longest_pause_seconds=1.0)
"""Of a server that is asked itself."""


class EndpointClient:
    """Texts → vectors, a request at a time; any thread may ask.

    Timeouts, lost connections and the statuses in `RETRIED` are tried again with growing pauses, or after the time that
    the server names. `stop` ends pauses and trying again, until `start`.
    """

    def __init__(self, endpoint: EmbeddingEndpoint, *, key: str = "", patience: Patience = WORK):
        self.endpoint = endpoint
        self._patience = patience
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._pool = _open_pool(endpoint, patience)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Try again from now on."""
        self._stopping.clear()

    def stop(self) -> None:
        """Try nothing again from now on."""
        self._stopping.set()

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()

    def ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts as they are sent, (texts, dimension) of length 1; raises `EndpointError`."""
        path, body = _request(self.endpoint, texts)
        url = self.endpoint.url + path
        try:
            answer = self._post(url, json.dumps(body).encode())
        except HTTPError as error:
            raise EndpointError(
                f"{self.endpoint.host} does not answer: {_first_line(error)}",
                hint="is the server up, and is this its address? what was answered is kept",
                upstream_status=TOO_LATE if isinstance(error, ReadTimeoutError) else NO_ANSWER,
            ) from error
        if answer.status != 200:
            raise EndpointError(
                f"POST {url} answers {answer.status}{_said(answer, texts)}",
                hint=_hint(answer.status),
                upstream_status=answer.status,
            )
        return _vectors(self.endpoint, answer, texts)

    def _post(self, url: str, body: bytes) -> BaseHTTPResponse:
        """Send a request, and again where that may help and nobody wants to stop."""
        for attempt in count(1):
            try:
                answer = self._pool.request(
                    "POST", url, body=body, headers=self._headers, retries=False, redirect=False
                )
            except HTTPError as error:
                most = self._patience.connect_retries if isinstance(error, UNREACHED) else self._patience.retries
                if attempt > most or self._stopping.wait(self._pause(attempt)):
                    raise
                continue
            tries_again = answer.status in RETRIED and attempt <= self._patience.retries
            if not tries_again or self._stopping.wait(self._pause(attempt, answer)):
                break
        return answer

    def _pause(self, attempt: int, answer: BaseHTTPResponse | None = None) -> float:
        """Return the seconds before the next attempt: as the server names them, or 0, 1, 2, 4 ...; never many."""
        named = None
        if answer is not None:
            with suppress(InvalidHeader, ValueError, OverflowError):
                named = Retry().get_retry_after(answer)
        own = 0.0 if attempt == 1 else 2.0 ** (attempt - 2)
        return min(named or own, self._patience.longest_pause_seconds)


def _open_pool(endpoint: EmbeddingEndpoint, patience: Patience) -> PoolManager:
    """Return connections, through the proxy that the environment names."""
    timeout = Timeout(patience.timeout_seconds)
    proxy = None if proxy_bypass(endpoint.host) else getproxies().get(urlsplit(endpoint.url).scheme)
    if proxy and not endpoint.is_local:
        return ProxyManager(proxy, maxsize=CONCURRENCY, timeout=timeout)
    return PoolManager(maxsize=CONCURRENCY, timeout=timeout)


def _request(endpoint: EmbeddingEndpoint, texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return path and body of a request."""
    match endpoint.kind:
        case EndpointKind.OPENAI:
            return "/embeddings", {"model": endpoint.model, "input": list(texts), "encoding_format": "float"}
        case EndpointKind.TEI:
            named = {"model": endpoint.model} if endpoint.model else {}
            return "/embed", {"inputs": list(texts), "truncate": True, "normalize": True} | named
        case unreachable:
            assert_never(unreachable)


def _vectors(endpoint: EmbeddingEndpoint, answer: BaseHTTPResponse, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of an answer (texts, dimension), of length 1; raise `EndpointError` when it has others."""
    try:
        rows = json.loads(answer.data)
        if endpoint.kind is EndpointKind.OPENAI:
            rows = [row["embedding"] for row in sorted(rows["data"], key=lambda row: row["index"])]
        vectors = np.array(rows, dtype=np.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise EndpointError(
            f"{endpoint.host} answers with no vectors{_said(answer, texts)}",
            hint="does the address speak this protocol?",
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise EndpointError(
            f"{endpoint.host} answers {len(texts)} texts with an array of shape {vectors.shape}, or with no numbers",
            hint="does the address speak this protocol, and is this an embedding model?",
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def _hint(status: int) -> str:
    match status:
        case 401 | 403:
            return "name the variable that holds the key: model.api_key_variable, of an operand --api-key-variable NAME"
        case 301 | 302 | 303 | 307 | 308 | 404 | 405:
            return "check the address: openai:http://host/v1#model, tei:http://host"
        case 400 | 413 | 422:
            return "is a text too long? cut them: model.max_characters, of an operand --max-characters 8000"
        case _:
            return "what was answered is kept: run the same command again"


def _said(answer: BaseHTTPResponse, texts: Sequence[str]) -> str:
    """Return what a server says of an error, behind a colon; nothing where it speaks of the texts that it was sent."""
    try:
        body = json.loads(answer.data)
    except (ValueError, RecursionError):
        return ""
    said = " ".join(" ".join(_messages(body)).split())[:SHOWN_CHARACTERS]
    return f": {said}" if said and not _quotes(said, texts) else ""


def _messages(body: object) -> Iterator[str]:
    """Yield the fields of an error that hold words of the server: OpenAI's, TEI's and FastAPI's, and no other."""
    if not isinstance(body, dict):
        return
    error, detail = body.get("error"), body.get("detail")
    named = [error.get("type"), error.get("message")] if isinstance(error, dict) else [error]
    faults = [fault.get("msg") for fault in detail if isinstance(fault, dict)] if isinstance(detail, list) else [detail]
    yield from (text for text in (*named, body.get("message"), *faults) if isinstance(text, str))


def _quotes(said: str, texts: Sequence[str]) -> bool:
    """Whether words hold a text, or as much of one as could tell what is in it."""
    parts = {said[start : start + QUOTE_CHARACTERS] for start in range(len(said) - QUOTE_CHARACTERS + 1)}
    for text in (" ".join(text.split()) for text in texts):
        whole = SHORTEST_QUOTE <= len(text) < QUOTE_CHARACTERS and text in said
        if whole or any(part in text for part in parts):
            return True
    return False


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:SHOWN_CHARACTERS]
