"""The server's log: one line per request and per event, for machines or for people.

A line holds counts, times and names, never a text, a vector or a key. A thread of its own writes, so a slow reader
of the log holds no request up; lines wait a quarter of a second to be written together.
"""

import itertools
import os
import queue
import re
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, TypeAlias

import orjson

from dialekt.config import LogStyle

Fact: TypeAlias = str | int | float | bool | None
FLUSH_SECONDS = 0.25
MAX_WAITING_LINES = 50_000  # some 15 MB; a log that nobody reads must not fill the memory
MAX_PATH_CHARACTERS = 128
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PROCESS = os.urandom(4).hex()
_NUMBERS = itertools.count(1)


class JournalEvent(StrEnum):
    """What a line tells of."""

    REQUEST = "request"
    START = "start"
    TRY = "try"
    LOAD = "load"
    READY = "ready"
    RELOAD = "reload"
    EVICT = "evict"
    WARNING = "warning"
    FAULT = "fault"
    DRAIN = "drain"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What the log keeps of a request; `path` without its query string, `model` as `name@v3`."""

    method: str
    path: str
    status: int
    milliseconds: float
    request_id: str
    inputs: int = 0
    tokens: int = 0
    model: str = ""
    error_type: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line before it is written: when, and of what."""

    seconds: float
    event: JournalEvent
    facts: RequestLine | Mapping[str, Fact]


class Journal:
    """Writes lines to a stream from a thread of its own; `close` writes what is waiting."""

    def __init__(self, stream: BinaryIO, style: LogStyle) -> None:
        self._stream = stream
        self._style = style
        self._waiting: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._dropped = 0
        self._writer = threading.Thread(target=self._write, name="dialekt-journal", daemon=True)
        self._writer.start()

    def request(self, line: RequestLine) -> None:
        """Write the line of a request that was answered."""
        self._put(_Entry(time.time(), JournalEvent.REQUEST, line))

    def note(self, event: JournalEvent, **facts: Fact) -> None:
        """Write a line of something that happened to the server or to a model."""
        self._put(_Entry(time.time(), event, facts))

    def fault(self, error: BaseException, *, where: str) -> None:
        """Write where an unexpected error came from; not its message, which may hold a request's text."""
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        self.note(JournalEvent.FAULT, where=where, error=type(error).__name__, at=places)

    def close(self) -> None:
        """Write what is waiting and end the thread; lines after this are dropped."""
        if not self._closing.is_set():
            self._closing.set()
            self._waiting.put(None)
            self._writer.join(timeout=5.0)

    def _put(self, entry: _Entry) -> None:
        if self._closing.is_set() or self._waiting.qsize() >= MAX_WAITING_LINES:
            self._dropped += 1
        else:
            self._waiting.put(entry)

    def _write(self) -> None:
        going = True
        while going:
            entry = self._waiting.get()
            self._closing.wait(FLUSH_SECONDS)
            entries = [entry, *self._drain()]
            going = None not in entries
            self._write_lines([found for found in entries if found is not None])

    def _drain(self) -> list[_Entry | None]:
        return [self._waiting.get() for _ in range(self._waiting.qsize())]

    def _write_lines(self, entries: list[_Entry]) -> None:
        dropped, self._dropped = self._dropped, 0
        if dropped:
            entries.append(_Entry(time.time(), JournalEvent.WARNING, {"dropped_log_lines": dropped}))
        with suppress(OSError):  # nobody reads the log any more: the server goes on
            self._stream.write(b"".join(_format(entry, self._style) for entry in entries))
            self._stream.flush()


def request_id(given: str | None) -> str:
    """Return a client's own id of its request if it is a plain word, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_PROCESS}-{next(_NUMBERS):x}"


def _format(entry: _Entry, style: LogStyle) -> bytes:
    """Return a line as it is written, with its end."""
    at = datetime.fromtimestamp(entry.seconds, UTC)
    facts = _request_facts(entry.facts) if isinstance(entry.facts, RequestLine) else entry.facts
    shown = {name: _plain(value) if isinstance(value, str) else value for name, value in facts.items()}
    match style:
        case LogStyle.JSON:
            line = {"time": at, "event": entry.event.value, **shown}
            return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
        case LogStyle.TEXT:
            words = " ".join(f"{name}={_word(value)}" for name, value in shown.items())
            return f"{at:%Y-%m-%d %H:%M:%S} {entry.event.value:<7} {words}\n".encode()


def _request_facts(line: RequestLine) -> dict[str, Fact]:
    """Return a request's facts; what is empty is left out."""
    facts: dict[str, Fact] = {
        "method": line.method,
        "path": line.path[:MAX_PATH_CHARACTERS],
        "status": line.status,
        "ms": round(line.milliseconds, 2),
    }
    if line.inputs:
        facts |= {"inputs": line.inputs, "tokens": line.tokens}
    if line.model:
        facts["model"] = line.model
    if line.error_type:
        facts["error_type"] = line.error_type
    facts["request_id"] = line.request_id
    return facts


def _plain(text: str) -> str:
    """Return a text on one line, without what a terminal obeys or UTF-8 does not know."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _word(value: Fact) -> str:
    """Return a value so that the facts of a line can be told apart."""
    text = str(value)
    return f'"{text}"' if " " in text or not text else text
