"""Which models share the vectors of documents."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dialekt.models.contract import read_contract
from dialekt.models.spaces import space_id


def test_a_model_tuned_on_the_query_side_shares_the_space_of_its_documents(tiny_model: Path) -> None:
    """Its documents' vectors are those of the model that its contract names, whatever its own id is."""
    contract = read_contract(tiny_model)
    tuned = replace(contract, document_model="base id", query_prompt="query: ", matryoshka_dimensions=(32, 16))
    assert space_id(tuned, "tuned id") == space_id(contract, "base id") != space_id(contract, "tuned id")


@pytest.mark.parametrize(
    "change", [{"document_prompt": "d: "}, {"pooling": "cls"}, {"max_tokens": 32}, {"dimension": 16}]
)
def test_what_decides_document_vectors_decides_the_space(tiny_model: Path, change: dict[str, Any]) -> None:
    """Another prompt, pooling, limit or width of documents is another space."""
    contract = read_contract(tiny_model)
    assert space_id(replace(contract, **change), "id") != space_id(contract, "id")
