"""Counts as people write them: 1e9, 10M, 2.5k, 1,000,000."""

import math
import re

from dialekt.errors import UsageError

_TIMES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "bn": 1e9, "t": 1e12}
_WRITTEN = re.compile(
    r"\s*(?P<number>[0-9][0-9_,]*(?:\.[0-9]+)?(?:e[+]?[0-9]+)?|\.[0-9]+)\s*(?P<times>[a-z]*)\s*", re.I
)
_HINT = "write it as 250000, 1e9, 10M or 2.5k"


def parse_count(text: str, *, name: str) -> int:
    """Return a whole number of things, at least 0. Raises `UsageError` that says what was meant."""
    value = parse_amount(text, name=name)
    if not value.is_integer():
        raise UsageError(f"{name} = {text!r} is no whole number", hint=_HINT)
    return int(value)


def parse_amount(text: str, *, name: str) -> float:
    """Return a number, at least 0. Raises `UsageError`."""
    found = _WRITTEN.fullmatch(text)
    times = _TIMES.get(found["times"].lower()) if found else None
    if found is None or times is None:
        raise UsageError(f"{name} = {text!r} is no number", hint=_HINT)
    value = float(found["number"].replace(",", "").replace("_", "")) * times
    if not math.isfinite(value):
        raise UsageError(f"{name} = {text!r} is too large", hint=_HINT)
    return float(round(value, 6))
