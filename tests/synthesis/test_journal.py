"""The journal of paid answers."""

from pathlib import Path

import pytest

from dialekt.errors import StorageError
from dialekt.models.llm import Answer
from dialekt.synthesis.journal import Journal


def test_answers_are_there_after_opening_again(tmp_path: Path) -> None:
    """Several answers to one request keep their order, whatever characters they hold."""
    path = tmp_path / "folder" / "answers.jsonl"
    with Journal(path) as journal:
        journal.add("a", Answer("first\n\u2028é", 3, 1))
        journal.add("a", Answer("second", 4, 2))
    assert Journal(path).answers("a") == [Answer("first\n\u2028é", 3, 1), Answer("second", 4, 2)]
    assert Journal(path).answers("b") == []


def test_a_torn_line_is_removed_before_more_is_written(tmp_path: Path) -> None:
    """What a kill left behind never joins the next line."""
    path = tmp_path / "answers.jsonl"
    with Journal(path) as journal:
        journal.add("a", Answer("kept", 1, 1))
    with path.open("ab") as file:
        file.write(b'{"request": "torn", "ans')
    with Journal(path) as journal:
        journal.add("b", Answer("new", 1, 1))
    assert Journal(path).answers("b") == [Answer("new", 1, 1)]
    assert len(path.read_bytes().splitlines()) == 2


def test_a_damaged_line_is_an_error_with_its_number(tmp_path: Path) -> None:
    """Someone edited the file: paid answers are never thrown away silently."""
    path = tmp_path / "answers.jsonl"
    with Journal(path) as journal:
        journal.add("a", Answer("kept", 1, 1))
    with path.open("ab") as file:
        file.write(b"oops\n")
    with pytest.raises(StorageError, match=r"answers\.jsonl:2: the line is no paid answer"):
        Journal(path)
