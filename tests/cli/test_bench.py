"""`dialekt bench serve` prints what it measured, compares two servers, and writes a page."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.load.conftest import Serve, Subject, serve

__all__ = ["serve"]

Dialekt = Callable[..., Any]
QUICK = ("--requests", "30", "--warmup", "0", "--concurrency", "4")


def test_a_server_is_measured(dialekt: Dialekt, serve: Serve) -> None:
    """The table names rates, percentiles, errors and batch fill."""
    with serve() as subject:
        answer = dialekt("bench", "serve", subject.url, *QUICK)
    assert answer.code == 0, answer.err
    for word in ("requests/s", "texts/s", "tokens/s", "p50", "p99", "none", "texts/batch", "28 (10%)"):
        assert word in answer.out
    assert "4 clients at a time, 1 text a request (short)" in answer.err


def test_facts_are_one_object(dialekt: Dialekt, serve: Serve) -> None:
    """With --json rates and latencies of every server, and nothing else on stdout."""
    with serve() as subject:
        facts = dialekt("bench", "serve", subject.url, *QUICK, "--batch-size", "2", "--length", "20", "--json").json
    assert facts["schema"] == "dialekt.bench.serve/1"
    (server,) = facts["servers"]
    assert (server["protocol"], server["requests"], server["failures"]) == ("tei", 30, {})
    assert server["texts_per_second"] == pytest.approx(2 * server["requests_per_second"])
    assert facts["ratios"] == []


def test_two_servers_are_compared(dialekt: Dialekt, serve: Serve, tmp_path: Path) -> None:
    """Ratios with intervals over interleaved rounds; the page shows both and loads nothing."""
    page = tmp_path / "load.html"
    with serve() as one, serve() as other:
        words = ("--compare", other.url, "--rounds", "3", "--html", page, *QUICK)
        answer = dialekt("bench", "serve", one.url, *words, "--json")
        assert answer.code == 0, answer.err
        names = [ratio["name"] for ratio in answer.json["ratios"]]
        html = page.read_text(encoding="utf-8")
        assert all(subject.url.removeprefix("http://") in html for subject in (one, other))
    assert names == ["texts/s", "p50", "p99"]
    assert all(ratio["low"] <= ratio["value"] <= ratio["high"] for ratio in answer.json["ratios"])
    assert html.count("<svg") == 3
    assert "src=" not in html


def test_texts_of_a_file_are_sent(dialekt: Dialekt, serve: Serve, tmp_path: Path) -> None:
    """Lines come again until they fill a request."""
    texts = tmp_path / "texts.txt"
    texts.write_text("eins\nzwei\n", encoding="utf-8")
    with serve() as subject:
        answer = dialekt("bench", "serve", subject.url, *QUICK, "--texts", texts, "--batch-size", "3")
        assert answer.code == 0, answer.err
        assert subject.bodies[0] == {"inputs": ["eins", "zwei", "eins"]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_to_end_prints_what_was_measured(dialekt: Dialekt, serve: Serve, workers: str) -> None:
    """Ctrl-C ends the load, not the command: the numbers until then are shown, by all processes."""
    with serve() as subject:
        answering = threading.Event()
        timer = threading.Thread(target=_interrupt_under_load, args=(subject, answering))
        timer.start()
        words = ("--duration", "60", "--warmup", "0", "--workers", workers)
        answer = dialekt("bench", "serve", subject.url, *words, "--json")
        timer.join()
    assert answer.code == 0, answer.err
    (server,) = answer.json["servers"]
    assert server["stopped"]
    assert server["answered"] > 0
    assert server["seconds"] < 60


def _interrupt_under_load(subject: Subject, pause: threading.Event) -> None:
    while len(subject.bodies) < 20:
        pause.wait(0.05)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("http://127.0.0.1:9",), 1, "does not answer"),
        (("http://127.0.0.1:9", "--length", "huge"), 2, "is no length"),
        (("http://127.0.0.1:9", "--protocol", "grpc"), 2, "is no protocol"),
        (("http://127.0.0.1:9", "--api-key-env", "NOT_SET_HERE"), 2, "the environment has no NOT_SET_HERE"),
        (("ftp://x",), 2, "is no URL"),
    ],
)
def test_what_cannot_work_is_two_lines(dialekt: Dialekt, words: tuple[str, ...], code: int, said: str) -> None:
    """What is wrong and what to do, before anything is sent."""
    answer = dialekt("bench", "serve", *words)
    assert answer.code == code
    assert said in answer.err
    assert "hint: " in answer.err


def test_a_missing_extra_is_named(dialekt: Dialekt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the parser of answers the command says what to install."""
    monkeypatch.setitem(sys.modules, "httptools", None)
    answer = dialekt("bench", "serve", "http://127.0.0.1:9")
    assert (answer.code, answer.out) == (1, "")
    assert "needs the optional dependency set 'serve'" in answer.err
    assert "pip install 'dialekt[serve]'" in answer.err
