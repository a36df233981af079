"""Searching rows of two kinds, and writing new vectors back."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.index.engines import FILE_ENGINES

from dialekt.index.engines.base import VectorEngine
from dialekt.index.filters import parse_filter
from dialekt.index.records import Found, Rows, SearchSettings
from dialekt.index.update.estimate import Ideal, estimate_share
from dialekt.index.update.gate import Calibration
from dialekt.index.update.mixed import Fresh, MixedEngine, is_mapped, mapped_space, store_fresh

SETTINGS = SearchSettings()
NEW, MAPPED = "s1", mapped_space("s1")
QUERY = np.array([[1.0, 0.0]], dtype=np.float32)


IDEAL = Ideal(tuple("abcdefghij"), np.linspace(0.8, 0.6, 10, dtype=np.float32))


def _at(*cosines: float) -> NDArray[np.float32]:
    return np.array([[cosine, np.sqrt(1 - cosine**2)] for cosine in cosines], dtype=np.float32)


def _engine(home: Path, spaces: Sequence[str], cosines: Sequence[float]) -> VectorEngine:
    ids = tuple(f"u{number}" for number in range(len(spaces)))
    hashes = tuple(f"h{number}" for number in range(len(spaces)))
    engine = FILE_ENGINES["exact"].open(home, dimension=2)
    engine.load(Rows(ids, ids, hashes, (("lang=en",),) * len(ids), tuple(spaces), _at(*cosines)))
    return engine


def _one(mixed: MixedEngine, limit: int) -> Found:
    return mixed.search(QUERY, limit, settings=SETTINGS)[0]


def test_a_mapped_space_is_told_from_its_own() -> None:
    """The name of the space says so."""
    assert is_mapped(MAPPED)
    assert not is_mapped(NEW)


def test_mapped_scores_are_calibrated_before_merging(tmp_path: Path) -> None:
    """A mapped row whose score flatters it comes after a new one that is really nearer."""
    mixed = MixedEngine(_engine(tmp_path, [MAPPED, NEW], [0.9, 0.8]), Calibration(-0.2, 1.0))
    found = _one(mixed, 2)
    assert found.ids == ("u1", "u0")
    np.testing.assert_allclose(found.scores, [0.8, 0.7], atol=1e-6)


def test_a_row_that_calibration_lifts_is_fetched_however_deep_it_was(tmp_path: Path) -> None:
    """More is fetched until nothing that was not can belong among the results."""
    cosines = [0.9 - 0.001 * number for number in range(12)] + [0.85]
    mixed = MixedEngine(_engine(tmp_path, [NEW] * 12 + [MAPPED], cosines), Calibration(0.2, 1.0))
    assert _one(mixed, 2).ids == ("u12", "u0")


def test_a_shortlist_is_ordered_by_new_vectors_alone(tmp_path: Path) -> None:
    """What is mapped among the shortlist is embedded, once for all queries; the answer says the new space."""
    asked: list[tuple[str, ...]] = []

    def freshen(units: Sequence[str]) -> Fresh:
        asked.append(tuple(units))
        return Fresh(tuple(units), tuple("h" for _ in units), _at(0.1, 0.95)[: len(units)])

    mixed = MixedEngine(_engine(tmp_path, [MAPPED, MAPPED, NEW], [0.9, 0.5, 0.7]), Calibration(), freshen=freshen)
    found = mixed.search(np.concatenate([QUERY, QUERY]), 2, settings=SETTINGS)
    assert [one.ids for one in found] == [("u1", "u2"), ("u1", "u2")]
    assert found[0].spaces == (NEW, NEW)
    assert asked == [("u0", "u1")]


def test_a_unit_that_is_gone_when_it_is_wanted_is_left_out(tmp_path: Path) -> None:
    """A deleted document does not come back through the shortlist."""

    def freshen(_: Sequence[str]) -> Fresh:
        return Fresh(("u1",), ("h1",), _at(0.4))

    mixed = MixedEngine(_engine(tmp_path, [MAPPED, MAPPED], [0.9, 0.5]), Calibration(), freshen=freshen)
    assert _one(mixed, 2).ids == ("u1",)


def test_filters_and_everything_else_reach_the_engine_below(tmp_path: Path) -> None:
    """The mixture is an engine like any other."""
    mixed = MixedEngine(_engine(tmp_path, [MAPPED, NEW], [0.9, 0.8]), Calibration())
    assert mixed.search(QUERY, 2, settings=SETTINGS, where=parse_filter({"lang": "de"}))[0].ids == ()
    mixed.patch(["u0"], [("lang=de",)])
    assert mixed.search(QUERY, 2, settings=SETTINGS, where=parse_filter({"lang": "de"}))[0].ids == ("u0",)
    mixed.delete(["u1"])
    assert mixed.count() == 1
    assert [unit for rows in mixed.scan() for unit in rows.ids] == list(mixed.fetch(["u0"], vectors=False).ids)


def test_new_vectors_replace_mapped_ones_and_nothing_else(tmp_path: Path) -> None:
    """A row that is new already, has another text, or was deleted is left as it is; tags stay."""
    engine = _engine(tmp_path, [MAPPED, NEW, MAPPED, MAPPED], [0.9, 0.8, 0.7, 0.6])
    engine.delete(["u3"])
    fresh = Fresh(("u0", "u1", "u2", "u3"), ("h0", "h1", "changed", "h3"), _at(0.1, 0.1, 0.1, 0.1))
    assert store_fresh(engine, fresh, space=NEW) == 1
    rows = engine.fetch(["u0", "u1", "u2", "u3"])
    stored = {
        unit: (space, float(vector[0])) for unit, space, vector in zip(rows.ids, rows.spaces, rows.vectors, strict=True)
    }
    assert {unit: space for unit, (space, _) in stored.items()} == {"u0": NEW, "u1": NEW, "u2": MAPPED}
    np.testing.assert_allclose([stored["u0"][1], stored["u1"][1]], [0.1, 0.8], atol=1e-6)
    assert set(rows.tags) == {("lang=en",)}


def test_the_same_ranking_keeps_all_quality() -> None:
    """A served ranking that is the ideal one has a share of 1, one without its units 0."""
    ideal = [IDEAL] * 20
    assert estimate_share([IDEAL.ids] * 20, ideal, seed=0).value == 1
    assert estimate_share([tuple("klmnopqrst")] * 20, ideal, seed=0).value == 0


def test_a_lost_first_place_costs_more_than_a_lost_last_one() -> None:
    """Answers are likelier at the top."""
    ideal = [IDEAL] * 20
    first = estimate_share([tuple("bacdefghij")] * 20, ideal, seed=0).value
    last = estimate_share([tuple("abcdefghik")] * 20, ideal, seed=0).value
    assert first < last < 1


def test_a_swap_of_candidates_that_are_as_good_costs_nothing() -> None:
    """Where the new model itself does not tell two candidates apart, their order does not matter."""
    ideal = [Ideal(("a", "b"), np.array([0.7, 0.7], dtype=np.float32))] * 20
    assert estimate_share([("b", "a")] * 20, ideal, seed=0).value == 1
