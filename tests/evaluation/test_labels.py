"""What people said of top results is read strictly and joins the judgments."""

from pathlib import Path

import pytest
from tests.world import World

from dialekt.errors import InputError
from dialekt.evaluation.held import read_held
from dialekt.evaluation.labels import (
    GradedRow,
    Known,
    Label,
    grade_scale,
    join,
    load_labels,
    merge,
    read_labels,
    read_sheet,
    write_labels,
)
from dialekt.types import Qrel

KNOWN = Known({"q1", "q2"}, {"t1"}, {"a", "b"}, highest=1.0)
HEADER = "query_id,document_id,query,title,text,grade\n"


def write(folder: Path, *lines: str) -> Path:
    """Write a judging file."""
    path = folder / "judge.csv"
    path.write_text(HEADER + "".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_filled_in_file_is_read_and_empty_grades_are_left_out(tmp_path: Path) -> None:
    """Texts with commas, quotes and line ends do not disturb; a row without a grade says nothing."""
    path = write(tmp_path, 'q1,a,how?,"one, two","say ""no""\nand go",1', "q2,b,what?,,text, ")
    sheet = read_sheet(path, KNOWN)
    assert sheet.rows == (GradedRow("q1", "a", 1.0, line=3),)
    assert sheet.empty == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q1,a,,,,yes", r"judge.csv:2: the grade 'yes' is no number from 0 upwards"),
        ("q1,a,,,,-1", r"judge.csv:2: the grade '-1' is no number from 0 upwards"),
        ("q1,a,,,,2", r"judge.csv:2: the grade '2' is above 1, the highest of the judgments"),
        ("t1,a,,,,1", r"judge.csv:2: 't1' is a training query"),
        ("q9,a,,,,1", r"judge.csv:2: there is no query 'q9'"),
        ("q1,z,,,,1", r"judge.csv:2: there is no document 'z'"),
        (",a,,,,1", r"judge.csv:2: query_id is empty"),
    ],
)
def test_a_fault_is_named_with_file_line_and_value(tmp_path: Path, line: str, said: str) -> None:
    """A person can find and mend what is wrong."""
    with pytest.raises(InputError, match=said):
        read_sheet(write(tmp_path, line), KNOWN)


def test_another_table_is_refused(tmp_path: Path) -> None:
    """A file without the columns of a judging file says which one is missing."""
    path = tmp_path / "other.csv"
    path.write_text("a;b\n1;2\n", encoding="utf-8")
    with pytest.raises(InputError, match="there is no column 'query_id'"):
        read_sheet(path, KNOWN)


def test_the_last_word_on_a_result_counts() -> None:
    """A merge adds, changes and repeats, also within one file, and says how often."""
    before = (Label("q1", "a", 1.0, "monday"), Label("q1", "b", 0.0, "monday"))
    rows = [GradedRow("q1", "a", 0.0, 2), GradedRow("q1", "b", 0.0, 3), GradedRow("q2", "a", 1.0, 4)]
    merged = merge(before, [*rows, GradedRow("q2", "a", 0.0, 5)], at="tuesday")
    assert (merged.added, merged.changed, merged.repeated) == (1, 2, 1)
    assert merged.labels == (
        Label("q1", "a", 0.0, "tuesday"),
        Label("q1", "b", 0.0, "monday"),
        Label("q2", "a", 0.0, "tuesday"),
    )


def test_labels_survive_the_file(tmp_path: Path) -> None:
    """What is written is read back, ids with commas and quotes too; no file is no label."""
    path = tmp_path / "labels.csv"
    assert read_labels(path) == ()
    labels = (Label('a,"1"', "x y", 0.5, "now"), Label("b", "ü", 0.0, "then"))
    write_labels(path, labels)
    assert load_labels(path) == labels
    assert read_labels(path) == (Qrel('a,"1"', "x y", 0.5), Qrel("b", "ü", 0.0))


def test_a_label_beats_the_judgment_of_the_same_result() -> None:
    """The others stay."""
    qrels = [Qrel("q1", "a"), Qrel("q1", "b")]
    assert join(qrels, [Qrel("q1", "b", 0.0)]) == [Qrel("q1", "a"), Qrel("q1", "b", 0.0)]


def test_the_scale_is_that_of_the_judgments() -> None:
    """Few grades are offered as they are; of many only the ends of what is an answer."""
    assert grade_scale([Qrel("q", "a", 1.0), Qrel("q", "b", 0.0)], minimum_grade=1.0) == (0.0, 1.0)
    assert grade_scale([Qrel("q", "a", 2.0), Qrel("q", "b", 3.0)], minimum_grade=1.0) == (0.0, 1.0, 2.0, 3.0)
    estimates = [Qrel("q", str(step), step / 10) for step in range(1, 10)]
    assert grade_scale(estimates, minimum_grade=0.5) == (0.0, 0.5, 0.9)


def test_labels_of_held_out_queries_become_judgments(world: World) -> None:
    """A grade makes a positive or a judged other document; a label of a training query counts for nothing."""
    path = world.root / "labels.csv"
    labels = [Label("q0", "0/1", 1.0, ""), Label("q0", "1/0", 0.0, ""), Label("q30", "30/1", 1.0, "")]
    write_labels(path, labels)
    held = read_held(world.folder("split"), labels=path, minimum_grade=1.0)
    assert held.labels == 2
    assert set(held.judgments.positives("q0")) == {"0/0", "0/1", "0/2"}
    assert held.judgments.grades["q0"]["1/0"] == 0
    assert "q30" not in held.judgments.grades
