"""Writes docs/configuration.md and docs/cli.md from the code: `python docs/generate.py`, run by `make docs`.

Nothing here loads a model library, so tests can hold the committed pages equal to what the code says.
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from dialekt.cli.app import app
from dialekt.config import Config, Section
from dialekt.flow.records import StageName

FOLDER = Path(__file__).resolve().parent
NAME = "dialekt"

CONFIGURATION_INTRO = """\
<!-- Written by docs/generate.py from src/dialekt/config/. Change the fields there, then run: make docs -->

# Configuration

A project is a folder with a `dialekt.toml`. `dialekt init` writes one with every setting in it, commented out. A key
that does not exist is an error that names the nearest one that does.

A value is taken from the last of these places that has it:

1. the default below,
2. `dialekt.toml`,
3. an environment variable, `DIALEKT_<SECTION>__<KEY>`, such as `DIALEKT_TRAINING__EPOCHS=2`,
4. the command line, `--set section.key=value`, which may be given many times.

*Unset* means that Dialekt derives the value; where the choice matters it prints what it chose and why, and keeps it
with the results. In the environment and with `--set`, `none` says unset. Relative paths are relative to the file.

```toml
[corpus]
path = "documents"

[judgments]
path = "judgments/pairs.jsonl"

[training]
time_limit_minutes = 10
```

```console
$ dialekt run --dry-run --set training.epochs=2 --set negatives.margin=0.9
…
```
"""

CLI_INTRO = f"""\
<!-- Written by docs/generate.py from the commands themselves. Change them, then run: make docs -->

# Commands

`dialekt COMMAND --help` says the same as this page. Results go to standard output, progress and messages to standard
error, so `dialekt models list | head -1` and `dialekt run --json > facts.json` do what one expects.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something is wrong with the input, the configuration, a model or the disk: two lines say what, and what to do |
| 2 | the command was called in a way that cannot work |
| 3 | a gate said no: a leak, or a gain that is not proven |
| 130 | stopped by Ctrl-C or by the system; the same command goes on from there |

With `--json` a command writes one object with a versioned schema and nothing else to standard output: see
[JSON output](json.md). An error is such an object too.

`STAGE` is one of {", ".join(f"`{name.value}`" for name in StageName)}.
"""


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command."""

    spelling: str
    meaning: str
    default: str
    is_option: bool

    @property
    def place(self) -> str:
        """An argument as a usage line shows it: in brackets where it may be left out."""
        return self.spelling if self.default == "required" else f"[{self.spelling}]"


@dataclass(frozen=True)
class Command:
    """A command with the words that call it."""

    words: str
    summary: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """The line that calls it."""
        arguments = [item.place for item in self.parameters if not item.is_option]
        return " ".join([self.words, *arguments, "[OPTIONS]"])


def configuration_page() -> str:
    """Return the page of all settings, a table per section."""
    parts = [CONFIGURATION_INTRO]
    for name, field in Config.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, Section)
        parts.append("\n".join([f"## [{name}]\n", f"{section.__doc__}\n", *_section_table(section), ""]))
    return "\n".join(parts)


def _section_table(section: type[Section]) -> Iterator[str]:
    schema = section.model_json_schema()
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, entry in schema["properties"].items():
        default = "unset" if entry.get("default") is None else f"`{json.dumps(entry['default'], ensure_ascii=False)}`"
        kind = _kind(entry, schema.get("$defs", {}))
        yield f"| `{key}` | {_cell(kind)} | {default} | {_cell(entry.get('description', ''))} |"


