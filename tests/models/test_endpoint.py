"""Vectors come through HTTP in batches, are asked for once, and survive whatever stops the asking."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dialekt.errors import EndpointError, StorageError, UsageError
from dialekt.models.endpoint import EndpointKind, estimate_tokens, parse_endpoint
from dialekt.models.endpoint_client import WORK, Patience
from dialekt.models.remote import BATCH_TEXTS, RemoteEncoder
from dialekt.types import Progress, Role


@dataclass
class Seen:
    """A server and what it was asked. `answers` are statuses to send, with `refusal`, before it answers properly."""

    url: str = ""
    texts: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    answers: list[int] = field(default_factory=list)
    refusal: Callable[[Sequence[str]], Any] = lambda _: {"error": "not now"}
    retry_after: str = ""


def vector_of(text: str) -> list[float]:
    """A vector that depends on the text only."""
    return [float(len(text)), float(sum(map(ord, text)) % 97), 1.0]


Reply = Callable[[str, Sequence[str]], Any]


def proper(path: str, texts: Sequence[str]) -> Any:
    """Answer as OpenAI, in another order, or as TEI."""
    if path.endswith("/embeddings"):
        rows = [{"index": place, "embedding": vector_of(text)} for place, text in enumerate(texts)]
        return {"data": rows[::-1]}
    return [vector_of(text) for text in texts]


@contextmanager
def serving(reply: Reply = proper) -> Iterator[Seen]:
    """A server that speaks both protocols."""
    seen = Seen()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            texts = body.get("input") or body.get("inputs")
            seen.bodies.append(body)
            seen.keys.add(self.headers.get("Authorization", ""))
            status = seen.answers.pop(0) if seen.answers else 200
            if status == 200:
                seen.texts += texts
            content = json.dumps(reply(self.path, texts) if status == 200 else seen.refusal(texts)).encode()
            self.send_response(status)
            if status != 200 and seen.retry_after:
                self.send_header("Retry-After", seen.retry_after)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def asking(address: str, cache: Path, key: str = "", patience: Patience = WORK) -> Iterator[RemoteEncoder]:
    """An encoder that is closed."""
    encoder = RemoteEncoder(parse_endpoint(address), cache, key=key, patience=patience)
    try:
        yield encoder
    finally:
        encoder.close()


@pytest.mark.parametrize("form", ["openai:{url}/v1#m", "tei:{url}"])
def test_vectors_have_the_order_of_the_texts(tmp_path: Path, form: str) -> None:
    """Many batches at a time, and rows that come out of order, change nothing; vectors have length 1."""
    texts = [f"{'x' * (number % 7)}{number}" for number in range(3 * BATCH_TEXTS + 5)]
    with serving() as seen, asking(form.format(url=seen.url), tmp_path / "c.sqlite", key="secret") as encoder:
        vectors = encoder.embed(texts, Role.DOCUMENT)
    expected = np.array([vector_of(text) for text in texts], dtype=np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    assert seen.keys == {"Bearer secret"}
    assert max(len(body.get("input") or body["inputs"]) for body in seen.bodies) == BATCH_TEXTS


def test_no_text_is_asked_for_twice(tmp_path: Path) -> None:
    """Neither within a call nor in the next program; a new text is asked for alone."""
    cache = tmp_path / "c.sqlite"
    with serving() as seen:
        with asking(f"tei:{seen.url}", cache) as encoder:
            first = encoder.embed(["a", "bb", "a"], Role.QUERY)
        with asking(f"tei:{seen.url}", cache) as encoder:
            assert encoder.missing(["bb", "ccc"], Role.QUERY) == ["ccc"]
            again = encoder.embed(["a", "bb", "a", "ccc"], Role.QUERY)
    assert seen.texts == ["a", "bb", "ccc"]
    np.testing.assert_array_equal(first, again[:3])


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    """429 and 503 pass by; the caller does not see them."""
    with serving() as seen, asking(f"tei:{seen.url}", tmp_path / "c.sqlite") as encoder:
        seen.answers += [429, 503]
        assert encoder.embed(["a"], Role.QUERY).shape == (1, 3)
    assert len(seen.bodies) == 3


def test_what_was_answered_before_a_stop_is_kept(tmp_path: Path) -> None:
    """A request to stop in the middle loses no answer: the next call asks for the rest only."""
    texts = [str(number) for number in range(8 * BATCH_TEXTS)]
    cache = tmp_path / "c.sqlite"

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with serving() as seen:
        with asking(f"tei:{seen.url}", cache) as encoder, pytest.raises(KeyboardInterrupt):
            encoder.embed(texts, Role.DOCUMENT, progress=stop)
        answered = len(seen.texts)
        assert 0 < answered < len(texts)
        with asking(f"tei:{seen.url}", cache) as encoder:
            encoder.embed(texts, Role.DOCUMENT)
    assert sorted(seen.texts, key=int) == texts


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "--api-key-variable"), (404, "check the address"), (413, "--max-characters")]
)
def test_a_refusal_says_what_to_do(tmp_path: Path, status: int, hint: str) -> None:
    """The server's words are shown, and a hint that fits the status."""
    with serving() as seen, asking(f"tei:{seen.url}", tmp_path / "c.sqlite") as encoder:
        seen.answers += [status]
        with pytest.raises(EndpointError, match=rf"answers {status}: .*not now") as error:
            encoder.embed(["a"], Role.QUERY)
    assert hint in error.value.hint


SECRET = "the pump of patient\n  4711 leaks since Monday, says the nurse"


