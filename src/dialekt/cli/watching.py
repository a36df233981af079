"""Drawing the journey while it walks: a progress bar on a terminal, a plain line every few seconds elsewhere."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from dialekt.cli.screen import Screen
from dialekt.cli.summaries import details, summarize
from dialekt.flow.records import StageName, StageRecord, StageStatus
from dialekt.types import Progress

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def watch(screen: Screen) -> Iterator["PlainObserver | BarObserver"]:
    """Give the observer that suits the screen, and tidy up the terminal when the walk ends, however it ends."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' own bars would write across ours
    console = screen.messages
    if not console.is_terminal or screen.quiet:
        yield PlainObserver(console)
        return
    columns = (TextColumn("  {task.description}"), BarColumn(bar_width=10), StandingColumn())
    with Bar(*columns, console=console, transient=True, refresh_per_second=4) as bar:
        yield BarObserver(console, bar)


class StandingColumn(ProgressColumn):
    """How much is done, for how long it has run, how long it will take, and what the stage has to say."""

    def render(self, task: Task) -> Text:
        """Write the part that is known."""
        elapsed = duration(task.elapsed or 0.0)
        parts = [elapsed]
        if task.total is not None:
            parts = [f"{int(task.completed):,}/{int(task.total):,}", elapsed]
        if task.time_remaining:
            parts.append(f"{duration(task.time_remaining)} left")
        return Text(", ".join(filter(None, [*parts, task.fields["note"]])), style="dim")


class PlainObserver:
    """Prints a line when a stage starts, every ten seconds while it works, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_line = 0.0

    def stage_started(self, stage: StageName, reason: str) -> None:
        """Say which stage begins, and why."""
        self._last_line = time.monotonic()
        self._console.print(f"  {stage.value}: {escape(reason)}", style="dim", soft_wrap=True)

    def progressed(self, stage: str, progress: Progress) -> None:
        """Say how far the stage has come, every few seconds."""
        now = time.monotonic()
        if now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        total = f" of {progress.total:,}" if progress.total is not None else ""
        label = f" {progress.label}:" if progress.label else ""
        note = f" ({progress.note})" if progress.note else ""
        self._console.print(escape(f"  {stage}:{label} {progress.done:,}{total}{note}"), soft_wrap=True)

    def stage_ended(self, record: StageRecord) -> None:
        """Print the stage's line."""
        print_stage(self._console, record)


class BarObserver:
    """Shows one bar for the piece of work at hand, and a line for every stage that has ended."""

    def __init__(self, console: Console, bar: Bar) -> None:
        self._console = console
        self._bar = bar
        self._task: TaskID | None = None
        self._label = ""

    def stage_started(self, stage: StageName, reason: str) -> None:
        """Show a bar without an end until the stage says how much there is to do."""
        self._begin(f"{stage.value}: {escape(reason)[:40]}")

    def progressed(self, stage: str, progress: Progress) -> None:
        """Move the bar; a new label is a new piece of work with its own time left."""
        if self._task is None or progress.label != self._label:
            self._begin(stage if progress.label in {"", stage} else f"{stage}: {progress.label}")
            self._label = progress.label
        assert self._task is not None
        self._bar.update(self._task, completed=progress.done, total=progress.total, note=progress.note)

    def stage_ended(self, record: StageRecord) -> None:
        """Replace the bar by the stage's line."""
        self._remove()
        print_stage(self._console, record)

    def _begin(self, description: str) -> None:
        self._remove()
        self._task = self._bar.add_task(description, total=None, note="")

    def _remove(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task, self._label = None, ""


def print_stage(console: Console, record: StageRecord) -> None:
    """Print what came out of a stage and how long it took; a skipped one says so."""
    skipped = record.status is StageStatus.SKIPPED
    line = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for width in (1, 13):
        line.add_column(width=width, no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", no_wrap=True)
    mark = "[dim]·[/]" if skipped else "[green]✓[/]"
    took = "[dim]done before[/]" if skipped else f"[dim]{duration(record.seconds)}[/]"
    line.add_row(mark, record.stage.value, escape(summarize(record.stage, record.facts)), took)
    console.print(line)
    if not skipped:
        for text in details(record.stage, record.facts):
            console.print(_indented(text))


def _indented(text: str) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column(width=16)
    grid.add_column(ratio=1)
    grid.add_row("", f"[dim]{text}[/]")
    return grid


def duration(seconds: float) -> str:
    """Write a time as people do: 0.4 s, 12 s, 3 min 05 s, 1:02:03."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return str(timedelta(seconds=int(seconds)))
