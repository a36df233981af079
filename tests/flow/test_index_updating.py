"""Another model for an index, a part of the documents at a time."""

from pathlib import Path

import pytest
from tests.flow.test_releasing import works_of

from dialekt.errors import GateError, NotFoundError, UsageError
from dialekt.flow.index_updating import UpdateStep, UpdateWishes, update
from dialekt.flow.indexing import IndexWorks
from dialekt.flow.releasing import Wishes, build, drop, migrate
from dialekt.index.checks import check_rows
from dialekt.index.update.mixed import MIXED, is_mapped

BASE = Wishes("base")


def spaces(works: IndexWorks, version: str) -> dict[bool, int]:
    """Count rows that are mapped and rows that are not."""
    counts = {True: 0, False: 0}
    for rows in works.opened.engine(version).scan():
        for space in rows.spaces:
            counts[is_mapped(space)] += 1
    return counts


def test_an_update_goes_live_with_mapped_rows_and_ends_with_new_ones(project_copy: Path) -> None:
    """It stops at the target with some rows mapped; called again it embeds the rest, and nothing twice."""
    steps: list[UpdateStep] = []
    with works_of(project_copy) as works:
        build(works, BASE)
        wishes = UpdateWishes("v1", 0.6, target=0.01, override="a small corpus", step=steps.append)
        facts = update(works, wishes)
        assert (works.catalogue.live(), facts.complete, facts.switch is not None) == ("r2", False, True)
        assert spaces(works, "i2") == {True: 32, False: 48}
        assert MIXED in works.catalogue.release("r2").facts
        assert check_rows(works.opened, "i2").passed
        assert (steps[0].fresh, steps[0].total) == (48, 80)
        assert steps[0].ndcg is not None
        done = update(works, UpdateWishes("v1", 0.6, step=steps.append))
        assert (done.complete, done.switch) == (True, None)
        assert spaces(works, "i2") == {True: 0, False: 80}
        assert MIXED not in works.catalogue.release("r2").facts
        assert steps[-1].ndcg is not None
        assert steps[-1].ndcg >= steps[0].ndcg


def test_a_build_leaves_mapped_rows_to_the_update(project_copy: Path) -> None:
    """Bringing documents up to date embeds what changed, not what waits for its turn."""
    with works_of(project_copy) as works:
        build(works, BASE)
        update(works, UpdateWishes("v1", 0.6, target=0.01, override="a small corpus"))
        before = spaces(works, "i2")
        assert build(works, Wishes()).fill.embedded == 0
        assert spaces(works, "i2") == before


def test_an_update_that_was_stopped_early_is_no_finished_index(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before it went live, a migration to the same model embeds the mapped rows."""
    with works_of(project_copy) as works:
        build(works, BASE)

        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("dialekt.flow.index_updating._Update._remember", stop)
        with pytest.raises(KeyboardInterrupt):
            update(works, UpdateWishes("v1", 0.6))
        assert works.catalogue.live() == "r1"
        assert spaces(works, "i2")[True] == 32
        migrate(works, Wishes("v1"))
        assert spaces(works, "i2") == {True: 0, False: 80}
        assert works.catalogue.live() == "r2"


def test_an_update_needs_something_to_map(project_copy: Path) -> None:
    """Without a live release, or to the same model, it says what to do instead."""
    with works_of(project_copy) as works:
        with pytest.raises(NotFoundError, match="no release is live yet"):
            update(works, UpdateWishes("v1"))
        build(works, BASE)
        with pytest.raises(UsageError, match="r1 is live, and every document is embedded"):
            update(works, UpdateWishes("base"))


def test_a_map_that_does_not_help_is_refused(project_copy: Path) -> None:
    """The gate's words are in the error; the live release stays, and a migration goes on with the sample."""
    with works_of(project_copy) as works:
        build(works, BASE)
        with pytest.raises(GateError, match="the map is not used"):
            update(works, UpdateWishes("v1", 0.2))
        assert works.catalogue.live() == "r1"
        facts = migrate(works, Wishes("v1"))
        assert facts.fill.kept == 16


def test_a_migration_embeds_what_an_update_has_mapped(project_copy: Path) -> None:
    """Also when the release that was mapped from is gone, and the update can go on no more."""
    with works_of(project_copy) as works:
        build(works, BASE)
        update(works, UpdateWishes("v1", 0.6, target=0.01, override="a small corpus"))
        drop(works, "r1")
        with pytest.raises(NotFoundError, match="mapped from is gone"):
            update(works, UpdateWishes("v1"))
        migrate(works, Wishes("v1"))
        assert spaces(works, "i2") == {True: 0, False: 80}
        assert MIXED not in works.catalogue.release("r2").facts
