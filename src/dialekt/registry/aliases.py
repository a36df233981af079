"""Promotion and rollback: which version is the champion."""

from pathlib import Path

from dialekt.errors import GateError, NotFoundError, StorageError
from dialekt.registry.champion import Aliases, append, read_aliases
from dialekt.registry.gate import Verdict, judge
from dialekt.registry.records import Promotion, PromotionKind, Version
from dialekt.registry.versions import hold, load_version


def promote(
    registry: Path, version: str, *, minimum_gain: float, override_reason: str | None = None, now: str
) -> Promotion:
    """Make a version the champion, if its evidence holds or the user overrides the gate with a reason.

    Promoting the champion again changes nothing and returns the last entry of the log. Raises `GateError`
    with all reasons, `NotFoundError` for an unknown version.
    """
    with hold(registry):
        candidate = load_version(registry, version, check_files=False)
        aliases = read_aliases(registry)
        if aliases.champion == candidate.name:
            return aliases.history[-1]
        verdict = judge(candidate, champion=_champion(registry, aliases), minimum_gain=minimum_gain)
        reason = (override_reason or "").strip()
        if not verdict.promotable and not reason:
            raise _refusal(candidate, verdict)
        entry = Promotion(
            at=now,
            kind=PromotionKind.PROMOTE,
            version=candidate.name,
            previous=aliases.champion,
            reason=reason,
            overridden=verdict.reasons,
            comparison=verdict.comparison,
        )
        return append(registry, entry)


def rollback(registry: Path, *, now: str) -> Promotion:
    """Go back to the champion before the present one; again goes back further.

    Raises `NotFoundError` when there is none, and `StorageError` when its files are not intact.
    """
    with hold(registry):
        *_, previous, present = ("", "", *read_aliases(registry).promoted())
        if not previous:
            when = f"before {present!r}" if present else "yet"
            raise NotFoundError(f"no version was promoted {when}", hint="dialekt models list shows them all")
        load_version(registry, previous)
        return append(registry, Promotion(now, PromotionKind.ROLLBACK, version=previous, previous=present))


def judge_version(registry: Path, version: Version, *, minimum_gain: float) -> Verdict:
    """Say what `promote` would say, and change nothing."""
    champion = _champion(registry, read_aliases(registry))
    return judge(version, champion=champion, minimum_gain=minimum_gain)


def _champion(registry: Path, aliases: Aliases) -> Version | None:
    """Return the present champion, None when there is none or its folder is gone: nothing to compare."""
    if not aliases.champion:
        return None
    try:
        return load_version(registry, aliases.champion, check_files=False)
    except (NotFoundError, StorageError):
        return None


def _refusal(version: Version, verdict: Verdict) -> GateError:
    smallest = version.evidence.minimum_detectable_effect
    detectable = f"; these queries can show a difference of {smallest:.3f} at best" if smallest else ""
    return GateError(
        f"{version.name} was not promoted: {'; '.join(verdict.reasons)}",
        hint=f"collect more judged queries or train again{detectable}; to overrule, give a reason: "
        f"dialekt models promote {version.name} --override 'why'",
    )
