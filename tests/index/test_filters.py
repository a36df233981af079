"""Filters on metadata."""

import pytest

from dialekt.errors import InputError
from dialekt.index.filters import Filter, parse_filter, tags_of


@pytest.mark.parametrize(
    ("fields", "metadata", "passes"),
    [
        ({}, {}, True),
        ({"lang": "en"}, {"lang": "en", "year": "2026"}, True),
        ({"lang": "en"}, {"lang": "de"}, False),
        ({"lang": ["en", "de"]}, {"lang": "de"}, True),
        ({"lang": {"not": "en"}}, {"lang": "en"}, False),
        ({"lang": {"not": ["en", "de"]}}, {"lang": "fr"}, True),
        ({"lang": {"not": "en"}}, {}, True),
        ({"lang": "en", "year": 2026}, {"lang": "en", "year": "2026"}, True),
        ({"lang": "en", "year": 2026}, {"lang": "en", "year": "2025"}, False),
        ({"draft": True}, {"draft": "true"}, True),
        ({"size": 1.5}, {"size": "1.5"}, True),
        ({"at": 1732226400.123}, {"at": "1732226400.123"}, True),
        ({"size": 2.0}, {"size": "2"}, True),
    ],
)
def test_a_filter_means_what_it_says(fields: dict[str, object], metadata: dict[str, str], passes: bool) -> None:
    """All fields must hold; a list is any of; "not" is none of."""
    assert parse_filter(fields).matches(tags_of(metadata)) is passes


def test_a_field_with_an_equals_sign_is_not_taken_for_another() -> None:
    """The tag of one field and value is the tag of no other."""
    assert tags_of({"a=b": "c"}) != tags_of({"a": "b=c"})


def test_a_long_value_is_told_from_others_that_begin_the_same() -> None:
    """Its tag is short enough for every engine."""
    one, other = "x" * 5_000, "x" * 5_000 + "y"
    assert len(tags_of({"note": one})[0]) < 300
    assert parse_filter({"note": one}).matches(tags_of({"note": one}))
    assert not parse_filter({"note": one}).matches(tags_of({"note": other}))


@pytest.mark.parametrize("wanted", [[], {"not": []}, {"gt": 3}, None, {"not": {"not": "x"}}, [["x"]]])
def test_an_odd_filter_is_refused_with_its_field(wanted: object) -> None:
    """The error names the field and says what works."""
    with pytest.raises(InputError, match="'lang'"):
        parse_filter({"lang": wanted})


def test_an_empty_filter_is_false() -> None:
    """So that engines can leave it out."""
    assert not Filter()
    assert parse_filter({"a": "b"})