@pytest.mark.parametrize(
    ("refusal", "shown"),
    [
        (lambda texts: {"detail": [{"loc": ["input"], "msg": "too long", "input": texts}]}, "too long"),
        (lambda texts: {"error": {"type": "invalid", "message": "too long", "param": texts[0]}}, "invalid too long"),
        (lambda texts: {"message": "too long", "request": {"input": texts}}, "too long"),
        (lambda texts: {"detail": f"cannot read {' '.join(texts[0].split())[12:]!r}"}, ""),
        (lambda texts: {"error": f"no such thing: {texts[-1]}"}, ""),
        (lambda texts: texts[0], ""),
        (lambda texts: texts, ""),
    ],
)
def test_texts_do_not_come_back_in_errors(tmp_path: Path, refusal: Callable[[Sequence[str]], Any], shown: str) -> None:
    """Servers repeat what they refuse: their words are shown only where they hold none of ours."""
    with serving() as seen, asking(f"tei:{seen.url}", tmp_path / "c.sqlite") as encoder:
        seen.answers, seen.refusal = [422], refusal
        with pytest.raises(EndpointError, match="answers 422") as error:
            encoder.embed([SECRET, "pump leaks"], Role.QUERY)
    assert error.value.message.partition("answers 422")[2] == (f": {shown}" if shown else "")


def test_answers_without_vectors_are_not_shown(tmp_path: Path) -> None:
    """A server that returns what it was sent is named, its answer is not."""
    with (
        serving(lambda _, texts: {"echo": list(texts)}) as seen,
        asking(f"openai:{seen.url}#m", tmp_path / "c.sqlite") as encoder,
        pytest.raises(EndpointError, match=r"answers with no vectors$"),
    ):
        encoder.embed([SECRET], Role.DOCUMENT)


def test_a_stop_ends_pauses(tmp_path: Path) -> None:
    """Whoever stops does not wait until a busy server wants to be asked again."""

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    texts = [str(number) for number in range(2 * BATCH_TEXTS)]
    with serving() as seen, asking(f"tei:{seen.url}", tmp_path / "c.sqlite") as encoder:
        seen.answers, seen.retry_after = [429], "30"
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            encoder.embed(texts, Role.DOCUMENT, progress=stop)
        assert time.monotonic() - started < 10
        assert len(seen.bodies) == 2


def test_no_server_makes_us_wait_for_long(tmp_path: Path) -> None:
    """What it names as the time to come back is heeded up to a limit; what is no time is not."""
    short = Patience(longest_pause_seconds=0.2)
    for named in ("30", "Wed, 21 Oct 2099 07:28:00 GMT", "soon"):
        cache = tmp_path / f"{named}.sqlite"
        with serving() as seen, asking(f"tei:{seen.url}", cache, patience=short) as encoder:
            seen.answers, seen.retry_after = [429], named
            started = time.monotonic()
            assert encoder.embed(["a"], Role.QUERY).shape == (1, 3)
            assert time.monotonic() - started < 5


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[1.0], [float("nan")]], {"data": "none"}, [1.0, 2.0], [["a"], ["b"]]])
def test_what_are_no_vectors_is_refused(tmp_path: Path, rows: Any) -> None:
    """Too few rows, no numbers, another shape: nothing of it is kept."""
    with serving(lambda *_: rows) as seen, asking(f"tei:{seen.url}", tmp_path / "c.sqlite") as encoder:
        with pytest.raises(EndpointError, match="answers"):
            encoder.embed(["a", "b"], Role.QUERY)
        assert encoder.missing(["a", "b"], Role.QUERY) == ["a", "b"]


def test_a_model_that_changed_its_dimension_is_noticed(tmp_path: Path) -> None:
    """Vectors of two lengths under one address cannot be compared."""
    cache = tmp_path / "c.sqlite"
    short_for_short = serving(lambda _, texts: [[1.0, 2.0][: len(text)] for text in texts])
    with short_for_short as seen, asking(f"tei:{seen.url}", cache) as encoder:
        encoder.embed(["a"], Role.QUERY)
        with pytest.raises(StorageError, match="of several lengths"):
            encoder.embed(["a", "bb"], Role.QUERY)


def test_nobody_there_is_said(tmp_path: Path) -> None:
    """A wrong port is an error with the host's name."""
    with asking("tei:http://127.0.0.1:9", tmp_path / "c.sqlite") as encoder, pytest.raises(EndpointError) as error:
        encoder.embed(["a"], Role.QUERY)
    assert "127.0.0.1 does not answer" in error.value.message


def test_prompts_and_limit_belong_to_the_text() -> None:
    """Each role has its prompt; a cut text is sent cut, an empty one as a space, which servers take."""
    from dataclasses import replace

    endpoint = replace(parse_endpoint("tei:http://h"), query_prompt="query: ", max_characters=9)
    assert endpoint.prepare("pump", Role.QUERY) == "query: pu"
    assert endpoint.prepare("", Role.DOCUMENT) == " "


def test_addresses_are_read_strictly() -> None:
    """OpenAI's protocol needs a model; an address needs a scheme and a host."""
    found = parse_endpoint("openai:https://api.example.com/v1/#big")
    assert (found.kind, found.url, found.model) == (EndpointKind.OPENAI, "https://api.example.com/v1", "big")
    assert not found.is_local
    assert parse_endpoint("tei:http://localhost:80").is_local
    with pytest.raises(UsageError, match="names no model"):
        parse_endpoint("openai:http://h/v1")
    with pytest.raises(UsageError, match="is no address of a server"):
        parse_endpoint("tei:localhost:3000")


def test_tokens_are_estimated_by_bytes() -> None:
    """Four bytes a token, each text rounded up."""
    assert estimate_tokens(["abcd", "abcde", "ü"]) == 1 + 2 + 1
