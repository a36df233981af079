"""dialekt.toml with every setting, its meaning and its default, generated from the configuration's own fields."""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HEADER = """\
# A dialekt project. Every setting is here with its default, commented out; `unset` means that dialekt derives the value
# and says what it chose and why. Paths are relative to this file.
"""


def render(chosen: Mapping[str, object]) -> str:
    """Return the text of a dialekt.toml in which the chosen settings (`section.key` → value) are active."""
    from dialekt.config import Config, Section

    parts = [HEADER]
    for section, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section)
        settings = field.annotation.model_fields.items()
        lines = [f"# {field.annotation.__doc__}", f"[{section}]"]
        for key, setting in settings:
            lines += _setting_lines(key, setting, chosen.get(f"{section}.{key}"))
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _setting_lines(key: str, setting: "FieldInfo", chosen: object) -> Iterator[str]:
    notes = [setting.description or "", _choices(setting.annotation)]
    if note := "; ".join(filter(None, notes)):
        yield f"# {note}"
    if chosen is not None:
        yield f"{key} = {_toml(chosen)}"
    elif setting.default is None:
        yield f"# {key} =    (unset)"
    else:
        yield f"# {key} = {_toml(setting.default)}"


def _choices(annotation: Any) -> str:
    """Name the values of a setting that has only a few."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "one of " + ", ".join(str(item.value) for item in kind)
    texts = [value for value in get_args(annotation) if isinstance(value, str)]
    return "one of " + ", ".join(texts) if texts else ""


def _toml(value: object) -> str:
    """Write a value as TOML; JSON's strings, numbers, booleans and lists are TOML too."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!s} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple):
        return json.dumps([str(item) if isinstance(item, Enum) else item for item in value], ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)
