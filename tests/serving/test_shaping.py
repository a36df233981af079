"""Vectors in the shape and format that a request wants."""

import base64

import numpy as np
import pytest
from sentence_transformers.util.quantization import quantize_embeddings

from dialekt.errors import BackendError, RequestError
from dialekt.serving.shaping import EncodingFormat, check_dimensions, encode_vectors, int8_scale, shape

VECTORS = np.random.default_rng(5).normal(size=(6, 40)).astype(np.float32)


def rows(encoding: EncodingFormat, vectors: np.ndarray = VECTORS) -> np.ndarray:
    """Vectors as they are written, as one array."""
    return np.array([np.asarray(row) for row in encode_vectors(vectors, encoding)])


def test_vectors_are_cut_before_they_are_normalised() -> None:
    """A cut vector has length 1 again; what was not asked for does not count."""
    found = shape(VECTORS, dimensions=16, normalize=True)
    expected = VECTORS[:, :16] / np.linalg.norm(VECTORS[:, :16], axis=1, keepdims=True)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-7)
    assert np.array_equal(shape(VECTORS, dimensions=16, normalize=False), VECTORS[:, :16])


def test_a_vector_of_zeros_stays_one() -> None:
    """It has no direction, and no request fails for it."""
    assert not shape(np.zeros((1, 4), np.float32), dimensions=None, normalize=True).any()


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_numbers_that_json_cannot_write_are_an_error(odd: float) -> None:
    """A broken engine is told of, not answered with null."""
    broken = np.array([[1.0, odd]], np.float32)
    with pytest.raises(BackendError, match="not finite"):
        shape(broken, dimensions=None, normalize=False)


def test_dimensions_outside_the_model_are_refused_in_tei_s_words() -> None:
    """Both messages are part of the protocol."""
    with pytest.raises(RequestError, match=r"^`dimensions` should be positive$"):
        check_dimensions(0, 32)
    with pytest.raises(RequestError, match=r"^`dimensions` should be smaller than the maximum embedding dimension\.$"):
        check_dimensions(33, 32)
    check_dimensions(32, 32)


def test_base64_is_little_endian_float32() -> None:
    """What the OpenAI client decodes."""
    (text, *_) = encode_vectors(VECTORS, EncodingFormat.BASE64)
    assert isinstance(text, str)
    assert np.array_equal(np.frombuffer(base64.b64decode(text), "<f4"), VECTORS[0])


def test_bits_are_those_of_sentence_transformers() -> None:
    """One bit per component, eight to a byte; `binary` is offset by 128."""
    assert np.array_equal(rows(EncodingFormat.UBINARY), quantize_embeddings(VECTORS, "ubinary"))
    assert np.array_equal(rows(EncodingFormat.BINARY), quantize_embeddings(VECTORS, "binary"))
    odd = rows(EncodingFormat.UBINARY, np.array([[1.0, -1.0, 1.0]], np.float32))
    assert odd.tolist() == [[0b10100000]]


@pytest.mark.parametrize("dimensions", [3, 40, 64, 384, 1024])
def test_whole_numbers_keep_the_cosine(dimensions: int) -> None:
    """The dot product of two int8 vectors over the scale's square is their cosine; uint8 is the same plus 128."""
    drawn = np.random.default_rng(5).normal(size=(50, dimensions)).astype(np.float32)
    unit = shape(drawn, dimensions=None, normalize=True)
    whole, scale = rows(EncodingFormat.INT8, unit).astype(np.int64), int8_scale(dimensions)
    assert np.abs(whole @ whole.T / scale**2 - unit @ unit.T).max() < 0.02
    assert np.abs(whole / scale - unit).max() <= 0.5 / scale + 1e-6
    assert np.array_equal(rows(EncodingFormat.UINT8, unit), whole + 128)


def test_whole_numbers_have_a_range() -> None:
    """A component far above the others is cut rather than wrapped around."""
    lone = np.zeros((2, 1024), np.float32)
    lone[0, 0], lone[1, 0] = 1.0, -1.0
    assert [row[0] for row in rows(EncodingFormat.INT8, lone).tolist()] == [127, -127]
    assert [row[0] for row in rows(EncodingFormat.UINT8, lone).tolist()] == [255, 1]
    assert [int8_scale(dimensions) for dimensions in (8, 64, 256)] == [127, 127, 254]
