"""Settings as TOML: a section with every setting explained, and single settings in a file that somebody wrote."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

from dialekt.errors import ConfigError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from dialekt.config.section import Section

_HEADER = re.compile(r"^\s*\[")


def section_lines(name: str, section: "type[Section]", chosen: Mapping[str, object]) -> Iterator[str]:
    """Yield the lines of a section: every setting with its meaning, the chosen ones active, others as comments."""
    yield f"# {section.__doc__}"
    yield f"[{name}]"
    for key, setting in section.model_fields.items():
        yield from _setting_lines(key, setting, chosen.get(key))


def _setting_lines(key: str, setting: "FieldInfo", chosen: object) -> Iterator[str]:
    notes = [setting.description or "", _choices(setting.annotation)]
    if note := "; ".join(filter(None, notes)):
        yield f"# {note}"
    if chosen is not None:
        yield f"{key} = {toml_value(chosen)}"
    elif setting.default is None:
        yield f"# {key} =    (unset)"
    else:
        yield f"# {key} = {toml_value(setting.default)}"


def _choices(annotation: Any) -> str:
    """Name the values of a setting that has only a few."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "one of " + ", ".join(str(item.value) for item in kind)
    texts = [value for value in get_args(annotation) if isinstance(value, str)]
    return "one of " + ", ".join(texts) if texts else ""


def toml_value(value: object) -> str:
    """Write a value as TOML; JSON's strings, numbers, booleans and lists are TOML too."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!s} = {toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple):
        return json.dumps([str(item) if isinstance(item, Enum) else item for item in value], ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def change_settings(text: str, section: str, changes: Mapping[str, object]) -> str:
    """Return the text of a configuration file with some settings of a section changed, and not a byte else.

    A setting that stands there gets its new value, and keeps its comment; one that stands there commented out gets a
    line of its own below; any other comes at the end of the section, which is made if need be. Raises `ConfigError`
    for a file that is laid out so that this would not give those settings, as with a section written in one line.
    """
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    start = next((row for row, line in enumerate(lines) if _is_header(line, section)), None)
    if start is None:
        lines += [""] * bool(lines and lines[-1].strip()) + [f"[{section}]"]
        start = len(lines) - 1
    for key, value in changes.items():
        _change(lines, start, key, toml_value(value))
    changed = ending.join(lines) + ending
    _verify(text, changed, section, changes)
    return changed


def _is_header(line: str, section: str) -> bool:
    return re.match(rf"^\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?$", line) is not None


def _change(lines: list[str], start: int, key: str, value: str) -> None:
    """Change one setting in the section whose header is line `start`."""
    end = next((row for row in range(start + 1, len(lines)) if _HEADER.match(lines[row])), len(lines))
    active = re.compile(rf"^(\s*{re.escape(key)}\s*=\s*)([^#\"\']*|\"[^\"]*\"\s*|'[^']*'\s*)(#.*)?$")
    silent = re.compile(rf"^\s*#\s*{re.escape(key)}\s*=")
    for row in range(start + 1, end):
        if found := active.match(lines[row]):
            comment = f"  {found[3]}" if found[3] else ""
            lines[row] = f"{found[1]}{value}{comment}"
            return
    below = next((row + 1 for row in range(start + 1, end) if silent.match(lines[row])), None)
    lines.insert(_end_of_settings(lines, start, end) if below is None else below, f"{key} = {value}")


def _end_of_settings(lines: list[str], start: int, end: int) -> int:
    """Return the line after the section's last setting: the comment above the next header belongs to that one."""
    filled = [row for row in range(start, end) if lines[row].strip() and not lines[row].lstrip().startswith("#")]
    return filled[-1] + 1


def _verify(before: str, after: str, section: str, changes: Mapping[str, object]) -> None:
    """Raise `ConfigError` unless a changed text says what the one before said, with the changes."""
    expected = tomllib.loads(before)
    plain = {key: tomllib.loads(f"value = {toml_value(value)}")["value"] for key, value in changes.items()}
    expected[section] = {**expected.get(section, {}), **plain}
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        found = {}
    if found != expected:
        raise ConfigError(
            f"the section [{section}] is laid out in a way that cannot be changed line by line",
            hint=f"change it by hand: {', '.join(f'{key} = {toml_value(value)}' for key, value in changes.items())}",
        )
