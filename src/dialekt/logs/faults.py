"""Where a file of the log is damaged: found line by line in bounded memory, once a fast reader has stumbled."""

import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

MAX_LINE_BYTES = 16 * 2**20
LINES_NAMED = 3


def fault_of(path: Path) -> tuple[int, str]:
    """Return the first line that cannot be read at all, and why; line 0 when every line can be."""
    number = 0
    try:
        for number, line in _bounded_lines(path):
            if line is None:
                return number, f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB"
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        return number + 1, f"the gzip stream is damaged or cut short ({error})"
    return 0, ""


def damaged_json_lines(path: Path) -> tuple[int, ...]:
    """Return the numbers of the first lines that are no JSON objects."""
    return tuple(islice(_damaged(path), LINES_NAMED))


def _damaged(path: Path) -> Iterator[int]:
    for number, line in _bounded_lines(path):
        if line is None or (line.strip() and not _is_object(line)):
            yield number


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _bounded_lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """Yield lines with their numbers from 1; None for a line that is too long, whose bytes are skipped."""
    with _open(path) as file:
        number = 0
        while piece := file.readline(MAX_LINE_BYTES):
            number += 1
            if piece.endswith(b"\n") or len(piece) < MAX_LINE_BYTES:
                yield number, piece
                continue
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(MAX_LINE_BYTES)
            yield number, None


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]