def _kind(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Say the type of a setting and its limits in words: "whole number > 0", "one of `fp32`, `bf16`"."""
    if "$ref" in entry:
        return _kind(definitions[entry["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in entry:
        return _kind(next(kind for kind in entry["anyOf"] if kind.get("type") != "null"), definitions)
    if "enum" in entry:
        return "one of " + ", ".join(f"`{value}`" for value in entry["enum"])
    if entry["type"] == "object":
        return "table of lists" if entry.get("additionalProperties", {}).get("type") == "array" else "table of numbers"
    if entry["type"] == "array":
        return "list of texts" if "$ref" in entry["items"] else f"list of {_kind(entry['items'], definitions)}"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
    return " ".join(["path" if entry.get("format") == "path" else names[entry["type"]], *_limits(entry)])


def _limits(entry: Mapping[str, Any]) -> Iterator[str]:
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    found = [f"{sign} {entry[name]:g}" for name, sign in signs.items() if name in entry]
    if found:
        yield ", ".join(found)


def cli_page() -> str:
    """Return the page of all commands, those of a group under it."""
    parts = [CLI_INTRO]
    root = app.registered_callback
    assert root is not None
    assert root.callback is not None
    parts += [f"## {NAME}\n", _parameter_table(list(_parameters(root.callback)), help_too=True)]
    for command in commands():
        parts += [f"## {command.words}\n", f"{command.summary}\n", f"```text\n{command.usage}\n```\n"]
        parts.append(_parameter_table(list(command.parameters)))
    return "\n".join(parts)


def commands() -> Iterator[Command]:
    """Yield every command of the program, those of groups with the group's name in front."""
    yield from _commands_of(app, NAME)


def _commands_of(group: typer.Typer, words: str) -> Iterator[Command]:
    for entry in group.registered_commands:
        assert entry.callback is not None
        name = entry.name or entry.callback.__name__.replace("_", "-")
        summary = " ".join((inspect.getdoc(entry.callback) or "").split())
        yield Command(f"{words} {name}", summary, tuple(_parameters(entry.callback)))
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        name = f"{words} {inner.name}"
        own = inner.typer_instance.registered_callback
        if own is not None and own.callback is not None and inner.typer_instance.info.invoke_without_command is True:
            yield Command(
                name, " ".join((inspect.getdoc(own.callback) or "").split()), tuple(_parameters(own.callback))
            )
        yield from _commands_of(inner.typer_instance, name)


def _parameters(callback: Callable[..., Any]) -> Iterator[Parameter]:
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        if parameter.annotation is typer.Context:
            continue
        kind, *notes = get_args(hints[name])
        note = next(item for item in notes if isinstance(item, OptionInfo | ArgumentInfo))
        required = parameter.default is inspect.Parameter.empty
        default = "required" if required else _default(parameter.default)
        meaning = " ".join(part for part in (note.help, f"Or `{note.envvar}`." if note.envvar else "") if part)
        yield Parameter(_spelling(name, kind, note), meaning, default, isinstance(note, OptionInfo))


def _spelling(name: str, kind: Any, note: OptionInfo | ArgumentInfo) -> str:
    if isinstance(note, ArgumentInfo):
        return (note.metavar or name).upper()
    # Option("--set", ...) has the signature (default, *names): inside Annotated the "default" is the first name.
    given = [str(item) for item in (note.default, *(note.param_decls or ())) if str(item).startswith("-")]
    names = ", ".join(given or [f"--{name.replace('_', '-')}"])
    return names if bool in {kind, *get_args(kind)} else f"{names} {note.metavar or _placeholder(kind)}"


def _placeholder(kind: Any) -> str:
    """Return a word for the value of an option."""
    for part in (kind, *get_args(kind)):
        if isinstance(part, type) and issubclass(part, Enum):
            return part.__name__.removesuffix("Name").upper()
        if isinstance(part, type) and issubclass(part, Path):
            return "PATH"
    return "NUMBER" if int in {kind, *get_args(kind)} else "TEXT"


def _default(value: object) -> str:
    if value is None or value is False:
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"


def _parameter_table(parameters: list[Parameter], *, help_too: bool = False) -> str:
    rows = [f"| `{_cell(item.spelling)}` | {_cell(item.meaning)} | {item.default} |" for item in parameters]
    if help_too:
        rows.append("| `--help`, `-h` | Show the help of any command and exit. | |")
    return "\n".join(["| | meaning | default |", "|---|---|---|", *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES: Mapping[str, Callable[[], str]] = {"configuration.md": configuration_page, "cli.md": cli_page}


def main() -> None:
    """Write both pages."""
    for name, render in PAGES.items():
        (FOLDER / name).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
