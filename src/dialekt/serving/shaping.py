"""Vectors as the engine made them → as a request wants them: cut, normalised, in one of six formats."""

import math
from base64 import b64encode
from collections.abc import Sequence
from enum import StrEnum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import BackendError, RequestError
from dialekt.models.contract import EncodingContract

_INT8_MOST = 127.0
_INT8_DEVIATIONS = 8.0


class EncodingFormat(StrEnum):
    """How a vector is written.

    - `float`: its components. `base64`: the bytes of its float32 components, little-endian.
    - `int8`: round(scale × component) of the vector of length 1, from -127 to 127, with the scale of `int8_scale`,
      which is the same for all vectors of as many dimensions; so their dot products order as their cosines do.
      `uint8`: the same plus 128.
    - `ubinary`: one bit per component, 1 where it is positive, eight to a byte, the first one highest; what is
      missing in the last byte is 0. `binary`: the same minus 128, as Cohere and sentence-transformers write it.
    """

    FLOAT = "float"
    BASE64 = "base64"
    INT8 = "int8"
    UINT8 = "uint8"
    BINARY = "binary"
    UBINARY = "ubinary"


WHOLE_NUMBERS = frozenset({EncodingFormat.INT8, EncodingFormat.UINT8})


def check_dimensions(dimensions: int | None, width: int) -> None:
    """Raise `RequestError` for a number of dimensions that a model with `width` of them cannot be cut to."""
    if dimensions is None:
        return
    if dimensions < 1:
        raise RequestError("`dimensions` should be positive", param="dimensions")
    if dimensions > width:
        message = "`dimensions` should be smaller than the maximum embedding dimension."
        raise RequestError(message, hint=f"given: {dimensions}, maximum: {width}", param="dimensions")


def dimensions_warning(dimensions: int | None, contract: EncodingContract | None) -> str:
    """Return what to say of dimensions that the model was not trained for; empty where it was."""
    if dimensions is None or contract is None or dimensions in {contract.dimension, *contract.matryoshka_dimensions}:
        return ""
    trained = ", ".join(map(str, contract.matryoshka_dimensions))
    return f"dimensions={dimensions} was not trained; trained: {trained}"


def shape(values: NDArray[np.float32], *, dimensions: int | None, normalize: bool) -> NDArray[np.float32]:
    """Return (inputs, width) vectors cut to their first dimensions, then divided by their length.

    Lengths are summed in float64; a vector of zeros stays one. Raises `BackendError` for what is not a finite number.
    """
    cut = values if dimensions is None else values[:, :dimensions]
    squares = np.einsum("ij,ij->i", cut, cut, dtype=np.float64)  # (inputs)
    if not np.isfinite(squares).all():
        raise BackendError("the model's vectors are not finite numbers")
    if not normalize:
        return np.ascontiguousarray(cut, dtype=np.float32)
    lengths = np.sqrt(squares)
    lengths[lengths == 0] = 1
    unit: NDArray[np.float32] = (cut / lengths[:, None]).astype(np.float32)
    return unit


def int8_scale(dimensions: int) -> float:
    """Return what a component of a vector of length 1 is multiplied by: 127 × max(1, √dimensions / 8).

    A component's mean square is 1 / dimensions, so this reaches eight standard deviations; the few beyond are cut.
    On 1,500 paragraphs with MiniLM (384 dimensions, largest component 0.25) cosines are right to 0.0013, and 98.4%
    of the ten nearest stay; with a scale of 127, 0.0032 and 96.2%.
    """
    return _INT8_MOST * max(1.0, math.sqrt(dimensions) / _INT8_DEVIATIONS)


def encode_vectors(
    vectors: NDArray[np.float32], encoding: EncodingFormat
) -> Sequence[NDArray[np.float32 | np.int8 | np.uint8] | str]:
    """Return one row per vector that orjson can write. int8 and uint8 want vectors of length 1."""
    match encoding:
        case EncodingFormat.FLOAT:
            return list(vectors)
        case EncodingFormat.BASE64:
            return [b64encode(row).decode("ascii") for row in np.ascontiguousarray(vectors, dtype="<f4")]
        case EncodingFormat.INT8:
            return list(_whole(vectors).astype(np.int8))
        case EncodingFormat.UINT8:
            return list((_whole(vectors) + 128).astype(np.uint8))
        case EncodingFormat.BINARY:
            return list((_bits(vectors) ^ 128).view(np.int8))
        case EncodingFormat.UBINARY:
            return list(_bits(vectors))
        case _:
            assert_never(encoding)


def _whole(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled = np.rint(vectors * int8_scale(vectors.shape[1]))
    whole: NDArray[np.float32] = np.clip(scaled, -_INT8_MOST, _INT8_MOST)
    return whole


def _bits(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.packbits(vectors > 0, axis=-1)
