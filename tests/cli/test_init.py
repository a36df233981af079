"""`dialekt init`."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dialekt.config import Config, load_config

Dialekt = Callable[..., Any]


def test_the_file_says_nothing_but_the_defaults(dialekt: Dialekt, tmp_path: Path) -> None:
    """Every setting is there and commented out, so that the file loads as the defaults plus the project's name."""
    dialekt("init", tmp_path / "new")
    text = (tmp_path / "new" / "dialekt.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"] == {"name": "new"}
    for section, field in Config.model_fields.items():
        assert f"[{section}]" in text
        for key in field.annotation.model_fields:  # type: ignore[union-attr]
            assert re.search(rf"^(# )?{key} =", text, re.MULTILINE), f"{section}.{key}"


def test_the_commented_defaults_are_the_defaults(dialekt: Dialekt, tmp_path: Path) -> None:
    """Uncommenting every default gives the same configuration: the file does not lie."""
    dialekt("init", tmp_path)
    path = tmp_path / "dialekt.toml"
    plain = load_config(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    shown = [re.sub(r"^# (?=\w+ = (?!   \(unset\)))", "", line) for line in lines]
    path.write_text("\n".join(shown), encoding="utf-8")
    assert load_config(path) == plain


def test_logs_and_made_queries_are_written(dialekt: Dialekt, tmp_path: Path) -> None:
    """Logs are paths, globs or URLs; --synthesize turns the local generator on."""
    (tmp_path / "clicks.tsv").write_text("query\tdoc_id\n", encoding="utf-8")
    inside = str(tmp_path / "clicks.tsv")
    dialekt("init", tmp_path, "--logs", inside, "--logs", "s3://bucket/*.gz", "--synthesize")
    written = tomllib.loads((tmp_path / "dialekt.toml").read_text(encoding="utf-8"))
    assert written["logs"] == {"path": ["clicks.tsv", "s3://bucket/*.gz"]}
    assert written["synthesis"] == {"generators": ["local"]}
    assert load_config(tmp_path / "dialekt.toml").logs.path == (inside, "s3://bucket/*.gz")


def test_paths_are_written_relative_to_the_project(dialekt: Dialekt, tmp_path: Path) -> None:
    """A corpus inside the project is named relative to it, one outside by its whole path."""
    (tmp_path / "home" / "docs").mkdir(parents=True)
    (tmp_path / "judged").mkdir()
    dialekt("init", tmp_path / "home", "--corpus", tmp_path / "home" / "docs", "--judgments", tmp_path / "judged")
    written = tomllib.loads((tmp_path / "home" / "dialekt.toml").read_text(encoding="utf-8"))
    assert written["corpus"] == {"path": "docs"}
    assert written["judgments"] == {"path": str(tmp_path / "judged")}


def test_a_project_is_never_overwritten(dialekt: Dialekt, tmp_path: Path) -> None:
    """A second init is refused as wrong usage and changes nothing."""
    (tmp_path / "dialekt.toml").write_text("# mine\n", encoding="utf-8")
    answer = dialekt("init", tmp_path)
    assert answer.code == 2
    assert "there is a project already" in answer.err
    assert (tmp_path / "dialekt.toml").read_text(encoding="utf-8") == "# mine\n"


def test_the_next_command_is_said(dialekt: Dialekt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With documents the next step is `dialekt diagnose`; without them it is to name them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    assert "Next: dialekt diagnose (worth it?), dialekt run" in dialekt("init", "--corpus", "docs").out
    assert "set corpus.path" in dialekt("init", "elsewhere").out


def test_a_corpus_that_is_not_there_is_refused(dialekt: Dialekt, tmp_path: Path) -> None:
    """A path that does not exist is the user's error, and no file is written."""
    answer = dialekt("init", tmp_path / "home", "--corpus", tmp_path / "nowhere", "--json")
    assert (answer.code, answer.json["schema"]) == (1, "dialekt.error/1")
    assert not (tmp_path / "home").exists()
