"""Facts of a diagnosis read back from JSON."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dialekt.diagnosis.records import DiagnosisFacts
from dialekt.errors import StorageError


def facts_from_json(values: Mapping[str, Any]) -> DiagnosisFacts:
    """Read facts back from JSON (a manifest's `facts`); raise `StorageError` when they do not fit."""
    try:
        return TypeAdapter(DiagnosisFacts).validate_python(dict(values))
    except ValidationError as error:
        raise StorageError(
            f"the facts of the diagnosis are damaged or of another version: {error.error_count()} faults",
            hint="run dialekt diagnose again",
        ) from error
