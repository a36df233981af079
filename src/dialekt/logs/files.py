"""Paths, folders, globs and object-store URLs → the files of a log."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb

from dialekt.errors import InputError
from dialekt.logs.database import first_line

_URL = re.compile(r"^(https?|s3|gs|gcs|r2)://")
_SUFFIXES = {
    ".ndjson": "json",
    ".jsonl": "json",
    ".json": "json",
    ".csv": "separated",
    ".tsv": "separated",
    ".txt": "separated",
    ".parquet": "parquet",
}


class FileKind(StrEnum):
    """How the rows of a file are written."""

    JSON = "json"
    SEPARATED = "separated"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of the log. `address` is a path or a URL; `size_bytes` is 0 for a URL."""

    address: str
    kind: FileKind
    size_bytes: int

    @property
    def is_remote(self) -> bool:
        """Say whether the file is fetched over the network."""
        return bool(_URL.match(self.address))


def find_files(connection: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> tuple[LogFile, ...]:
    """Return the files that paths, folders, globs and URLs name, each once and in order.

    Raises `InputError` for a path that names no file, a file of an unknown kind, or a URL that cannot be reached.
    """
    found: dict[str, LogFile] = {}
    for path in paths:
        for file in _remote(connection, path) if _URL.match(path) else _local(Path(path).expanduser()):
            found.setdefault(file.address, file)
    return tuple(found.values())


def _local(path: Path) -> list[LogFile]:
    if path.is_file():
        return [_log_file(path)]
    if path.is_dir():
        names = sorted(item for item in path.rglob("*") if item.is_file() and _kind(item.name))
        if names:
            return [_log_file(item) for item in names]
        raise InputError("the folder has no log files", path=path, hint=f"looked for {', '.join(_SUFFIXES)}, also .gz")
    anchor = Path(path.anchor)
    pattern = str(path.relative_to(anchor)) if path.anchor else str(path)
    matched = sorted(item for item in anchor.glob(pattern) if item.is_file()) if "*" in pattern else []
    if not matched:
        raise InputError("there is no such file", path=path, hint="check logs.path; * and ** stand for any names")
    return [_log_file(item) for item in matched]


def _log_file(path: Path) -> LogFile:
    kind = _kind(path.name)
    if kind is None:
        raise InputError(
            f"{path.suffix or 'no suffix'!r} is not a kind of log file",
            path=path,
            hint=f"use {', '.join(_SUFFIXES)}, plain or .gz",
        )
    return LogFile(str(path), kind, path.stat().st_size)


def _kind(name: str) -> FileKind | None:
    suffix = Path(name.lower().partition("?")[0].removesuffix(".gz").removesuffix(".zst")).suffix
    return FileKind(_SUFFIXES[suffix]) if suffix in _SUFFIXES and not name.startswith(".") else None


def _remote(connection: duckdb.DuckDBPyConnection, url: str) -> list[LogFile]:
    _load_network(connection, url)
    pattern = f"{url.rstrip('/')}/**" if _kind(url) is None and not url.startswith("http") else url
    try:
        names = [name for (name,) in connection.execute("SELECT file FROM glob(?) ORDER BY file", [pattern]).fetchall()]
    except duckdb.Error as error:
        raise InputError(f"cannot be listed: {first_line(error)}", path=url, hint="check address and keys") from None
    files = [LogFile(name, kind, 0) for name in names if (kind := _kind(name))]
    if not files:
        raise InputError("there are no log files there", path=url, hint=f"looked for {', '.join(_SUFFIXES)}")
    return files


def _load_network(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    try:
        connection.execute("INSTALL httpfs")
        connection.execute("LOAD httpfs")
    except duckdb.Error as error:
        raise InputError(
            f"reading URLs needs DuckDB's httpfs extension, which could not be fetched: {first_line(error)}",
            path=url,
            hint="connect to the network once, or copy the files to a local folder and name that",
        ) from None
