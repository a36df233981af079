"""Facts as plain JSON values: frozen records, numpy scalars, paths and enums in; dicts, lists and numbers out."""

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: object) -> Any:
    """Return a value as JSON can hold it; a number that is not finite becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    match value:
        case None | bool() | int() if not isinstance(value, StrEnum):
            return value
        case float() | np.floating():
            return float(value) if math.isfinite(value) else None
        case np.bool_() | np.integer():
            return value.item()
        case np.ndarray():
            return plain(value.tolist())
        case StrEnum() | Path():
            return str(value)
        case str():
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case Sequence() | Set():
            return [plain(item) for item in value]
    raise TypeError(f"facts hold plain values, found {type(value).__name__}")
