"""Stored facts, read with types: a fact that is missing or of another type reads as absent, never as an error."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """A mapping as JSON gives it. Facts outlive the code that wrote them, so nothing is taken for granted here."""

    values: Mapping[str, object]

    def __bool__(self) -> bool:
        return bool(self.values)

    def number(self, name: str) -> float | None:
        """Return a finite number, or None."""
        return _number(self.values.get(name))

    def integer(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self.number(name)
        return None if value is None else int(value)

    def flag(self, name: str) -> bool:
        """Return whether the fact is recorded as true."""
        return self.values.get(name) is True

    def text(self, name: str) -> str:
        """Return a text, or the empty text."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, or an empty one."""
        value = self.values.get(name)
        return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return the finite numbers of a list, or an empty one."""
        value = self.values.get(name)
        numbers = [_number(item) for item in value] if isinstance(value, list | tuple) else []
        return tuple(number for number in numbers if number is not None)

    def counts(self, name: str) -> dict[str, int]:
        """Return counts by name, in the order stored."""
        part = self.part(name)
        return {key: int(count) for key in part.values if (count := part.number(key)) is not None}

    def part(self, name: str) -> "Facts":
        """Return a nested mapping, empty when there is none."""
        value = self.values.get(name)
        return Facts({str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {})

    def parts(self, name: str) -> "tuple[Facts, ...]":
        """Return a list of nested mappings, empty when there is none."""
        value = self.values.get(name)
        items = value if isinstance(value, list | tuple) else ()
        return tuple(Facts(item) for item in items if isinstance(item, Mapping))


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]
