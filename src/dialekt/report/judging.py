"""The judging file: results for a person to grade, as a page that needs no network and as a table."""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dialekt.evaluation.labels import SHEET_COLUMNS
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_json

HTML_NAME = "judge.html"
CSV_NAME = "judge.csv"
_FORMULA = re.compile(r"[=+\-@\t]")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A result to grade, with its texts; which systems found it is not said."""

    query_id: str
    document_id: str
    query: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Grade:
    """A grade that a person may give, its key on the keyboard, and what it says."""

    value: float
    key: str
    meaning: str


def name_grades(scale: Sequence[float]) -> tuple[Grade, ...]:
    """Return the grades of a rising scale that starts with 0, on the keys from 0 upwards."""
    last = len(scale) - 1
    meanings = ["no answer", *("answers a part" for _ in scale[1:-1]), "answers"]
    if last > 2:
        meanings[1:-1] = [f"answers a part ({place} of {last})" for place in range(1, last)]
    return tuple(Grade(value, str(key), meanings[key]) for key, value in enumerate(scale))


def write_sheet(rows: Sequence[SheetRow], grades: Sequence[Grade], folder: Path, *, project: str) -> tuple[Path, Path]:
    """Write judge.csv and judge.html into a folder, each whole or not at all, and return their paths.

    The page loads nothing, keeps grades in the browser until they are saved as a file, and takes the keys of the
    grades. Equal rows give equal bytes.
    """
    table, page = folder / CSV_NAME, folder / HTML_NAME
    write_atomic(table, _csv(rows).encode("utf-8-sig"))  # the mark makes spreadsheets read UTF-8
    sheet = {
        "id": hash_json([asdict(row) for row in rows])[:16],
        "columns": SHEET_COLUMNS,
        "grades": [{"value": f"{grade.value:g}", "key": grade.key, "meaning": grade.meaning} for grade in grades],
        "rows": [asdict(row) for row in rows],
    }
    environment = Environment(loader=PackageLoader("dialekt.report"), autoescape=True, undefined=StrictUndefined)
    write_atomic(page, environment.get_template("judge.html").render(project=project, sheet=_script(sheet)))
    return table, page


def _csv(rows: Sequence[SheetRow]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(SHEET_COLUMNS)
    for row in rows:
        writer.writerow((row.query_id, row.document_id, *map(_harmless, (row.query, row.title, row.text)), ""))
    return buffer.getvalue()


def _harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would compute; ids stay, since they are read back."""
    return f"'{text}" if _FORMULA.match(text) else text


def _script(value: object) -> Markup:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - every character that HTML reads is escaped above
