"""Values of users' rows as the types that the readers need, or an error that names file, line and field."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import Place

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "eval": "test",
}


def find_field(values: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the row's own spelling of the first of `names` that it has, or `None`; "Query" is "query" too."""
    exact = next((name for name in names if name in values), None)
    if exact is not None:
        return exact
    spelled = {name.lower(): name for name in values}
    return next((spelled[name] for name in names if name in spelled), None)


def take(values: Mapping[str, Any], names: Sequence[str], place: Place) -> Any:
    """Return the value of the first of `names` that the row has; raise `InputError` when it has none."""
    name = find_field(values, names)
    if name is None:
        raise InputError(
            f"has no field {' or '.join(repr(item) for item in names)}, found {', '.join(map(repr, values))}",
            path=place.path,
            line=place.line,
            hint="check judgments.format in dialekt.toml, or rename the field",
        )
    return values[name]


def as_id(value: object, place: Place) -> str:
    """Return an id as text: 7, 7.0 and "7" are the same id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InputError(
            f"expected an id, found {type(value).__name__ if value != '' else 'an empty text'}",
            path=place.path,
            line=place.line,
            hint="an id is a text or a whole number",
        )
    return str(value).strip()


def as_text(value: object, place: Place) -> str:
    """Return a text; a missing value is an empty text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(
            f"expected a text, found {type(value).__name__}",
            path=place.path,
            line=place.line,
            hint="check judgments.format in dialekt.toml",
        )
    return str(value)


def as_list(value: object) -> list[Any]:
    """Return a list: a single value is a list of one, a missing value a list of none."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def as_number(value: object, place: Place) -> float:
    """Return a finite number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            f"expected a number, found {type(value).__name__ if not isinstance(value, str) else 'a text'}",
            path=place.path,
            line=place.line,
            hint="a grade or score is a number",
        )
    return number


def split_of_name(path: Path) -> str:
    """Return the split that a file's name speaks of (`qrels.dev.small.tsv` → "dev"), or "" for none.

    Only one word of the name may speak of a split: `train_test.tsv` speaks of none.
    """
    stem = path.name.lower()
    words = "".join(letter if letter.isalnum() else " " for letter in stem).split()
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return found.pop() if len(found) == 1 else ""


def split_of_value(value: object) -> str:
    """Return the split that a row's own split field names, or "" for none."""
    return _SPLIT_WORDS.get(str(value).strip().lower(), "")


def time_of(values: Mapping[str, Any], time_field: str) -> str:
    """Return the text of a query's time, from the row or from its `metadata`, or "" when there is none."""
    metadata = values.get("metadata")
    for place in (values, metadata if isinstance(metadata, Mapping) else {}):
        value = place.get(time_field)
        if value is not None and value != "":
            return value.isoformat() if hasattr(value, "isoformat") else str(value)
    return ""
