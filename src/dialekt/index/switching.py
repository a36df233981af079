"""Making a release live, going back, and removing what is no longer needed."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dialekt.errors import GateError, NotFoundError, UsageError
from dialekt.index.catalogue import wait_for_servers
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Embed, Release, State, Switch, SwitchKind

SHORT_TAIL = 16  # changes that may be left when writers are held off for the switch itself
SERVER_PATIENCE_SECONDS = 120.0
_ROUNDS = 20


def go_live(
    opened: OpenIndex,
    release: str,
    embed: Embed,
    *,
    now: str,
    reason: str = "",
    overridden: Sequence[str] = (),
    waiting: Callable[[int], None] = lambda _: None,
) -> Switch:
    """Switch to a release that is ready, once every server that answers from this index is ready for it too.

    Raises `UsageError` for a release under construction, `GateError` when a server does not get ready in time.
    """
    found = opened.catalogue.release(release)
    if found.state is not State.READY:
        raise UsageError(f"{release} is not finished", hint="dialekt index migrate goes on with it")
    previous = opened.catalogue.live()
    entry = Switch(now, SwitchKind.CUT_OVER, found.name, previous, reason, tuple(overridden))
    if previous != found.name:
        _switch(opened, found, entry, embed, waiting)
    return entry


def roll_back(
    opened: OpenIndex,
    embed: Embed,
    *,
    now: str,
    reason: str = "",
    waiting: Callable[[int], None] = lambda _: None,
) -> Switch:
    """Go back to the release before the live one; it first takes in what was written since.

    Raises `NotFoundError` where there is none or it was dropped.
    """
    found = previous_release(opened)
    entry = Switch(now, SwitchKind.ROLLBACK, found.name, opened.catalogue.live(), reason)
    _switch(opened, found, entry, embed, waiting)
    return entry


def previous_release(opened: OpenIndex) -> Release:
    """Return the release that a rollback goes back to. Raises `NotFoundError`."""
    previous = opened.catalogue.previous()
    if not previous or previous not in {release.name for release in opened.catalogue.releases()}:
        raise NotFoundError(
            "there is no release to go back to", hint="dialekt index list shows what there is; migrate makes another"
        )
    return opened.catalogue.release(previous)


def drop(opened: OpenIndex, release: str) -> str:
    """Remove a release that is not live, and its index version unless another release uses it.

    Returns the version that was removed, empty for none. Raises `UsageError` for the live release.
    """
    found = opened.catalogue.release(release)
    if found.name == opened.catalogue.live():
        raise UsageError(f"{found.name} is live", hint="migrate to another release or roll back, then drop it")
    shared = any(other.index == found.index for other in opened.catalogue.releases() if other.name != found.name)
    if shared:
        opened.catalogue.remove_release(found.name, version="")
        return ""
    with opened.holding(found.index):
        opened.engine(found.index).drop()
        opened.release_engine(found.index)
        shutil.rmtree(opened.folder / "versions" / found.index, ignore_errors=True)
        opened.catalogue.remove_release(found.name, version=found.index)
    shorten_log(opened)
    return found.index


def shorten_log(opened: OpenIndex) -> None:
    """Forget changes that every index version holds."""
    opened.documents.forget_changes(min((found.position for found in opened.catalogue.versions()), default=0))


def catch_up(opened: OpenIndex, version: str, embed: Embed) -> None:
    """Apply the log until little of it is left, however fast it grows."""
    for _ in range(_ROUNDS):
        position = opened.apply(version, embed)
        if opened.documents.tail() - position <= SHORT_TAIL:
            return


def _switch(opened: OpenIndex, release: Release, entry: Switch, embed: Embed, waiting: Callable[[int], None]) -> None:
    """Get servers ready, shorten the log, then apply the rest and switch while writers wait."""
    try:
        _get_ready_and_switch(opened, release, entry, embed, waiting)
    finally:
        opened.catalogue.announce("")


def _get_ready_and_switch(
    opened: OpenIndex, release: Release, entry: Switch, embed: Embed, waiting: Callable[[int], None]
) -> None:
    if not wait_for_servers(opened.catalogue, release.name, seconds=SERVER_PATIENCE_SECONDS, waiting=waiting):
        raise GateError(
            f"a server was not ready for {release.name} within {SERVER_PATIENCE_SECONDS:.0f} s; nothing was changed",
            hint="its log says why; stop that server or mend it, then try again",
        )
    catch_up(opened, release.index, embed)
    with opened.holding(release.index), ThreadPoolExecutor(1) as other:
        opened.catalogue.switch(entry, catch_up=lambda: other.submit(opened.apply_held, release.index, embed).result())
