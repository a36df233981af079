"""What an engine is given: vectors of the right dimension, every id once."""

from dialekt.index.engines.checks import check_dimension
from dialekt.index.records import EngineSpec, Rows


def each_once(rows: Rows, spec: EngineSpec) -> Rows:
    """Return the rows in the order of their ids, of equal ids the last. Raises `InputError` for another dimension.

    In one order, so that two writers of the same rows wait for each other instead of locking each other out.
    """
    check_dimension(rows.vectors, spec)
    last = {unit: place for place, unit in enumerate(rows.ids)}
    return rows.take([last[unit] for unit in sorted(last)])
