"""Searches and clicks as files in the format of User Behavior Insights 1.3, which `dialekt pairs logs` reads.

A line is written whole and handed to the operating system before its request is answered: a killed server leaves at
most one line that is cut off, and readers pass over that.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

import orjson

from dialekt.config import SearchConfig, SearchLog
from dialekt.store.atomic import disk_errors

_EVENT_IDS = (
    "action_name", "timestamp", "query_id", "client_id", "session_id", "user_id", "application", "message_type",
)  # fmt: skip
_OBJECT_IDS = ("object_id", "object_id_field")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Searched:
    """One query and what it found, as the search log keeps it. `attributes` say how was searched."""

    query_id: str
    text: str
    hit_ids: tuple[str, ...]
    attributes: Row
    client_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    application: str | None = None


def _now() -> datetime:
    return datetime.now(UTC)


class UbiLog:
    """The search log of one server; any thread may write."""

    def __init__(self, config: SearchConfig, *, now: Callable[[], datetime] = _now):
        self._mode = config.log
        self._now = now
        self._queries = _Files(config.log_path, "ubi_queries", limit_bytes=config.log_file_bytes)
        self._events = _Files(config.log_path, "ubi_events", limit_bytes=config.log_file_bytes)

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._mode is not SearchLog.OFF

    def write_queries(self, searches: Sequence[Searched]) -> None:
        """Keep searches; their texts only where texts are kept. Raises `StorageError`."""
        if self.is_on:
            now = self._now()
            self._queries.append([self._query_row(search, now) for search in searches], now)

    def write_events(self, events: Sequence[Row]) -> int:
        """Keep events, without what may hold a text where only ids are kept; return how many. Raises `StorageError`."""
        if not self.is_on:
            return 0
        rows = events if self._mode is SearchLog.TEXTS else [_ids_only(event) for event in events]
        self._events.append(rows, self._now())
        return len(rows)

    def close(self) -> None:
        """Close the files."""
        self._queries.close()
        self._events.close()

    def _query_row(self, search: Searched, now: datetime) -> Row:
        row = {
            "query_id": search.query_id,
            "user_query": search.text if self._mode is SearchLog.TEXTS else None,
            "client_id": search.client_id,
            "session_id": search.session_id,
            "user_id": search.user_id,
            "application": search.application,
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "query_response_hit_ids": search.hit_ids,
            "query_attributes": search.attributes,
            "object_id_field": "id",
        }
        return {name: value for name, value in row.items() if value is not None}


def _ids_only(event: Row) -> Row:
    """Return what an event says by ids and numbers."""
    attributes = event.get("event_attributes", {})
    kept: dict[str, Any] = {name: value for name, value in attributes.items() if isinstance(value, int | float)}
    if "object" in attributes:
        kept["object"] = {name: value for name, value in attributes["object"].items() if name in _OBJECT_IDS}
    ordinal = attributes.get("position", {}).get("ordinal")
    if ordinal is not None:
        kept["position"] = {"ordinal": ordinal["index"] if isinstance(ordinal, dict) else ordinal}
    row = {name: event[name] for name in _EVENT_IDS if name in event}
    return row | {"event_attributes": kept} if kept else row


class _Files:
    """Files of one kind of row, one after the other: a new one by size, by day, and by process."""

    def __init__(self, folder: Path, prefix: str, *, limit_bytes: int):
        self._folder = folder
        self._prefix = prefix
        self._limit_bytes = limit_bytes
        self._stream: FileIO | None = None
        self._day = ""
        self._lock = threading.Lock()

    def append(self, rows: Sequence[Row], now: datetime) -> None:
        """Write rows, a line each, and hand them to the operating system."""
        content = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        with self._lock, disk_errors(self._folder):
            stream = self._open(now, len(content))
            try:
                _write(stream, content)
            except OSError:
                self._end()  # what comes next must not be joined to half a line
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self, now: datetime, size_bytes: int) -> FileIO:
        day = f"{now:%Y%m%d}"
        if self._stream is not None and (
            day != self._day
            or self._stream.tell() + size_bytes > self._limit_bytes
            or not os.fstat(self._stream.fileno()).st_nlink  # somebody deleted it
        ):
            self._end()
        if self._stream is None:
            self._stream, self._day = self._new_file(now), day
        return self._stream

    def _new_file(self, now: datetime) -> FileIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            try:
                return (self._folder / f"{self._prefix}-{now:%Y%m%dT%H%M%SZ}-{number}.ndjson").open("xb", buffering=0)
            except FileExistsError:  # of another process, or of this second
                number += 1


def _write(stream: FileIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]
