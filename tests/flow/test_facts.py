"""Facts as plain JSON values."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dialekt.flow.facts import plain
from dialekt.types import Split


@dataclass(frozen=True)
class _Inner:
    split: Split
    share: float


@dataclass(frozen=True)
class _Facts:
    count: int
    path: Path
    parts: tuple[_Inner, ...]
    by_name: dict[Split, np.float32]


def test_records_become_json() -> None:
    """Nested records, enums, paths, tuples and numpy scalars come out as JSON can hold them."""
    facts = _Facts(np.int64(3), Path("a/b"), (_Inner(Split.DEV, 0.5),), {Split.TEST: np.float32(1.5)})  # type: ignore[arg-type]
    expected = {"count": 3, "path": "a/b", "parts": [{"split": "dev", "share": 0.5}], "by_name": {"test": 1.5}}
    assert plain(facts) == expected
    assert json.loads(json.dumps(plain(facts), allow_nan=False)) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_what_is_not_finite_becomes_null(value: float) -> None:
    """JSON has no NaN, so a value that is not a number is null."""
    assert plain([value]) == [None]


def test_an_object_is_refused() -> None:
    """A fact that is no plain value is our own bug and says which type it has."""
    with pytest.raises(TypeError, match="facts hold plain values, found object"):
        plain({"x": object()})
