"""The server's log."""

import io
import os
import threading
import time
from pathlib import Path

import orjson
import pytest

from dialekt.config import LogStyle
from dialekt.serving import journal as journal_module
from dialekt.serving.journal import Journal, JournalEvent, RequestLine, request_id

LINE = RequestLine("POST", "/embed", 200, 3.14159, "r-1", inputs=2, tokens=17, model="minilm@v3")


def written(*lines: RequestLine, style: LogStyle = LogStyle.JSON) -> list[bytes]:
    """Return what a journal writes for some requests."""
    stream = io.BytesIO()
    journal = Journal(stream, style)
    for line in lines:
        journal.request(line)
    journal.close()
    return stream.getvalue().splitlines()


def test_a_request_is_one_line_of_json() -> None:
    """Each request becomes one JSON object with counts and times."""
    (line,) = written(LINE)
    found = orjson.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {
        "event": "request", "method": "POST", "path": "/embed", "status": 200, "ms": 3.14,
        "inputs": 2, "tokens": 17, "model": "minilm@v3", "request_id": "r-1",
    }  # fmt: skip


def test_a_failed_request_names_its_error_type() -> None:
    """A request that failed says how; what it does not have is left out."""
    (line,) = written(RequestLine("POST", "/embed", 429, 0.1, "r-2", error_type="Overloaded"))
    found = orjson.loads(line)
    assert found["error_type"] == "Overloaded"
    assert "inputs" not in found
    assert "model" not in found


def test_text_style_is_for_people() -> None:
    """In text style a line starts with the time and says name=value."""
    (line,) = written(LINE, style=LogStyle.TEXT)
    assert b" request method=POST path=/embed status=200 ms=3.14 inputs=2 tokens=17 model=minilm@v3" in line


@pytest.mark.parametrize("style", LogStyle)
def test_a_path_cannot_forge_lines(style: LogStyle) -> None:
    """Line ends, terminal codes and half characters in a path are escaped, and a long path is cut."""
    (line,) = written(RequestLine("GET", "/\n\x1b[31m\ud800" + "x" * 1000, 404, 0.1, "r"), style=style)
    assert b"\x1b" not in line
    assert b"ud800" in line
    assert len(line) < 400


def test_lines_come_within_a_second() -> None:
    """A line is written without waiting for more or for the end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as stream, os.fdopen(reading, "rb") as reader:
        journal = Journal(stream, LogStyle.JSON)
        started = time.monotonic()
        journal.request(LINE)
        assert orjson.loads(reader.readline())["status"] == 200
        assert time.monotonic() - started < 1.0
        journal.close()


def test_many_threads_write_whole_lines() -> None:
    """Lines of several threads never mix, and none is lost."""
    stream = io.BytesIO()
    journal = Journal(stream, LogStyle.JSON)

    def write() -> None:
        for _ in range(500):
            journal.request(LINE)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2000
    assert all(orjson.loads(line)["event"] == "request" for line in lines)


def test_a_log_that_nobody_reads_costs_lines_not_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit lines are dropped, and the log says how many."""
    monkeypatch.setattr(journal_module, "MAX_WAITING_LINES", 10)
    stream = io.BytesIO()
    journal = Journal(stream, LogStyle.JSON)
    for _ in range(100):
        journal.request(LINE)
    journal.close()
    *_, last = stream.getvalue().splitlines()
    assert orjson.loads(last)["dropped_log_lines"] > 50


def test_a_closed_reader_stops_nothing() -> None:
    """A log whose reader has gone raises nothing in the server."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "wb", buffering=0)
    journal = Journal(stream, LogStyle.JSON)
    journal.request(LINE)
    journal.close()
    journal.request(LINE)
    stream.close()


def test_a_fault_keeps_no_message() -> None:
    """An unexpected error is logged by its kind and place: its message may hold a request's text."""
    stream = io.BytesIO()
    journal = Journal(stream, LogStyle.JSON)
    try:
        int("secret text")
    except ValueError as error:
        journal.fault(error, where="embed")
    journal.close()
    line = stream.getvalue()
    assert b"secret" not in line
    found = orjson.loads(line)
    assert (found["event"], found["error"], found["where"]) == (JournalEvent.FAULT, "ValueError", "embed")
    assert found["at"].startswith(Path(__file__).name)


def test_a_clients_request_id_is_kept_if_it_is_a_plain_word() -> None:
    """An id from outside is kept when it is short and plain, else a new one is made; new ones differ."""
    assert request_id("a1b2-c3:d4.e5_f6") == "a1b2-c3:d4.e5_f6"
    for given in (None, "", "a b", "a\nb", "ä", "x" * 129):
        assert request_id(given) != given
    assert len({request_id(None) for _ in range(100)}) == 100
