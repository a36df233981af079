"""The judging file is a page without network and a table, with the same results and nothing about systems."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dialekt.report.judging import SheetRow, name_grades, write_sheet

ROWS = (
    SheetRow("q1", "a/1", "how </script> & why", 'A "title"', "first\nsecond, third"),
    SheetRow("q2", "b", "was ü", "", "<b>text</b>"),
)


def test_page_and_table_hold_the_same_rows(tmp_path: Path) -> None:
    """What the page shows is what the table says; no text ends the page's script."""
    table, page = write_sheet(ROWS, name_grades((0.0, 1.0)), tmp_path, project="pumps")
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    html = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    sheet = json.loads(found[1])
    assert [{**row, "grade": ""} for row in sheet["rows"]] == rows
    assert rows[0]["query"] == "how </script> & why"
    assert [one["key"] for one in sheet["grades"]] == ["0", "1"]


FORMULAS = (
    SheetRow("=q", "-d", "=HYPERLINK(1)", "+1", '-2, "x"'),
    SheetRow("q", "@d", "@SUM(1)", "\t=1", "a = b"),
)


def test_spreadsheets_compute_nothing(tmp_path: Path) -> None:
    """What begins like a formula gets an apostrophe; ids, which are read back, do not."""
    table, _ = write_sheet(FORMULAS, name_grades((0.0, 1.0)), tmp_path, project="pumps")
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = [list(row.values())[:5] for row in csv.DictReader(file)]
    assert rows == [
        ["=q", "-d", "'=HYPERLINK(1)", "'+1", '\'-2, "x"'],
        ["q", "@d", "'@SUM(1)", "'\t=1", "a = b"],
    ]


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's script")
def test_the_page_saves_the_same_table(tmp_path: Path) -> None:
    """Before anything is graded, the file that the page saves is judge.csv."""
    table, page = write_sheet((*ROWS, *FORMULAS), name_grades((0.0, 1.0)), tmp_path, project="pumps")
    html = page.read_text(encoding="utf-8")
    sheet = re.findall(r'id="sheet">(.*?)</script>', html)[0]
    functions = re.findall(r"^function (?:cell|harmless|table)\(.*?}$", html, re.DOTALL | re.MULTILINE)
    script = f"const sheet = {sheet}, rows = sheet.rows, grades = {{}};\n" + "\n".join(functions)
    saved = subprocess.run(
        ["node", "-e", f"{script}\nprocess.stdout.write(table())"], capture_output=True, check=True, timeout=60
    )
    assert saved.stdout == table.read_bytes()


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    """It has no address in it, so that it works offline and tells nobody."""
    _, page = write_sheet(ROWS, name_grades((0.0, 1.0)), tmp_path, project="pumps")
    assert not re.search(r"https?:|src=|@import|url\(", page.read_text(encoding="utf-8"))


def test_equal_rows_make_equal_files(tmp_path: Path) -> None:
    """The identity under which the browser keeps grades is that of the rows."""
    first = [path.read_bytes() for path in write_sheet(ROWS, name_grades((0.0, 1.0)), tmp_path / "a", project="p")]
    again = [path.read_bytes() for path in write_sheet(ROWS, name_grades((0.0, 1.0)), tmp_path / "b", project="p")]
    assert first == again


def test_every_grade_has_a_key_and_a_meaning() -> None:
    """The ends are no answer and an answer; what lies between is numbered where there are several."""
    assert [one.meaning for one in name_grades((0.0, 1.0))] == ["no answer", "answers"]
    assert [one.meaning for one in name_grades((0.0, 1.0, 2.0))] == ["no answer", "answers a part", "answers"]
    grades = name_grades((0.0, 1.0, 2.0, 3.0))
    assert [(one.key, one.meaning) for one in grades][1] == ("1", "answers a part (1 of 3)")
