"""First-stage codes: their size, their neighbours, rows that are left out."""

import numpy as np
import pytest
from tests.index.engines import clustered, unit

from dialekt.config import Quantization
from dialekt.index.engines.codes import Coder, shorten
from dialekt.index.records import FirstStage

VECTORS = clustered(3_000, 96, seed=41)
QUERIES = clustered(40, 96, seed=42)
STAGES = [FirstStage(dimensions, kind) for dimensions in (64, 96) for kind in Quantization]


def _best(vectors: np.ndarray, queries: np.ndarray, count: int) -> list[set[int]]:
    return [set(np.argsort(-(vectors @ query), kind="stable")[:count].tolist()) for query in queries]


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_a_code_takes_the_bytes_that_its_stage_says(stage: FirstStage) -> None:
    """Codes are no larger than the advice counts on; signs are padded to whole words of 64."""
    codes = Coder.fit(stage, VECTORS).encode(VECTORS)
    padded = -(-stage.dimensions // 64) * 8
    assert codes.nbytes / len(codes) == (
        padded if stage.quantization is Quantization.BINARY else stage.bytes_per_vector
    )


@pytest.mark.parametrize(("kind", "least"), [(Quantization.NONE, 0.999), (Quantization.INT8, 0.97)])
def test_eight_bits_find_nearly_what_the_cut_vectors_find(kind: Quantization, least: float) -> None:
    """Of the ten best by the first 64 components, float codes find all and int8 codes nearly all."""
    stage = FirstStage(64, kind)
    coder = Coder.fit(stage, VECTORS)
    found = coder.candidates(coder.encode(VECTORS), QUERIES, 10)
    truth = _best(shorten(VECTORS, 64), shorten(QUERIES, 64), 10)
    assert np.mean([len(set(row.tolist()) & best) / 10 for row, best in zip(found, truth, strict=True)]) >= least


def test_signs_find_the_best_among_eight_times_as_many() -> None:
    """Of the ten best by the full vectors, nearly all are among the 80 best by their signs."""
    coder = Coder.fit(FirstStage(96, Quantization.BINARY), VECTORS)
    found = coder.candidates(coder.encode(VECTORS), QUERIES, 80)
    truth = _best(VECTORS, QUERIES, 10)
    assert np.mean([len(set(row.tolist()) & best) / 10 for row, best in zip(found, truth, strict=True)]) >= 0.95


def test_one_wide_component_does_not_coarsen_the_others() -> None:
    """Int8 steps are of each component: vectors that share a large one are told apart by the small ones."""
    wide = VECTORS[:, :64].copy()
    wide[:, 0] = 5
    wide = unit(wide)
    coder = Coder.fit(FirstStage(64, Quantization.INT8), wide)
    found = coder.candidates(coder.encode(wide), wide[:50], 1)
    assert found[:, 0].tolist() == list(range(50))


@pytest.mark.parametrize("kind", Quantization)
def test_only_allowed_rows_are_candidates(kind: Quantization) -> None:
    """Rows that are not allowed are never candidates; where fewer are, the rest is -1."""
    coder = Coder.fit(FirstStage(64, kind), VECTORS)
    allowed = np.zeros(len(VECTORS), np.bool_)
    allowed[[5, 17, 2_999]] = True
    found = coder.candidates(coder.encode(VECTORS), QUERIES[:3], 5, allowed=allowed)
    assert all(set(row.tolist()) == {5, 17, 2_999, -1} for row in found)
    assert found[:, 3:].tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize("kind", Quantization)
def test_no_rows_and_rows_of_zeros_are_no_error(kind: Quantization) -> None:
    """A coder of nothing finds nothing; a vector whose first components are all zero has a code."""
    coder = Coder.fit(FirstStage(64, kind), VECTORS[:0])
    assert coder.candidates(coder.encode(VECTORS[:0]), QUERIES[:1], 3).tolist() == [[-1, -1, -1]]
    zeros = np.zeros((2, 96), np.float32)
    assert len(Coder.fit(FirstStage(64, kind), zeros).encode(zeros)) == 2
