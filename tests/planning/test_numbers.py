"""Counts as people write them."""

import pytest

from dialekt.errors import UsageError
from dialekt.planning.numbers import parse_amount, parse_count


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1_000_000_000),
        ("10M", 10_000_000),
        ("2.5k", 2_500),
        ("1,000,000", 1_000_000),
        ("1_000", 1_000),
        (" 3 B ", 3_000_000_000),
        ("0.1m", 100_000),
        ("0", 0),
    ],
)
def test_counts_are_understood(text: str, value: int) -> None:
    """Powers of ten, k, M, B, and separators all mean a whole number."""
    assert parse_count(text, name="--documents") == value


@pytest.mark.parametrize("text", ["", "many", "-3", "1e", "10 X", "1e999", "nan", "1.2.3", "½"])
def test_what_is_no_number_is_refused(text: str) -> None:
    """The message names the option and the value, and the hint shows how to write one."""
    with pytest.raises(UsageError, match=r"--documents = .* is (no number|too large)") as caught:
        parse_count(text, name="--documents")
    assert "10M" in caught.value.hint


def test_a_part_of_a_document_is_refused() -> None:
    """Half a document is no count, but half a query a second is a rate."""
    with pytest.raises(UsageError, match="no whole number"):
        parse_count("1.5", name="--documents")
    assert parse_amount("1.5", name="--queries-per-second") == 1.5
