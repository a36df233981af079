"""Facts read with types."""

import math

from dialekt.report.facts import Facts


def test_facts_of_another_type_read_as_absent() -> None:
    """A missing, infinite or wrongly typed fact is absent; it never raises and never shows as a number."""
    facts = Facts({"a": "text", "b": math.nan, "c": True, "d": 3, "e": None})
    assert [facts.number(name) for name in "abcdef"] == [None, None, None, 3.0, None, None]
    assert facts.text("d") == ""
    assert facts.counts("a") == {}
    assert facts.parts("d") == ()
    assert not facts.part("e")


def test_lists_and_tuples_read_alike() -> None:
    """Facts read the same before and after a turn through JSON, which makes lists of tuples."""
    assert Facts({"w": ("a", "b")}).texts("w") == Facts({"w": ["a", "b"]}).texts("w") == ("a", "b")
    assert Facts({"c": {"x": 1, "y": None}}).counts("c") == {"x": 1}
