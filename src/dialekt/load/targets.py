"""The server under load: which API it speaks, what a request to it looks like, and what its metrics say."""

import http.client
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from dialekt.errors import EndpointError, UsageError
from dialekt.load.records import OK, Protocol, Target

PATIENCE_SECONDS = 30.0
SHOWN_CHARACTERS = 200
BATCH_TEXTS, BATCH_TOKENS = "te_batch_next_size", "te_batch_next_tokens"
_SAMPLE = re.compile(rf"^({BATCH_TEXTS}|{BATCH_TOKENS})_(sum|count)(?:{{[^}}]*}})?\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Access:
    """What a request carries beside its texts. `model` and `encoding` are left out where they are empty."""

    key: str = ""
    model: str = ""
    encoding: str = "base64"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one plain request."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the parsed body, None when it is no JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class BatchCounters:
    """What `/metrics` has counted so far: batches, their texts, and their tokens where those are told."""

    batches: float
    texts: float
    tokens: float | None


def parse_url(url: str) -> Target:
    """Read the address of a server, without asking it; raises `UsageError`."""
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{url!r} is no URL: {error}", hint="such as http://127.0.0.1:3000") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url!r} is no URL of a server", hint="such as http://127.0.0.1:3000")
    secure = parts.scheme == "https"
    root = parts.path.rstrip("/").removesuffix("/v1")
    return Target(url, parts.hostname, port or (443 if secure else 80), secure, Protocol.TEI, root)


def find_target(url: str, protocol: Protocol | None, access: Access) -> Target:
    """Ask a server what it speaks, unless that is said; raises `EndpointError` when nobody answers or it is neither."""
    target = parse_url(url)
    info = _ask(target, "/info", access.key)
    if protocol is not Protocol.OPENAI and isinstance(info, dict) and "model_id" in info:
        found = replace(target, protocol=Protocol.TEI, path=target.path + "/embed", name=str(info["model_id"]))
    elif protocol is Protocol.TEI:
        found = replace(target, path=target.path + "/embed")
    else:
        found = _openai(target, protocol, access)
    return _with_metrics(found, target.path, info)


def _openai(target: Target, protocol: Protocol | None, access: Access) -> Target:
    """Return the embeddings route: below /v1 as usual, or beside /models where the server lists its models there."""
    for prefix in ("/v1", ""):
        models = _ask(target, prefix + "/models", access.key)
        rows = models.get("data") if isinstance(models, dict) else None
        if isinstance(rows, list):
            name = access.model or next((str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row), "")
            path = f"{target.path}{prefix}/embeddings"
            return replace(target, protocol=Protocol.OPENAI, path=path, name=name)
    if protocol is Protocol.OPENAI:
        return replace(target, protocol=Protocol.OPENAI, path=target.path + "/v1/embeddings", name=access.model)
    raise EndpointError(
        f"{target.url} answers neither GET /info nor GET /v1/models as an embedding server would",
        hint="name what it speaks: --protocol tei or --protocol openai",
    )


def _with_metrics(target: Target, root: str, info: Any) -> Target:
    tokens = info.get("max_batch_tokens") if isinstance(info, dict) else None
    found = replace(target, batch_tokens=tokens if isinstance(tokens, int) else None)
    shown = fetch(found, f"{root}/metrics")
    counted = shown.status == OK and BATCH_TEXTS.encode() in shown.body
    return replace(found, metrics_path=f"{root}/metrics" if counted else "")


def _ask(target: Target, path: str, key: str) -> Any:
    reply = fetch(target, target.path + path, key=key)
    return reply.json() if reply.status == OK else None


def fetch(target: Target, path: str, *, key: str = "", body: bytes | None = None) -> Reply:
    """Send one request and wait for its answer; raises `EndpointError` when there is none."""
    kind = http.client.HTTPSConnection if target.secure else http.client.HTTPConnection
    connection = kind(target.host, target.port, timeout=PATIENCE_SECONDS)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    try:
        connection.request("GET" if body is None else "POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise EndpointError(
            f"{target.url} does not answer: {error}", hint="is the server up, and is this its address?"
        ) from error
    finally:
        connection.close()


def make_body(target: Target, texts: Sequence[str], access: Access) -> bytes:
    """Return the JSON of one request; a single text is sent as a string, as clients do."""
    inputs = texts[0] if len(texts) == 1 else list(texts)
    match target.protocol:
        case Protocol.TEI:
            return orjson.dumps({"inputs": inputs} | ({"model": access.model} if access.model else {}))
        case Protocol.OPENAI:
            fields = {"input": inputs, "model": access.model or target.name, "encoding_format": access.encoding}
            return orjson.dumps({name: value for name, value in fields.items() if value})


def make_requests(target: Target, texts: Sequence[str], access: Access, *, batch_size: int) -> tuple[bytes, ...]:
    """Return whole HTTP requests with `batch_size` texts each; texts that fill no request are left out."""
    groups = [texts[start : start + batch_size] for start in range(0, len(texts) - batch_size + 1, batch_size)]
    return tuple(frame_request(target, make_body(target, group, access), access) for group in groups)


def frame_request(target: Target, body: bytes, access: Access) -> bytes:
    """Return the bytes of one POST request."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {host}:{target.port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {access.key}"] if access.key else ()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def try_once(target: Target, texts: Sequence[str], access: Access) -> None:
    """Send one request as the load will; raises `EndpointError` with what the server says against it."""
    reply = fetch(target, target.path, key=access.key, body=make_body(target, texts, access))
    if reply.status == OK:
        return
    said = reply.body[:SHOWN_CHARACTERS].decode("utf-8", errors="replace")
    hint = "name the variable that holds the key: --api-key-env NAME" if reply.status == 401 else ""
    raise EndpointError(f"{target.url}: POST {target.path} answers {reply.status}: {said}", hint=hint)


def tls_context(target: Target) -> ssl.SSLContext | None:
    """Return how to check the server's certificate, None without TLS."""
    return ssl.create_default_context() if target.secure else None


def read_batches(target: Target) -> BatchCounters | None:
    """Return what the server has counted about its batches; None where it does not say."""
    if not target.metrics_path:
        return None
    reply = fetch(target, target.metrics_path)
    if reply.status != OK:
        return None
    totals: dict[str, float] = {}
    for name, part, value in _SAMPLE.findall(reply.body.decode("utf-8", errors="replace")):
        totals[f"{name}_{part}"] = totals.get(f"{name}_{part}", 0.0) + float(value)
    batches = totals.get(f"{BATCH_TEXTS}_count")
    if batches is None:
        return None
    return BatchCounters(batches, totals.get(f"{BATCH_TEXTS}_sum", 0.0), totals.get(f"{BATCH_TOKENS}_sum"))
