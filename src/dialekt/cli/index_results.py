"""What `dialekt index build`, `migrate`, `update` and `verify` print."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from dialekt.cli.screen import Screen
from dialekt.cli.watching import duration
from dialekt.flow.facts import plain
from dialekt.flow.indexing import Estimate
from dialekt.flow.releasing import ReleaseFacts
from dialekt.index.checks import Check


def show_checks(screen: Screen, checks: Sequence[Check]) -> None:
    """Print a line per check."""
    for check in checks:
        mark = "[green]✓[/]" if check.passed else "[red]✗[/]"
        screen.results.print(f"  {mark} {check.name:<8} {escape(check.detail)}", soft_wrap=True)


def show_estimate(screen: Screen, ahead: Estimate) -> None:
    """Say, before it begins, what it will take."""
    work = f"{ahead.to_embed:,} to embed, about {duration(ahead.seconds)}" if ahead.to_embed else "nothing to embed"
    beside = f" beside {_megabytes(ahead.stored_bytes)} until an old release is dropped" if ahead.stored_bytes else ""
    free = f"; {ahead.free_bytes / 1e9:,.0f} GB free" if ahead.free_bytes is not None else ""
    room = f"; {_megabytes(ahead.new_bytes)} new{beside}{free}" if ahead.new_bytes else ""
    screen.messages.print(f"  {ahead.units:,} documents or chunks, {work}{room}", style="dim", soft_wrap=True)


def show_release_facts(screen: Screen, facts: ReleaseFacts) -> None:
    """Print what was done, what was checked, and what is live now."""
    done, release = facts.fill, facts.release
    said = f"{done.embedded:,} embedded, {done.reused:,} known already, {done.kept:,} there before"
    removed = f", {done.removed:,} removed" if done.removed else ""
    screen.results.print(
        f"{done.units:,} documents or chunks: {said}{removed}; {duration(facts.seconds)}", soft_wrap=True
    )
    show_checks(screen, facts.checks)
    state = (
        "is live" if facts.switch else "was live already" if not facts.tuned else "is ready; migrate again to switch"
    )
    before = f", before it {facts.switch.previous}" if facts.switch and facts.switch.previous else ""
    engine = facts.version.spec.engine.value
    screen.results.print(
        f"[bold]{release.name}[/] {state}: model {release.model}, index {release.index} ({engine}){before}",
        soft_wrap=True,
    )
    if facts.switch and not facts.switch.previous:
        screen.messages.print("Next: dialekt index search 'your query', or dialekt serve", style="dim")


def answer(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the facts as `--json` prints them."""
    answer: dict[str, Any] = plain(facts)
    return answer


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
