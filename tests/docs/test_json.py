"""The page of JSON output names what scripts find."""

import json
import re
from pathlib import Path

import pytest
from tests.docs.reading import REPOSITORY

from dialekt.cli import main

PAGE = (REPOSITORY / "docs" / "json.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([\w.]+)`", PAGE)) | {"schema", "dry_run"}
COMMANDS = (
    ("run",),
    ("run", "--dry-run"),
    ("mine",),
    ("pairs", "synthesize", "--set", 'synthesis.generators=["local"]'),
    ("report",),
    ("diagnose", "--set", "diagnosis.minutes=3", "--set", "diagnosis.seeds=1"),
    ("models", "list"),
    ("models", "show"),
    ("models", "promote", "v1"),
    ("models", "export", "v1", "exported"),
    ("models", "show", "v9"),
    ("init", "elsewhere"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_keys_of_answers_are_on_the_page(
    words: tuple[str, ...], project_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Schema, keys and the keys of stages and versions are named; facts belong to their stage."""
    monkeypatch.chdir(project_copy)
    main([*words, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] in PAGE
    inner = [*answer.get("stages", ()), *answer.get("versions", ())]
    assert {key for part in (answer, *inner) for key in part} <= NAMED
