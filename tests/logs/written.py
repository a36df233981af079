"""Small logs written by hand, read and cleaned as the stage does."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dialekt.config import CleaningConfig, LogsConfig
from dialekt.logs.cleaning import Cleaned, clean
from dialekt.logs.database import open_database
from dialekt.logs.reading import Reading, read_logs
from dialekt.logs.searches import Found, find_searches

GAP_SECONDS = 1800.0
MINUTE = 60
START = 1_700_000_000


@dataclass(frozen=True)
class Intake:
    """A log that was read and searched through, in its open database."""

    connection: duckdb.DuckDBPyConnection
    reading: Reading
    found: Found

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        return self.connection.execute(sql).fetchall()

    def pages(self) -> list[tuple[Any, ...]]:
        """Return query, document, rank and grade of everything shown, in order."""
        return self.rows("""
            SELECT raw, document_id, rank, grade FROM shown JOIN searches USING (search_no)
            JOIN spellings USING (query_key) JOIN documents USING (document_key) ORDER BY ALL
        """)


@contextmanager
def taken_in(folder: Path, *paths: Path, **settings: Any) -> Iterator[Intake]:
    """Read files of a log; `settings` are those of the configuration's section."""
    config = LogsConfig(path=tuple(map(str, paths)), **settings)
    with open_database(folder / "scratch") as connection:
        reading = read_logs(connection, config)
        yield Intake(connection, reading, find_searches(connection, config, gap_seconds=GAP_SECONDS))


@contextmanager
def cleaned(
    folder: Path, rows: Iterable[Mapping[str, object]], **rules: Any
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Cleaned]]:
    """Clean a flat log; `rules` are those of the configuration's section."""
    config = CleaningConfig(**rules)
    log = LogsConfig(path=(str(write_lines(folder / "log.jsonl", rows)),))
    with open_database(folder / "scratch") as connection:
        read_logs(connection, log, internal_clients=config.internal_clients)
        find_searches(connection, log, gap_seconds=GAP_SECONDS)
        yield connection, clean(connection, config)


def queries_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the texts of the clean queries."""
    return [text for (text,) in connection.execute("SELECT text FROM queries ORDER BY text").fetchall()]


def write_lines(path: Path, rows: Iterable[Mapping[str, object] | str]) -> Path:
    """Write objects as NDJSON, and texts as the lines they are; gzipped if the name says so."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def ubi_query(number: int, text: str, **more: object) -> dict[str, object]:
    """Return a query of the UBI standard."""
    return {
        "query_id": f"q{number}",
        "user_query": text,
        "client_id": f"c{number}",
        "timestamp": "2026-03-01T10:00:00Z",
    } | more


def ubi_event(number: int, action: str, document: object, ordinal: object, **more: object) -> dict[str, object]:
    """Return an event of the UBI standard on a document at a place of the page."""
    attributes = {"object": {"object_id": document}, "position": {"ordinal": ordinal}}
    return {
        "action_name": action,
        "query_id": f"q{number}",
        "client_id": f"c{number}",
        "session_id": f"s{number}",
        "timestamp": "2026-03-01T10:00:05Z",
        "event_attributes": attributes,
    } | more


def search(
    client: str, query: str, *, clicked: int = 0, shown: int = 3, at: float = 0, number: int = 0
) -> list[dict[str, object]]:
    """Return the rows of one flat result page; the document at rank `clicked` was clicked, 0 for none."""
    return [
        {
            "search_id": f"{client}-{number}-{at}-{query}",
            "client": client,
            "query": query,
            "doc_id": f"d{rank}",
            "rank": rank,
            "clicked": rank == clicked,
            "timestamp": START + at,
        }
        for rank in range(1, shown + 1)
    ]
