"""What a person sees while the journey walks."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from dialekt.cli.screen import Screen
from dialekt.cli.watching import BarObserver, PlainObserver, duration, watch
from dialekt.flow.records import StageName, StageRecord, StageStatus
from dialekt.types import Progress


def _screen(*, terminal: bool) -> tuple[Screen, io.StringIO]:
    written = io.StringIO()
    messages = Console(file=written, width=80, force_terminal=terminal, color_system=None)
    return Screen("run", results=Console(file=io.StringIO()), messages=messages, as_json=False, quiet=False), written


def _record() -> StageRecord:
    facts = {"pairs": 1200, "queries": 800, "dropped": {"unknown_documents": 2}, "warnings": ["few [odd] queries"]}
    return StageRecord(StageName.PAIRS, StageStatus.DONE, 75.0, "key", "id", Path(), {}, facts)


def _walk(observer: PlainObserver | BarObserver) -> None:
    observer.stage_started(StageName.PAIRS, "first run")
    observer.progressed(StageName.PAIRS, Progress("reading", 5, 20, note="loss 1.5"))
    observer.stage_ended(_record())


def test_a_terminal_gets_a_bar_and_then_the_stage_line() -> None:
    """While a stage works its bar shows how much is done; afterwards a line says what came out."""
    screen, written = _screen(terminal=True)
    with watch(screen) as observer:
        assert isinstance(observer, BarObserver)
        observer.stage_started(StageName.PAIRS, "first run")
        observer.progressed(StageName.PAIRS, Progress("reading", 5, 20, note="loss 1.5"))
        observer._bar.refresh()
        observer.stage_ended(_record())
    assert "pairs: reading" in written.getvalue()
    assert "5/20" in written.getvalue()
    assert "loss 1.5" in written.getvalue()
    assert "✓ pairs         1,200 training pairs of 800 queries" in written.getvalue()
    assert "1 min 15 s" in written.getvalue()


def test_elsewhere_lines_come_without_control_codes() -> None:
    """A log file gets plain lines: the reason, the result, drops and warnings."""
    screen, written = _screen(terminal=False)
    with watch(screen) as observer:
        assert isinstance(observer, PlainObserver)
        _walk(observer)
    said = written.getvalue()
    assert "\x1b" not in said
    assert "pairs: first run" in said
    assert "dropped: 2 unknown documents" in said
    assert "few [odd] queries" in said


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (12.4, "12 s"), (185, "3 min 05 s"), (3723, "1:02:03"), (59.9, "60 s")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    """Tenths below ten seconds, then seconds, minutes and hours."""
    assert duration(seconds) == text
