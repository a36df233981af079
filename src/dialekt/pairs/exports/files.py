"""Rows as lines of JSON and labels as lines of tabs, and the count of what was written."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

QRELS_HEADER = ("query-id", "corpus-id", "score")


@dataclass(frozen=True, slots=True)
class Written:
    """What an export came to. `rows` counts by file; `left_out` says what had no place in the layout, and why."""

    pairs: int
    negatives: int
    rows: Mapping[str, int]
    left_out: tuple[str, ...] = ()


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    """Write rows as JSON, one a line, and return how many there were; no file for none."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return _write(path, lines)


def write_labels(path: Path, labels: Iterable[tuple[str, str, int]]) -> int:
    """Write labels with their header and return how many there were; no file for none."""
    lines = ["\t".join((query, unit, str(score))) for query, unit, score in labels]
    count = len(lines)
    _write(path, ["\t".join(QRELS_HEADER), *lines] if lines else [])
    return count


def _write(path: Path, lines: list[str]) -> int:
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)
