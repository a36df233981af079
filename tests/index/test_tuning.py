"""The fastest settings that reach a target."""

from pathlib import Path

import numpy as np
import pytest
from tests.index.engines import FILE_ENGINES, clustered, rows_of

from dialekt.config import IndexEngine, Quantization
from dialekt.errors import InputError
from dialekt.index.engines.base import VectorEngine
from dialekt.index.recall import exact_results, recall
from dialekt.index.records import EngineSpec, FirstStage, SearchSettings
from dialekt.index.tuning import OVERSAMPLINGS, tune

DIMENSION = 64
ROWS = rows_of(clustered(4_000, DIMENSION, seed=1))
QUERIES = clustered(80, DIMENSION, seed=2)
SIGNS = FirstStage(32, Quantization.BINARY)


def _opened(home: Path, stage: FirstStage | None) -> tuple[VectorEngine, EngineSpec]:
    engine = FILE_ENGINES["exact"].open(home, dimension=DIMENSION, first_stage=stage)
    engine.load(ROWS)
    engine.finish()
    return engine, EngineSpec(IndexEngine.EXACT, DIMENSION, stage)


def test_an_exact_engine_needs_one_trial(tmp_path: Path) -> None:
    """Where search is exact there is nothing to choose: recall is 1 and the defaults stay."""
    engine, spec = _opened(tmp_path, None)
    tuned = tune(engine, spec, QUERIES, target=0.99)
    assert (tuned.settings, tuned.recall, tuned.warning, len(tuned.tried)) == (SearchSettings(), 1.0, "", 1)
    assert tuned.milliseconds > 0


def test_the_least_oversampling_that_surely_reaches_the_target_is_chosen(tmp_path: Path) -> None:
    """The next smaller step misses the target, and what is reported is what a search then finds."""
    engine, spec = _opened(tmp_path, SIGNS)
    tuned = tune(engine, spec, QUERIES, target=0.95)
    assert tuned.warning == ""
    place = OVERSAMPLINGS.index(tuned.settings.oversampling)
    assert place > 0
    by_step = {trial.settings.oversampling: trial for trial in tuned.tried}
    assert by_step[OVERSAMPLINGS[place]].low >= 0.95
    assert by_step[OVERSAMPLINGS[place - 1]].low < 0.95
    found = engine.search(QUERIES, 10, settings=tuned.settings)
    assert tuned.recall == pytest.approx(np.mean(recall(found, exact_results(engine, QUERIES, 10), 10)))


def test_a_higher_target_takes_at_least_as_much_oversampling(tmp_path: Path) -> None:
    """What reaches more is never cheaper."""
    engine, spec = _opened(tmp_path, SIGNS)
    taken = [tune(engine, spec, QUERIES, target=target).settings.oversampling for target in (0.5, 0.9, 0.99)]
    assert taken == sorted(taken)
    assert taken[0] < taken[-1]


def test_a_target_out_of_reach_gives_the_most_thorough_settings_and_says_so(tmp_path: Path) -> None:
    """With the oversampling fixed by the user too low, the settings come with a warning that names what they reach."""
    engine, spec = _opened(tmp_path, SIGNS)
    tuned = tune(engine, spec, QUERIES, target=0.99, oversampling=1.5)
    assert tuned.settings.oversampling == 1.5
    assert tuned.recall < 0.99
    assert f"recall@10 is {tuned.recall:.3f}" in tuned.warning
    assert "target of 0.99" in tuned.warning


def test_queries_are_needed(tmp_path: Path) -> None:
    """Without queries there is nothing to measure, and the error says what to give."""
    engine, spec = _opened(tmp_path, None)
    with pytest.raises(InputError, match="no query to measure recall with") as caught:
        tune(engine, spec, QUERIES[:0], target=0.99)
    assert "texts of documents" in caught.value.hint


def test_lancedb_reaches_the_target_at_the_tuned_effort(tmp_path: Path) -> None:
    """An approximate engine gets the effort of its own ladder that surely finds the target, here or everywhere."""
    engine = FILE_ENGINES["lancedb"].open(tmp_path, dimension=DIMENSION)
    engine.load(ROWS)
    engine.finish()
    tuned = tune(engine, EngineSpec(IndexEngine.LANCEDB, DIMENSION), QUERIES, target=0.97)
    assert tuned.settings.effort in engine.efforts
    assert tuned.warning == ""
    assert tuned.recall >= 0.97
