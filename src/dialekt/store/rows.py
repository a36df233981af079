"""Rows of users' files: JSONL, CSV, TSV and Parquet, plain or gzipped, with the line of every fault."""

import codecs
import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from dialekt.errors import InputError

csv.field_size_limit(sys.maxsize)

ROW_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a user's file. `line` counts from 1, as editors do."""

    values: dict[str, Any]
    line: int


def bare_suffix(path: Path) -> str:
    """Return the suffix without a trailing `.gz`, in lower case: `corpus.JSONL.gz` → `.jsonl`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def read_rows(path: Path, *, header: tuple[str, ...] | None = None) -> Iterator[Row]:
    """Yield the rows of a file, whatever its format; `header` names the columns of a CSV or TSV without a header line.

    Raises `InputError` with file and line for invalid UTF-8, a truncated or malformed line, or an unknown format.
    """
    if not path.is_file():
        raise InputError("there is no such file", path=path, hint="check the path in dialekt.toml")
    match bare_suffix(path):
        case ".jsonl" | ".ndjson":
            yield from _json_lines(path)
        case ".json":
            yield from _json_array(path) if _starts_with_bracket(path) else _json_lines(path)
        case ".csv":
            yield from _separated(path, ",", header)
        case ".tsv" | ".txt":
            yield from _separated(path, "\t", header)
        case ".parquet":
            yield from _parquet(path)
        case suffix:
            raise InputError(
                f"{suffix or 'no suffix'!r} is not a format of rows",
                path=path,
                hint=f"use {', '.join(ROW_SUFFIXES)}, plain or .gz",
            )


def read_json(path: Path) -> Any:
    """Read a whole JSON file, plain or gzipped."""
    text = "\n".join(line for line, _ in _lines(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not valid JSON: {error.msg}", path=path, line=error.lineno, hint="mend the file"
        ) from None


def read_lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the lines of a text file without their ends, plain or gzipped, with their numbers from 1."""
    if not path.is_file():
        raise InputError("there is no such file", path=path, hint="check the path in dialekt.toml")
    yield from _lines(path)


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield decoded lines without their end, with their number."""
    number = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, start=1):
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n"), number
    except UnicodeDecodeError as error:
        raise InputError(
            f"is not valid UTF-8 ({error.reason} at byte {error.start} of the line)",
            path=path,
            line=number,
            hint=f"convert the file: iconv -f {_encoding_of(path)} -t utf-8",
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"the gzip stream is damaged or cut short: {error}", path=path, line=number + 1, hint="copy the file again"
        ) from None


def _encoding_of(path: Path) -> str:
    """Return what a file that is not UTF-8 is written in: its first bytes tell UTF-16, Latin-1 is but a guess."""
    with _open(path) as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin1"


def _starts_with_bracket(path: Path) -> bool:
    return next((text.lstrip()[0] for text, _ in _lines(path) if text.strip()), "") == "["


def _json_array(path: Path) -> Iterator[Row]:
    """Yield the objects of one JSON array; `line` is then the position in the array, from 1."""
    for number, values in enumerate(read_json(path), start=1):
        if not isinstance(values, dict):
            raise InputError(
                f"expected JSON objects in the array, found {type(values).__name__}",
                path=path,
                line=number,
                hint="a .json file of rows is an array of objects, or one object per line",
            )
        yield Row(values, number)


def _json_lines(path: Path) -> Iterator[Row]:
    for text, line in _lines(path):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(
                f"is not a JSON object: {error.msg} (column {error.colno})",
                path=path,
                line=line,
                hint="one JSON object per line; is the line cut short?",
            ) from None
        if not isinstance(values, dict):
            raise InputError(
                f"expected a JSON object, found {type(values).__name__}",
                path=path,
                line=line,
                hint="one JSON object per line",
            )
        yield Row(values, line)


def _separated(path: Path, delimiter: str, header: tuple[str, ...] | None) -> Iterator[Row]:
    numbers: list[int] = [0]

    def texts() -> Iterator[str]:
        for text, line in _lines(path):
            numbers[0] = line
            yield text + "\n"

    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(texts(), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        names = list(header) if header else [name.strip() for name in next(reader, [])]
        for cells in reader:
            if not cells or cells == [""]:
                continue
            if len(cells) != len(names):
                raise InputError(
                    f"has {len(cells)} columns, expected {len(names)} ({', '.join(names)})",
                    path=path,
                    line=numbers[0],
                    hint="is the line cut short, or a separator unquoted?",
                )
            yield Row(dict(zip(names, cells, strict=True)), numbers[0])
    except csv.Error as error:
        raise InputError(
            f"is not valid CSV: {error}", path=path, line=numbers[0], hint="check quotes and separators"
        ) from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(io.BytesIO(path.read_bytes()) if path.name.lower().endswith(".gz") else path)
        line = 0
        for batch in file.iter_batches(batch_size=4096):
            for values in batch.to_pylist():
                line += 1
                yield Row(values, line)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"is not a readable Parquet file: {error}", path=path, hint="write the file again") from None
