"""What people said of top results: the project's labels, and how they join the judgments of held-out queries."""

import csv
import io
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from dialekt.errors import InputError
from dialekt.store.atomic import write_atomic
from dialekt.store.rows import Row, read_rows
from dialekt.types import Qrel

SHEET_COLUMNS = ("query_id", "document_id", "query", "title", "text", "grade")
_HINT = "write this file with dialekt judge read, or mend the line"


@dataclass(frozen=True, slots=True)
class Label:
    """What a person said of a result: a grade on the scale of the judgments, and when."""

    query_id: str
    document_id: str
    grade: float
    at: str


LABEL_COLUMNS = tuple(field.name for field in fields(Label))


@dataclass(frozen=True, slots=True)
class GradedRow:
    """A row of a judging file that was graded, and its line there."""

    query_id: str
    document_id: str
    grade: float
    line: int


@dataclass(frozen=True, slots=True)
class GradedSheet:
    """The graded rows of a judging file, and how many were left empty."""

    rows: tuple[GradedRow, ...]
    empty: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a judging file may speak of; `highest` is the best grade of the judgments."""

    held_out_queries: Collection[str]
    train_queries: Collection[str]
    documents: Collection[str]
    highest: float


@dataclass(frozen=True, slots=True)
class Merged:
    """All labels after a merge, and what was added, changed to another grade, or said again."""

    labels: tuple[Label, ...]
    added: int
    changed: int
    repeated: int


def read_labels(path: Path) -> tuple[Qrel, ...]:
    """Return the labels as judgments; none where there is no file. Raises `InputError` with the line of a fault."""
    return tuple(Qrel(label.query_id, label.document_id, label.grade) for label in load_labels(path))


def load_labels(path: Path) -> tuple[Label, ...]:
    """Return the labels of the project, the later of two on the same result; none where there is no file."""
    if not path.is_file():
        return ()
    found: dict[tuple[str, str], Label] = {}
    for row in read_rows(path):
        query_id, document_id = _named(row, "query_id", path), _named(row, "document_id", path)
        grade = _grade(_named(row, "grade", path), path, row.line)
        found[query_id, document_id] = Label(query_id, document_id, grade, str(row.values.get("at") or ""))
    return tuple(found.values())


def join(qrels: Iterable[Qrel], labels: Sequence[Qrel]) -> list[Qrel]:
    """Return judgments with labels among them; on the same result the label counts."""
    said = {(label.query_id, label.document_id) for label in labels}
    return [*(qrel for qrel in qrels if (qrel.query_id, qrel.document_id) not in said), *labels]


def grade_scale(qrels: Iterable[Qrel], *, minimum_grade: float) -> tuple[float, ...]:
    """Return the grades that a person may give, rising: 0 and those of the judgments.

    Where these have more than five, as estimates from clicks do, 0, the lowest of an answer and the highest.
    """
    grades = {qrel.grade for qrel in qrels if qrel.grade > 0} | {minimum_grade}
    chosen = grades if len(grades) <= 5 else {minimum_grade, max(grades)}
    return (0.0, *sorted(chosen - {0.0}))


def read_sheet(path: Path, known: Known) -> GradedSheet:
    """Read a judging file that a person filled in.

    Raises `InputError` with file, line and value for a missing column, a query or document that the project has not
    got, a training query, and a grade that is no number from 0 to the highest of the judgments.
    """
    rows, empty = [], 0
    for row in read_rows(path):
        query_id, document_id = _named(row, "query_id", path), _named(row, "document_id", path)
        _check_ids(query_id, document_id, known, path=path, line=row.line)
        text = str(_cell(row, "grade", path)).strip()
        if not text:
            empty += 1
            continue
        grade = _grade(text, path, row.line)
        if grade > known.highest:
            raise InputError(
                f"the grade {text!r} is above {known.highest:g}, the highest of the judgments",
                path=path,
                line=row.line,
                hint=f"grades here go from 0 to {known.highest:g}",
            )
        rows.append(GradedRow(query_id, document_id, grade, row.line))
    return GradedSheet(tuple(rows), empty)


def merge(labels: Iterable[Label], graded: Iterable[GradedRow], *, at: str) -> Merged:
    """Put graded rows among the labels; the last word on a result counts, also within the file."""
    found = {(label.query_id, label.document_id): label for label in labels}
    added = changed = repeated = 0
    for row in graded:
        key = (row.query_id, row.document_id)
        before = found.get(key)
        added += before is None
        changed += before is not None and before.grade != row.grade
        repeated += before is not None and before.grade == row.grade
        if before is None or before.grade != row.grade:
            found[key] = Label(*key, row.grade, at)
    return Merged(tuple(found.values()), added, changed, repeated)


def write_labels(path: Path, labels: Iterable[Label]) -> None:
    """Write the labels of the project, whole or not at all."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(LABEL_COLUMNS)
    writer.writerows((label.query_id, label.document_id, f"{label.grade:g}", label.at) for label in labels)
    write_atomic(path, buffer.getvalue())


def _check_ids(query_id: str, document_id: str, known: Known, *, path: Path, line: int) -> None:
    if query_id in known.train_queries:
        raise InputError(
            f"{query_id!r} is a training query: labels count for held-out queries only",
            path=path,
            line=line,
            hint="remove the line; for training add the judgment to judgments.path",
        )
    if query_id not in known.held_out_queries:
        raise InputError(
            f"there is no query {query_id!r}",
            path=path,
            line=line,
            hint="was the id changed by a spreadsheet, or the split since? dialekt judge disputed writes a new file",
        )
    if document_id not in known.documents:
        raise InputError(
            f"there is no document {document_id!r}",
            path=path,
            line=line,
            hint="was the id changed by a spreadsheet? dialekt judge disputed writes a new file",
        )


def _named(row: Row, column: str, path: Path) -> str:
    text = str(_cell(row, column, path)).strip()
    if not text:
        raise InputError(f"{column} is empty", path=path, line=row.line, hint=_HINT)
    return text


def _cell(row: Row, column: str, path: Path) -> object:
    if column not in row.values:
        raise InputError(
            f"there is no column {column!r}",
            path=path,
            line=row.line,
            hint=f"the first line names the columns, separated by commas: {','.join(SHEET_COLUMNS)}",
        )
    value = row.values[column]
    return "" if value is None else value


def _grade(text: str, path: Path, line: int) -> float:
    try:
        grade = float(text)
    except ValueError:
        grade = math.nan
    if not (math.isfinite(grade) and grade >= 0):
        raise InputError(
            f"the grade {text!r} is no number from 0 upwards", path=path, line=line, hint="0 is no answer, empty unsaid"
        )
    return grade
