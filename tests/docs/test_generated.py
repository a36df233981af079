"""Pages that are written from the code are what the code says now."""

import pytest
from docs.generate import PAGES, commands
from tests.docs.reading import REPOSITORY

from dialekt.cli.app import app
from dialekt.config import Config, Section


@pytest.mark.parametrize("page", PAGES)
def test_generated_pages_are_fresh(page: str) -> None:
    """The committed page equals what docs/generate.py writes; `make docs` brings it up to date."""
    assert (REPOSITORY / "docs" / page).read_text(encoding="utf-8") == PAGES[page]()


def _runs_alone(command: object) -> bool:
    """Tell whether a command does something without a subcommand."""
    return "commands" not in vars(command) or vars(command)["invoke_without_command"]


def test_every_command_is_on_the_page_of_commands() -> None:
    """The generator finds the commands that the program itself shows, those of groups included."""
    import typer

    root = typer.main.get_command(app)
    shown = {
        f"dialekt {first} {second}".strip()
        for first, command in vars(root)["commands"].items()
        for second in [*vars(command).get("commands", ()), *([""] if _runs_alone(command) else [])]
    }
    assert {command.words for command in commands()} == shown
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert all(f"\n## {words}\n" in page for words in shown)


def test_every_setting_says_what_it_means() -> None:
    """No field of the configuration is without a description."""
    silent = []
    for section, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section)
        silent += [f"{section}.{key}" for key, one in field.annotation.model_fields.items() if not one.description]
    assert not silent
