"""Where words go, on terminals of any encoding."""

import io
import json
import sys

import pytest

from dialekt.cli.screen import open_screen


def latin_terminal(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Let the terminal know western letters only, and return what is written to it."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    return written


def test_letters_that_a_terminal_lacks_are_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result is shown, not turned into an error."""
    written = latin_terminal(monkeypatch)
    screen = open_screen("search", as_json=False, quiet=False)
    screen.results.print("é ポンプ")
    sys.stdout.flush()
    assert written.getvalue().decode("latin-1").strip() == "é ???"


def test_json_says_every_letter_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaped where the encoding lacks it, so that whoever reads it gets the same text."""
    written = latin_terminal(monkeypatch)
    open_screen("search", as_json=True, quiet=False).finish({"id": "ポンプ"})
    assert json.loads(written.getvalue())["id"] == "ポンプ"
