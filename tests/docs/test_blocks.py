"""What the pages show is what happens."""

import json
import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from docs.generate import commands
from tests.docs.reading import LANGUAGES, PAGES, REPOSITORY, Block, Call, blocks, blocks_of, calls, name

from dialekt.cli import main
from dialekt.config import load_config

OTHER_PROGRAMS = {".", "cd", "export", "pip"}


def _executed(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in {"python", "console"}]


@pytest.fixture
def workplace(project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished project as the working directory; what its dialekt.toml says is in the environment too."""
    monkeypatch.chdir(project_copy)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("DIALEKT_MODEL__BASE", "base")
    monkeypatch.setenv("DIALEKT_TRAINING__LEARNING_RATE", "0.003")
    monkeypatch.setenv("DIALEKT_TRAINING__EPOCHS", "8")
    monkeypatch.setenv("DIALEKT_EVALUATION__GENERAL_QUERIES", "40")
    monkeypatch.setenv("DIALEKT_EVALUATION__MAX_GENERAL_LOSS", "1.0")
    return project_copy


@pytest.mark.parametrize("page", [page for page in PAGES if _executed(page)], ids=name)
def test_executed_blocks_do_what_they_show(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python and console blocks run from the top of the page to its end, and print what the page says."""
    found = _executed(page)
    if any("dialekt init" in block.text for block in found):
        (workplace / "dialekt.toml").unlink()
    names: dict[str, object] = {}
    for block in found:
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
        for call in calls(block) if block.language == "console" else ():
            _check_call(call, block, capsys)


def _check_call(call: Call, block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command; output that begins with "error:" is what it says when it fails."""
    program, *words = shlex.split(call.command)
    assert program == "dialekt", f"{block.place}: only dialekt commands are executed, found {program!r}"
    capsys.readouterr()
    code = main(words)
    captured = capsys.readouterr()
    must_fail = call.output.startswith("error:")
    assert (code != 0) is must_fail, f"{block.place}: {call.command} gave exit code {code}: {captured.err}"
    said = captured.err if must_fail else captured.out
    assert re.fullmatch(_pattern(call.output), _flat(said)), f"{block.place}: {call.command} printed\n{said}"


def _pattern(output: str) -> str:
    """Return a pattern in which "…" stands for anything, and blanks for any number of them."""
    return ".*".join(re.escape(part) for part in _flat(output).split("…")) if output else ".*"


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


@pytest.mark.parametrize("block", blocks("bash"), ids=lambda block: block.place)
def test_commands_that_are_not_executed_exist(block: Block) -> None:
    """Every program, command, option, target and extra of a bash block is there."""
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        match words:
            case []:
                continue
            case ["dialekt", *_]:
                _check_words(words, block)
            case ["make", target]:
                assert f"\n{target}:" in (REPOSITORY / "Makefile").read_text(encoding="utf-8"), block.place
            case ["pip", "install", what]:
                _check_extras(what, block)
            case [program, *_]:
                assert program in OTHER_PROGRAMS, f"{block.place}: {program}"


def _check_words(words: list[str], block: Block) -> None:
    known = {command.words: command for command in commands()}
    prefixes = (" ".join(words[:count]) for count in range(len(words), 1, -1))
    command = next((known[prefix] for prefix in prefixes if prefix in known), None)
    assert command is not None, f"{block.place}: there is no command {' '.join(words)!r}"
    options = {
        option for item in command.parameters if item.is_option for option in re.findall(r"-[\w-]+", item.spelling)
    }
    unknown = {word for word in words if word.startswith("-")} - options
    assert not unknown, f"{block.place}: {command.words} has no option {unknown}"
    settings = [word for before, word in pairwise(words) if before == "--set"]
    load_config(None, overrides=settings, environment={})


def _check_extras(what: str, block: Block) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"\[([\w,]+)\]", what)
    for extra in ",".join(extras).split(",") if extras else ():
        assert extra in project["optional-dependencies"], f"{block.place}: {what}"


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.place)
def test_settings_on_pages_are_settings(block: Block, tmp_path: Path) -> None:
    """A toml block is a dialekt.toml without unknown keys."""
    path = tmp_path / "dialekt.toml"
    path.write_text(block.text, encoding="utf-8")
    load_config(path, environment={})


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.place)
def test_json_on_pages_is_json(block: Block) -> None:
    """A json block parses."""
    json.loads(block.text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path) -> None:
    """A fence names one of the languages whose handling is known, so that no block escapes the tests by accident."""
    unknown = [block.place for block in blocks_of(page) if block.language not in LANGUAGES]
    assert not unknown
