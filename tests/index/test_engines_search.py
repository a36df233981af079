"""The congruence suite, part two: what is found, through indexes, filters and two stages."""

from pathlib import Path

import numpy as np
import pytest
from tests.index.engines import DEFAULT, EXACT, EngineCase, clustered, exact_answers, recall, rows_of

from dialekt.index.engines.base import VectorEngine
from dialekt.index.filters import Condition, Filter
from dialekt.index.records import FirstStage, Rows, SearchSettings

ROWS = 6_000
WIDE = 384
QUERIES = clustered(60, WIDE, seed=22)
LOADED = rows_of(clustered(ROWS, WIDE, seed=21))


def _any(*tags: str) -> Condition:
    return Condition(frozenset(tags))


def _none(*tags: str) -> Condition:
    return Condition(frozenset(tags), negated=True)


FILTERS = {
    "any of": Filter((_any("lang=de", "year=7"),)),
    "not": Filter((_none("lang=de", "absent=1"),)),
    "combined": Filter((_any("lang=en"), _any("year=3", "year=4"), _none("n=4", "n=53"))),
    "one in 2,000": Filter((_any("n=17", "n=4017", "n=5555"),)),
    "nothing passes": Filter((_any("lang=fr"),)),
    "all pass": Filter((_none("lang=fr"),)),
    "no condition": Filter(),
}


def _loaded(case: EngineCase, home: Path, first_stage: FirstStage | None = None) -> VectorEngine:
    engine = case.open(home, dimension=WIDE, first_stage=first_stage)
    for start in range(0, ROWS, 2_000):
        engine.load(LOADED.take(range(start, start + 2_000)))
    engine.finish()
    return engine


def test_the_default_search_finds_what_exact_search_finds(case: EngineCase, tmp_path: Path) -> None:
    """On 6,000 vectors recall@10 is at least 0.99 at the defaults, 1.0 if exact, and scores are cosines to 0.001.

    So it stays with rows upserted after the indexes were made, with rows deleted, and after tidying up.
    """
    engine = _loaded(case, tmp_path)
    truth = exact_answers(LOADED, QUERIES, 10)
    assert recall(engine.search(QUERIES, 10, settings=DEFAULT), truth) >= 0.99
    thorough = engine.search(QUERIES, 10, settings=EXACT)
    assert recall(thorough, truth) >= 0.999
    for found, best in zip(thorough, truth, strict=True):
        assert np.allclose(found.scores, [score for _, score in best], atol=1e-3)
    more = rows_of(clustered(300, WIDE, seed=23), first=ROWS)
    engine.upsert(more)
    engine.delete([f"d{n}" for n in range(0, ROWS, 5)])
    kept = LOADED.take([n for n in range(ROWS) if n % 5])
    after = _joined_answers(kept, more)
    assert recall(engine.search(QUERIES, 10, settings=DEFAULT), after) >= 0.99
    engine.optimize()
    assert recall(engine.search(QUERIES, 10, settings=DEFAULT), after) >= 0.99
    engine.drop()


def _joined_answers(one: Rows, other: Rows) -> list[list[tuple[str, float]]]:
    both = zip(exact_answers(one, QUERIES, 10), exact_answers(other, QUERIES, 10), strict=True)
    return [sorted([*first, *second], key=lambda pair: -pair[1])[:10] for first, second in both]


def test_filters_pass_exactly_what_they_say(case: EngineCase, tmp_path: Path) -> None:
    """However few rows pass, as many as asked for are found, all of them pass, and they are the best that do."""
    engine = _loaded(case, tmp_path)
    queries = QUERIES[:8]
    for name, where in FILTERS.items():
        truth = exact_answers(LOADED, queries, 10, where=where)
        for settings in (DEFAULT, EXACT):
            found = engine.search(queries, 10, settings=settings, where=where)
            assert [len(one.ids) for one in found] == [len(best) for best in truth], name
            tags = dict(zip(LOADED.ids, LOADED.tags, strict=True))
            assert all(where.matches(tags[one_id]) for one in found for one_id in one.ids), name
            assert not truth[0] or recall(found, truth) >= 0.98, name
    engine.drop()


def test_every_effort_is_a_setting_that_works(case: EngineCase, tmp_path: Path) -> None:
    """The ladder rises, and its most thorough step is no worse than the fastest."""
    engine = _loaded(case, tmp_path)
    truth = exact_answers(LOADED, QUERIES, 10)
    assert list(engine.efforts) == sorted(set(engine.efforts))
    recalls = [
        recall(engine.search(QUERIES, 10, settings=SearchSettings(effort=effort)), truth) for effort in engine.efforts
    ]
    assert recalls[-1] >= max(0.995, recalls[0])
    engine.drop()


@pytest.mark.parametrize("stage", range(3))
def test_two_stages_find_what_exact_search_finds(case: EngineCase, stage: int, tmp_path: Path) -> None:
    """With enough candidates the short vectors lose next to nothing; scores are of the full vectors, filters hold."""
    if stage >= len(case.first_stages):
        pytest.skip("this engine has fewer first stages")
    first_stage = case.first_stages[stage]
    engine = _loaded(case, tmp_path, first_stage)
    truth = exact_answers(LOADED, QUERIES, 10)
    found = engine.search(QUERIES, 10, settings=SearchSettings(oversampling=16))
    assert recall(found, truth) >= 0.97
    assert recall(engine.search(QUERIES, 10, settings=EXACT), truth) >= 0.999
    for one, query in zip(found, QUERIES, strict=True):
        cosines = [float(LOADED.vectors[int(one_id[1:])] @ query) for one_id in one.ids]
        assert np.allclose(one.scores, cosines, atol=1e-3)
        assert np.all(np.diff(one.scores) <= 0)
    where = FILTERS["one in 2,000"]
    filtered = engine.search(QUERIES[:3], 10, settings=DEFAULT, where=where)
    assert [one.ids for one in filtered] == [
        tuple(one_id for one_id, _ in best) for best in exact_answers(LOADED, QUERIES[:3], 10, where=where)
    ]
    more = rows_of(clustered(5, WIDE, seed=24), first=ROWS)
    engine.upsert(more)
    assert [one.ids[0] for one in engine.search(more.vectors, 1, settings=DEFAULT)] == list(more.ids)
    engine.delete(more.ids)
    assert not {one_id for one in engine.search(more.vectors, 3, settings=DEFAULT) for one_id in one.ids} & {*more.ids}
    size = engine.size()
    assert 0 < size.first_stage_bytes <= size.disk_bytes
    engine.drop()


def test_a_batch_of_queries_finds_what_single_ones_find(case: EngineCase, tmp_path: Path) -> None:
    """Each query of a batch is answered as if it were alone."""
    engine = _loaded(case, tmp_path)
    together = engine.search(QUERIES[:5], 7, settings=EXACT)
    alone = [engine.search(query[None], 7, settings=EXACT)[0] for query in QUERIES[:5]]
    assert [one.ids for one in together] == [one.ids for one in alone]
    engine.drop()
