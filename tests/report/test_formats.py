"""Numbers as text."""

import pytest

from dialekt.report import formats
from dialekt.report.formats import ABSENT, MINUS


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5882, "0.588"), (1.0, "1.000"), (-0.25, f"{MINUS}0.250"), (-0.0001, "0.000"), (None, ABSENT)],
)
def test_score_has_three_decimals(value: float | None, text: str) -> None:
    """A score has three decimals, a real minus sign, and no negative zero."""
    assert formats.score(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.084, "+0.084"), (-0.0123, f"{MINUS}0.012"), (0.0002, "0.000"), (None, ABSENT)]
)
def test_difference_has_a_sign(value: float | None, text: str) -> None:
    """A difference always shows its sign, except where it rounds to nothing."""
    assert formats.signed(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.96, "10 s"), (59.7, "1 min 00 s"), (222.0, "3 min 42 s"), (3_900.0, "1 h 05 min")],
)
def test_duration_carries_over(seconds: float, text: str) -> None:
    """A duration never shows 60 seconds or minutes."""
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.0001, "< 0.001"), (0.034, "0.034"), (1.0, "1.000")])
def test_small_p_is_a_bound(value: float, text: str) -> None:
    """A p-value below a thousandth is given as a bound, as permutations cannot say more."""
    assert formats.p_value(value) == text


def test_storage_is_four_bytes_per_component() -> None:
    """A million float32 vectors of 384 dimensions take 1.54 GB, of 64 take 256 MB."""
    assert (formats.storage(384), formats.storage(64)) == ("1.54 GB", "256 MB")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2025-06-14T11:41:00+02:00", "14 June 2025, 09:41 UTC"),
        ("2025-06-14", "14 June 2025"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_moment_is_for_people(text: str, shown: str) -> None:
    """An ISO time is written out in UTC; anything else stays as it is."""
    assert formats.moment(text) == shown


def test_unknown_names_stay_readable() -> None:
    """A system or stage that this version does not know keeps its own name."""
    assert formats.system_label("tuned@128") == "Tuned model, 128 dimensions"
    assert formats.system_phrase("splade") == "splade"
    assert formats.stage_label("re_ranking") == "Re ranking"
