"""Filters on metadata: conditions on tags, the same for every engine.

A document's metadata `{"lang": "en"}` becomes the tag `lang=en`. A filter `{"lang": ["en", "de"], "draft": {"not":
"true"}}` asks for any of the first two tags and for the absence of the third.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dialekt.errors import InputError
from dialekt.store.hashing import hash_text

MAX_VALUES = 1_000
MAX_CHARACTERS = 200  # of a field or value as they are; four bytes each at most


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds for rows with any of the tags; negated, for rows with none of them."""

    tags: frozenset[str]
    negated: bool = False

    def matches(self, tags: Collection[str]) -> bool:
        """Whether a row with these tags meets the condition."""
        return self.tags.isdisjoint(tags) is self.negated


@dataclass(frozen=True, slots=True)
class Filter:
    """All of its conditions must hold; without any it holds for every row."""

    conditions: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def matches(self, tags: Collection[str]) -> bool:
        """Whether a row with these tags passes."""
        return all(condition.matches(tags) for condition in self.conditions)


def tag(field: str, value: str) -> str:
    """Return the tag of a field's value.

    An equals sign in the field's name is escaped, so that tags are unique. Of a long value the beginning and a hash
    stand for the whole: engines limit the length of what they index.
    """
    return f"{_short(field).replace('%', '%25').replace('=', '%3D')}={_short(value)}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…{hash_text(text)}"


def tags_of(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tags of a document's metadata, sorted."""
    return tuple(sorted(tag(field, value) for field, value in metadata.items()))


def parse_filter(fields: Mapping[str, object]) -> Filter:
    """Return the filter that a mapping of fields describes: a value, a list of values, or `{"not": either}`.

    Raises `InputError` that names the field.
    """
    return Filter(tuple(_condition(field, wanted) for field, wanted in fields.items()))


def _condition(field: str, wanted: object) -> Condition:
    negated = isinstance(wanted, Mapping)
    if isinstance(wanted, Mapping):
        if set(wanted) != {"not"}:
            raise _odd(field)
        wanted = wanted["not"]
    values = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
    if not values or len(values) > MAX_VALUES:
        raise InputError(f"the filter on {field!r} has {len(values)} values", hint=f"give 1 to {MAX_VALUES:,}")
    return Condition(frozenset(tag(field, plain_value(field, value)) for value in values), negated)


def plain_value(field: str, value: object) -> str:
    """Return a metadata value as the text it is kept as. Raises `InputError` for lists and objects."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)
    raise _odd(field)


def _odd(field: str) -> InputError:
    return InputError(
        f"the filter or metadata field {field!r} has a value of the wrong kind",
        hint='a text, number or boolean; in filters also a list of them, or {"not": ...}',
    )
