"""Going live, back, and away."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.index.texts import add_version, document, embed

from dialekt.errors import GateError, NotFoundError, StorageError, UsageError
from dialekt.index import switching
from dialekt.index.building import fill
from dialekt.index.checks import check_rows
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Release, SwitchKind
from dialekt.types import Role

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenIndex]:
    """Open an index with 20 documents."""
    found = OpenIndex.open(tmp_path, create=True)
    found.documents.write([document(f"d{n}") for n in range(20)])
    yield found
    found.close()


def make_release(opened: OpenIndex, *, space: str = "s0", model: str = "v1") -> Release:
    """Make a release that is ready."""
    version = add_version(opened, space=space).name
    fill(opened, version, embed)
    release = opened.catalogue.add_release(version, model=model, model_id=model, created=NOW)
    opened.catalogue.set_release_ready(release.name)
    return opened.catalogue.release(release.name)


def test_a_switch_takes_in_what_was_written_before_it(opened: OpenIndex) -> None:
    """The release that goes live holds the whole log, and the history says what was before."""
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    switching.go_live(opened, first.name, embed, now=NOW)
    opened.documents.write([document("late")], deleted=["d0"])
    entry = switching.go_live(opened, second.name, embed, now=NOW)
    assert (opened.catalogue.live(), entry.previous) == (second.name, first.name)
    assert opened.catalogue.version(second.index).position == opened.documents.tail()
    assert check_rows(opened, second.index).passed


def test_a_rollback_brings_the_old_release_up_to_date_first(opened: OpenIndex) -> None:
    """Nothing that was written since is lost, and nothing removed comes back."""
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    for release in (first, second):
        switching.go_live(opened, release.name, embed, now=NOW)
    opened.documents.write([document("since")], deleted=["d5"])
    entry = switching.roll_back(opened, embed, now=NOW)
    assert (entry.kind, entry.release, opened.catalogue.live()) == (SwitchKind.ROLLBACK, first.name, first.name)
    assert set(opened.engine(first.index).fetch(["since", "d5"]).ids) == {"since"}
    with pytest.raises(NotFoundError, match="no release to go back to"):
        switching.roll_back(opened, embed, now=NOW)


def test_an_unfinished_release_does_not_go_live(opened: OpenIndex) -> None:
    """The live release stays."""
    first = make_release(opened)
    switching.go_live(opened, first.name, embed, now=NOW)
    other = opened.catalogue.add_release(add_version(opened).name, model="v2", model_id="v2", created=NOW)
    with pytest.raises(UsageError, match="not finished"):
        switching.go_live(opened, other.name, embed, now=NOW)
    assert opened.catalogue.live() == first.name


def test_a_switch_ends_although_writers_never_pause(opened: OpenIndex) -> None:
    """Writers wait for the switch itself; each write is in the release that was live when it was made, or later."""
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    switching.go_live(opened, first.name, embed, now=NOW)
    ended = threading.Event()
    written: list[tuple[str, str]] = []

    def write() -> None:
        other = OpenIndex.open(opened.folder)
        while not ended.is_set():
            name = f"w{len(written)}"
            live = other.documents.write([document(name)]).live
            other.apply(other.catalogue.release(live).index, embed)
            written.append((name, live))
        other.close()

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.2)
    switching.go_live(opened, second.name, embed, now=NOW)
    time.sleep(0.2)
    ended.set()
    writer.join()
    assert {live for _, live in written} == {first.name, second.name}
    rows = opened.engine(second.index).fetch([name for name, _ in written], vectors=False)
    assert len(rows) == len(written)
    assert check_rows(opened, second.index).passed


def test_a_server_that_does_not_get_ready_keeps_the_old_release_live(
    opened: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch gives up, and takes its announcement back."""
    monkeypatch.setattr(switching, "SERVER_PATIENCE_SECONDS", 0.3)
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    switching.go_live(opened, first.name, embed, now=NOW)
    opened.catalogue.report_server("server", release=first.name, prepared="")
    with pytest.raises(GateError, match="a server was not ready"):
        switching.go_live(opened, second.name, embed, now=NOW)
    assert (opened.catalogue.live(), opened.catalogue.announced()) == (first.name, "")
    opened.catalogue.report_server("server", release=first.name, prepared=second.name)
    switching.go_live(opened, second.name, embed, now=NOW)
    assert opened.catalogue.live() == second.name


def test_a_failure_during_the_switch_changes_nothing(opened: OpenIndex) -> None:
    """An encoder that fails while writers wait leaves the old release live, and writers go on."""
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    switching.go_live(opened, first.name, embed, now=NOW)
    entry_before = opened.catalogue.history()

    def fail() -> int:
        raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="disk is full"):
        opened.catalogue.switch(
            entry_before[-1].__class__(NOW, SwitchKind.CUT_OVER, second.name, first.name), catch_up=fail
        )
    assert opened.catalogue.history() == entry_before
    assert opened.documents.write([document("after")]).live == first.name


def test_a_release_is_dropped_with_vectors_that_nobody_else_uses(opened: OpenIndex) -> None:
    """The live release cannot be dropped; an index version goes with its last release."""
    first = make_release(opened)
    shared = opened.catalogue.add_release(first.index, model="v2", model_id="v2", created=NOW)
    switching.go_live(opened, first.name, embed, now=NOW)
    with pytest.raises(UsageError, match="is live"):
        switching.drop(opened, first.name)
    assert switching.drop(opened, shared.name) == ""
    other = make_release(opened, space="s1", model="v3")
    assert switching.drop(opened, other.name) == other.index
    assert [version.name for version in opened.catalogue.versions()] == [first.index]
    assert not (opened.folder / "versions" / other.index).exists()


def test_names_are_never_used_twice(opened: OpenIndex) -> None:
    """A release that was dropped leaves its number behind."""
    switching.drop(opened, make_release(opened).name)
    again = make_release(opened)
    assert (again.name, again.index) == ("r2", "i2")


def test_an_unknown_release_is_told_of_with_the_nearest(opened: OpenIndex) -> None:
    """So is an index without a live release."""
    make_release(opened)
    with pytest.raises(NotFoundError, match="no release 'r7'"):
        opened.catalogue.release("r7")
    with pytest.raises(NotFoundError, match="no release is live"):
        opened.catalogue.release("live")


def test_a_drop_that_was_interrupted_is_finished_by_the_next(
    opened: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vectors go first: whatever stops the drop, the release is still listed and can be dropped again."""
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    switching.go_live(opened, first.name, embed, now=NOW)

    def fail(*_: object, **__: object) -> None:
        raise StorageError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(opened.catalogue), "remove_release", fail)
        with pytest.raises(StorageError, match="power is gone"):
            switching.drop(opened, second.name)
    assert switching.drop(opened, second.name) == second.index
    assert [release.name for release in opened.catalogue.releases()] == [first.name]


def test_a_switch_that_fails_takes_its_announcement_back(opened: OpenIndex) -> None:
    """No server keeps a second model in memory for a release that will not come."""
    first, second = make_release(opened), make_release(opened, space="s1", model="v2")
    switching.go_live(opened, first.name, embed, now=NOW)
    opened.documents.write([document("new")])

    def fail(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        raise StorageError("the encoder is gone")

    with pytest.raises(StorageError, match="encoder is gone"):
        switching.go_live(opened, second.name, fail, now=NOW)
    assert (opened.catalogue.announced(), opened.catalogue.live()) == ("", first.name)
