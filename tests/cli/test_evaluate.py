"""`dialekt evaluate` says what several seeds found."""

import pytest

from dialekt.cli.evaluate import show_seeds
from dialekt.cli.screen import open_screen
from dialekt.evaluation.seeds import SeedFacts, SeedRun
from dialekt.types import Interval


def facts(*, low: float) -> SeedFacts:
    """Describe two seeds, the second with another lower bound than the first."""
    runs = (
        SeedRun(13, ndcg=0.512, gain=0.1, low=0.05, high=0.15, proven=True),
        SeedRun(14, ndcg=0.452, gain=0.04, low=low, high=0.09, proven=low > 0),
    )
    gain = Interval(0.07, 0.01, 0.12)
    return SeedFacts(
        runs, queries=1_200, confidence=0.95, base_ndcg=0.412, gain=gain, deviation=0.042, unanimous=low > 0
    )


def test_every_seed_has_a_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has base and seeds; below stand the mean with its interval and the spread."""
    monkeypatch.setenv("COLUMNS", "120")
    show_seeds(open_screen("evaluate", as_json=False, quiet=True), facts(low=0.01))
    shown = capsys.readouterr().out
    assert "13    0.512  +0.100  +0.050 to +0.150" in shown
    assert "base    0.412" in shown
    assert "Mean gain +0.070 (+0.010 to +0.120)" in shown
    assert "1,200 held-out queries" in shown
    assert "luck" not in shown


def test_seeds_that_disagree_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Where one seed would have passed the gate and another not, a sentence says so."""
    show_seeds(open_screen("evaluate", as_json=False, quiet=True), facts(low=-0.01))
    assert "partly luck" in " ".join(capsys.readouterr().out.split())
