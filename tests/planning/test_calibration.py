"""Measurements as they are kept."""

import json

import pytest
from tests.planning.samples import ENCODING, searching

from dialekt.planning.calibration import encoding_from_json, search_from_json, to_json


def test_what_is_kept_is_read_back() -> None:
    """Both kinds of measurement survive their file."""
    assert encoding_from_json(to_json("k", ENCODING), "k") == ENCODING
    assert search_from_json(to_json("k", searching()), "k") == searching()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({"format": 1, "key": "k"}), to_json("other", ENCODING)]
)
def test_anything_else_is_measured_again(text: str) -> None:
    """A damaged file, or one of another machine or model, counts as none."""
    assert encoding_from_json(text, "k") is None
    assert search_from_json(text, "k") is None


def test_a_new_format_is_measured_again() -> None:
    """What an older version kept is not misread."""
    values = json.loads(to_json("k", ENCODING)) | {"format": 0}
    assert encoding_from_json(json.dumps(values), "k") is None


def test_scatter_is_the_worst_trial() -> None:
    """Times without a range have none."""
    assert searching().scatter == 0
