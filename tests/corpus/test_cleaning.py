"""Cleaning keeps what is said and loses what cannot be read or stored."""

from hypothesis import given
from hypothesis import strategies as st

from dialekt.corpus.cleaning import clean_line, clean_text


def test_control_characters_and_lone_surrogates_go() -> None:
    """NUL and other control characters become blanks, lone surrogates the replacement character."""
    assert clean_text("a\x00b\x07c \ud800 d\u00ad\u200be\ufeff") == "a b c \ufffd de"


def test_text_is_composed() -> None:
    """A letter and its combining accent become one character."""
    assert clean_text("cafe\u0301") == "caf\u00e9"


def test_paragraphs_stay_and_runs_of_blanks_go() -> None:
    """Empty lines become one paragraph break, line breaks stay, blanks are single."""
    assert clean_text(" a\t b \r\n c\r\n \r\n\r\nd\x0ce\u00a0f ") == "a b\nc\n\nd\n\ne f"


def test_a_title_is_one_line() -> None:
    """A title never has a line break."""
    assert clean_line(" Big\n\nTitle ") == "Big Title"


@given(st.text(alphabet=st.characters(codec=None), max_size=60))
def test_cleaning_is_stable_and_storable(text: str) -> None:
    """Cleaning a clean text changes nothing, and the result is valid UTF-8."""
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    cleaned.encode("utf-8")
