"""An embedding model behind an address that speaks OpenAI's or TEI's protocol, as an encoder that pays once."""

import json
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import numpy as np
from numpy.typing import NDArray
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import ConnectTimeoutError, HTTPError, InvalidHeader, NewConnectionError, ProxyError, SSLError

from dialekt.errors import EndpointError, StorageError, UsageError
from dialekt.store.hashing import hash_json
from dialekt.store.sqlite import Database, in_parts, marks
from dialekt.types import Progress, ReportProgress, Role, no_progress

BATCH_TEXTS = 32  # what TEI takes in one request unless it is told otherwise
CONCURRENCY = 4
RETRIES = 6
CONNECT_RETRIES = 2
TIMEOUT_SECONDS = 120.0
LONGEST_PAUSE_SECONDS = 60.0
RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
SHOWN_CHARACTERS = 200
QUOTE_CHARACTERS = 20
SHORTEST_QUOTE = 8
UNREACHED = (ConnectTimeoutError, NewConnectionError, ProxyError, SSLError)
LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"


class EndpointKind(StrEnum):
    """Which protocol an endpoint speaks."""

    OPENAI = "openai"
    TEI = "tei"


@dataclass(frozen=True, slots=True)
class EmbeddingEndpoint:
    """Where a model is asked and how. Prompts go before texts here, since most servers put none.

    `max_characters` cuts texts before they are sent; None sends them whole. `model` may be empty for TEI.
    """

    kind: EndpointKind
    url: str
    model: str = ""
    query_prompt: str = ""
    document_prompt: str = ""
    max_characters: int | None = None

    @property
    def host(self) -> str:
        """The machine that is asked."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return self.host in LOCAL_HOSTS

    def prepare(self, text: str, role: Role) -> str:
        """Return a text as it is sent: with the prompt of its role, cut, never empty."""
        prompt = self.query_prompt if role is Role.QUERY else self.document_prompt
        return (prompt + text)[: self.max_characters] or " "


def parse_endpoint(text: str) -> EmbeddingEndpoint:
    """Read `openai:http://host/v1#model` or `tei:http://host`; raises `UsageError` that says what is missing."""
    kind, _, address = text.partition(":")
    url, _, model = address.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url!r} is no address of a server", hint=f"such as {kind}:http://127.0.0.1:3000/v1#model")
    found = EmbeddingEndpoint(EndpointKind(kind), url.rstrip("/"), model)
    if found.kind is EndpointKind.OPENAI and not model:
        raise UsageError(f"{text!r} names no model", hint=f"name it behind #: {text}#text-embedding-3-small")
    return found


class RemoteEncoder:
    """Texts → vectors through HTTP. Every vector is kept in a file as soon as it is there, and never asked for twice.

    Timeouts, lost connections and the statuses in `RETRIED` are tried again with growing pauses, or after the time that
    the server names, a minute at most. Whatever stops the asking ends pauses and trying again.
    """

    def __init__(self, endpoint: EmbeddingEndpoint, cache: Path, *, key: str = ""):
        self.endpoint = endpoint
        self._database = Database(cache, _SCHEMA)
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._pool = _open_pool(endpoint)
        self._stopping = threading.Event()

    def missing(self, texts: Iterable[str], role: Role) -> list[str]:
        """Return the different texts, as they would be sent, whose vectors are not kept yet."""
        keys = self._keys(texts, role)
        known = self._kept(list(keys))
        return [text for key, text in keys.items() if key not in known]

    def embed(self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress) -> NDArray[np.float32]:
        """Return vectors float32 (texts, dimension) of length 1; raise `EndpointError`, with what came before kept."""
        missing = self.missing(texts, role)
        label = f"ask {self.endpoint.host}"
        done = 0
        for answered in self._ask_all(missing):
            done += answered
            progress(Progress(label, done, len(missing)))
        rows = [self._key(self.endpoint.prepare(text, role)) for text in texts]
        kept = self._kept(rows)
        try:
            matrix = np.stack([np.frombuffer(kept[key], dtype="<f4") for key in rows]).astype(np.float32)
        except (KeyError, ValueError) as error:
            raise StorageError(
                "the kept vectors are damaged or of several lengths",
                path=self._database.path,
                hint="did the model behind the address change? remove the file and ask again",
            ) from error
        return matrix

    def close(self) -> None:
        """Let go of connections and file."""
        self._pool.clear()
        self._database.close()

    def _ask_all(self, texts: Sequence[str]) -> Iterator[int]:
        """Ask a few requests at a time, and yield how many texts each answer was for.

        Whatever stops this, requests under way are waited for and their vectors kept: they are paid. None is repeated.
        """
        self._stopping.clear()
        batches = iter([texts[start : start + BATCH_TEXTS] for start in range(0, len(texts), BATCH_TEXTS)])
        waiting: set[Future[int]] = set()
        with ThreadPoolExecutor(CONCURRENCY) as executor:
            try:
                while True:
                    room = CONCURRENCY - len(waiting)
                    waiting |= {executor.submit(self._ask_and_keep, batch) for batch in islice(batches, room)}
                    if not waiting:
                        return
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._stopping.set()
                executor.shutdown(cancel_futures=True)

    def _ask_and_keep(self, texts: Sequence[str]) -> int:
        self._keep(texts, self._ask(texts))
        return len(texts)

    def _ask(self, texts: Sequence[str]) -> NDArray[np.float32]:
        path, body = _request(self.endpoint, texts)
        url = self.endpoint.url + path
        try:
            answer = self._post(url, json.dumps(body).encode())
        except HTTPError as error:
            raise EndpointError(
                f"{self.endpoint.host} does not answer: {_first_line(error)}",
                hint="is the server up, and is this its address? what was answered is kept",
            ) from error
        if answer.status != 200:
            raise EndpointError(f"POST {url} answers {answer.status}{_said(answer, texts)}", hint=_hint(answer.status))
        return _vectors(self.endpoint, answer, texts)

    def _post(self, url: str, body: bytes) -> BaseHTTPResponse:
        """Send a request, and again where that may help and nobody wants to stop."""
        for attempt in count(1):
            try:
                answer = self._pool.request(
                    "POST", url, body=body, headers=self._headers, retries=False, redirect=False
                )
            except HTTPError as error:
                most = CONNECT_RETRIES if isinstance(error, UNREACHED) else RETRIES
                if attempt > most or self._stopping.wait(_pause(attempt)):
                    raise
                continue
            if answer.status not in RETRIED or attempt > RETRIES or self._stopping.wait(_pause(attempt, answer)):
                break
        return answer

    def _keys(self, texts: Iterable[str], role: Role) -> dict[str, str]:
        """Return the different texts as they are sent, by key."""
        sent = dict.fromkeys(self.endpoint.prepare(text, role) for text in texts)
        return {self._key(text): text for text in sent}

    def _key(self, text: str) -> str:
        return hash_json([self.endpoint.kind, self.endpoint.url, self.endpoint.model, text])

    def _kept(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        with self._database.reading() as connection:
            for part in in_parts(keys):
                question = f"SELECT key, vector FROM vectors WHERE key IN ({marks(part)})"  # noqa: S608 - only question marks
                found |= {row["key"]: row["vector"] for row in connection.execute(question, part)}
        return found

    def _keep(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        rows = [(self._key(text), vector.astype("<f4").tobytes()) for text, vector in zip(texts, vectors, strict=True)]
        with self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)


def _open_pool(endpoint: EmbeddingEndpoint) -> PoolManager:
    """Return connections, through the proxy that the environment names."""
    timeout = Timeout(TIMEOUT_SECONDS)
    proxy = None if proxy_bypass(endpoint.host) else getproxies().get(urlsplit(endpoint.url).scheme)
    if proxy and not endpoint.is_local:
        return ProxyManager(proxy, maxsize=CONCURRENCY, timeout=timeout)
    return PoolManager(maxsize=CONCURRENCY, timeout=timeout)


def _pause(attempt: int, answer: BaseHTTPResponse | None = None) -> float:
    """Return the seconds before the next attempt: as the server names them, or 0, 1, 2, 4 ...; never a long time."""
    named = None
    if answer is not None:
        with suppress(InvalidHeader, ValueError, OverflowError):
            named = Retry().get_retry_after(answer)
    own = 0.0 if attempt == 1 else 2.0 ** (attempt - 2)
    return min(named or own, LONGEST_PAUSE_SECONDS)


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
            return "name the variable that holds the key: --api-key-variable NAME"
        case 301 | 302 | 303 | 307 | 308 | 404 | 405:
            return "check the address: openai:http://host/v1#model, tei:http://host"
        case 400 | 413 | 422:
            return "is a text too long for the model? cut them: --max-characters 8000"
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


def estimate_tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of texts by their bytes, four to a token as in English."""
    return sum(math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4) for text in texts)
