"""What every engine asks of rows and queries before it takes them."""

from typing import Any

from numpy.typing import NDArray

from dialekt.errors import InputError
from dialekt.index.records import EngineSpec


def check_dimension(vectors: NDArray[Any], spec: EngineSpec) -> None:
    """Raise `InputError` unless the vectors (rows, dimension) are of the version's dimension."""
    dimension = vectors.shape[-1]
    if vectors.ndim != 2 or dimension != spec.dimension:
        raise InputError(
            f"vectors of {dimension} dimensions; those of this index have {spec.dimension}",
            hint="encode with the model that the index was built with, or migrate the index to the other model",
        )
