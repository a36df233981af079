"""The map between the spaces of two models, its gate and its calibration."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.index.update.models import base, pairs, stranger, texts, tuned

from dialekt.errors import InputError, StorageError
from dialekt.index.update.displacement import displace
from dialekt.index.update.gate import Calibration, calibrate, judge_map
from dialekt.index.update.mapping import Pairs, SpaceMap, fit_map

UNSEEN = texts(200, seed=7)
QUERIES = tuned(texts(100, seed=8))


def _cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(np.einsum("ij,ij->i", left, right).mean())


def test_a_map_from_few_documents_holds_for_others() -> None:
    """Mapped vectors of texts that were not learnt from are far nearer to the new ones than the old vectors are."""
    mapped = fit_map(pairs(150), seed=0).map.apply(base(UNSEEN), UNSEEN)
    assert mapped.dtype == np.float32
    assert np.linalg.norm(mapped, axis=1) == pytest.approx(np.ones(200), abs=1e-5)
    assert 1 - _cosine(mapped, tuned(UNSEEN)) < 0.2 * (1 - _cosine(base(UNSEEN), tuned(UNSEEN)))


def test_left_out_documents_tell_how_good_the_map_is_elsewhere() -> None:
    """The leave-one-out cosine is that of texts which were not learnt from."""
    fitted = fit_map(pairs(150), seed=0)
    assert fitted.cosine == pytest.approx(_cosine(fitted.map.apply(base(UNSEEN), UNSEEN), tuned(UNSEEN)), abs=0.03)
    assert fitted.cosine_before == pytest.approx(_cosine(base(UNSEEN), tuned(UNSEEN)), abs=0.05)
    assert 0.5 < fitted.explained <= 1


def test_left_out_residuals_are_those_of_a_map_that_is_learnt_without_the_document() -> None:
    """The closed form says for one document what learning without it says."""
    documents = pairs(40)
    rest = np.delete(np.arange(40), 3)
    fitted = fit_map(documents, seed=0)
    again = fit_map(documents.take(rest), seed=0)
    mapped = again.map.apply(documents.old[3:4], documents.texts[3:4])
    assert _cosine(mapped, fitted.held_out[3:4]) > 0.98


def test_words_explain_what_old_vectors_do_not() -> None:
    """The displacement that comes with one word is learnt from the words."""
    same = pairs(150)
    wordless = Pairs(same.old, same.new, ("",) * 150)
    assert fit_map(same, seed=0).cosine > fit_map(wordless, seed=0).cosine


def test_past_queries_are_further_examples() -> None:
    """With a tiny sample of documents, queries in both spaces make the map better."""
    few, asked = pairs(15), pairs(100, seed=4)
    without, with_them = fit_map(few, seed=0).map, fit_map(few, queries=asked, seed=0).map
    gain = [_cosine(found.apply(base(UNSEEN), UNSEEN), tuned(UNSEEN)) for found in (without, with_them)]
    assert gain[1] > gain[0]


def test_a_saved_map_is_the_same_map(tmp_path: Path) -> None:
    """What was saved maps as before."""
    found = fit_map(pairs(60), seed=0).map
    found.save(tmp_path / "map.npz")
    again = SpaceMap.load(tmp_path / "map.npz")
    assert np.array_equal(again.apply(base(UNSEEN), UNSEEN), found.apply(base(UNSEEN), UNSEEN))


def test_a_damaged_map_is_said_to_be_damaged(tmp_path: Path) -> None:
    """Neither half a file nor none is a map."""
    fit_map(pairs(60), seed=0).map.save(tmp_path / "map.npz")
    whole = (tmp_path / "map.npz").read_bytes()
    (tmp_path / "map.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="the map cannot be read"):
        SpaceMap.load(tmp_path / "map.npz")
    with pytest.raises(StorageError, match="the map cannot be read"):
        SpaceMap.load(tmp_path / "none.npz")


def test_models_of_different_dimensions_have_no_map() -> None:
    """The error says both shapes."""
    with pytest.raises(InputError, match=r"old \(20, 32\), new \(20, 16\)"):
        Pairs(base(texts(20)), tuned(texts(20))[:, :16], texts(20))


def test_a_handful_of_documents_is_refused() -> None:
    """Nine documents teach nothing."""
    with pytest.raises(InputError, match="9 documents are too few"):
        fit_map(pairs(9), seed=0)


def test_the_gate_passes_a_map_that_beats_old_vectors() -> None:
    """A related model's map is used, and the reason gives both figures."""
    gate = judge_map(fit_map(pairs(150), seed=0), QUERIES, seed=0)
    assert gate.passed
    assert gate.mapped > gate.old
    assert "150 sampled documents" in gate.reason
    assert gate.reason.endswith("the map is used")


def test_the_gate_refuses_a_map_that_is_worse() -> None:
    """A map that ranks worse than the old vectors is not used."""
    made = texts(150)
    documents = Pairs(base(made), base(made), made)
    fitted = fit_map(documents, seed=0)
    worse = type(fitted)(fitted.map, documents, stranger(made), 0.0, 0.0, 1.0, 1.0, 1.0)
    gate = judge_map(worse, base(texts(100, seed=8)), seed=0)
    assert not gate.passed
    assert "is not used" in gate.reason


def test_without_queries_the_gate_does_not_pass() -> None:
    """What was not judged is not used."""
    gate = judge_map(fit_map(pairs(50), seed=0), np.empty((0, 32), np.float32), seed=0)
    assert not gate.passed
    assert "no query to judge the map by" in gate.reason


def test_calibrated_scores_are_those_of_new_vectors_on_the_mean() -> None:
    """For what a search returns, calibrated scores of mapped vectors have no bias."""
    fitted = fit_map(pairs(150), seed=0)
    mapped = fitted.map.apply(base(UNSEEN), UNSEEN)
    scores = np.sort(QUERIES @ mapped.T, axis=1)[:, -10:]
    order = np.argsort(QUERIES @ mapped.T, axis=1)[:, -10:]
    new = np.take_along_axis(QUERIES @ tuned(UNSEEN).T, order, axis=1)
    assert abs(calibrate(fitted, QUERIES).apply(scores).mean() - new.mean()) < 0.02


def test_few_scores_are_taken_as_they_are() -> None:
    """A slope is not fitted to a handful of pairs."""
    assert calibrate(fit_map(pairs(12), seed=0), QUERIES[:3]) == Calibration()


def test_what_is_left_unexplained_is_that_of_neighbours() -> None:
    """Documents near a badly explained one are expected to be explained badly."""
    fitted = fit_map(pairs(150), seed=0)
    bad = fitted.held_out.copy()
    topic = np.array(["violin" in text for text in fitted.documents.texts])
    bad[topic] *= -1
    wrong = type(fitted)(fitted.map, fitted.documents, bad, 0.0, 0.0, 0.0, 1.0, 1.0)
    found = displace(wrong, base(UNSEEN), tuned(UNSEEN))
    near = np.array(["violin" in text for text in UNSEEN])
    assert found.left[near].mean() > 1.5
    assert found.left[~near].mean() < 0.7
    assert found.moved == pytest.approx(np.linalg.norm(tuned(UNSEEN) - base(UNSEEN), axis=1), abs=1e-5)
