"""The OpenAPI document and the page about it, and whether the server does what the document says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import torch
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from tests.serving.conftest import Served
from tests.serving.searching import build_index, searching

from dialekt.serving.docs_page import docs_page
from dialekt.serving.openapi import openapi_document
from dialekt.serving.operations import OPERATIONS

DOCUMENT = openapi_document(title="Dialekt: tiny", version="1.0.0", needs_key=False)
# Whether a request is accepted depends on the model: which ids its vocabulary has, which prompts, and what it makes.
CONFIG = SchemathesisConfig.from_dict({"checks": {"positive_data_acceptance": {"enabled": False}}})
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> Any:
    """Send JSON line by line as it was drawn."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def indexed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose index is written to by made-up requests."""
    folder = build_index(tmp_path_factory.mktemp("indexed") / "index", tiny_model)
    with searching(folder, tiny_model) as found:
        yield found


@pytest.fixture(autouse=True)
def _whole_floats() -> None:
    """Let the processor compute with the smallest floats, which are drawn here: a cross-encoder's kernels forbid it."""
    torch.set_flush_denormal(False)


@SCHEMA.parametrize()
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_what_the_document_says(case: Any, served: Served) -> None:
    """Made-up requests, right and wrong ones, have answers whose status, headers and body the document knows."""
    case.call_and_validate(base_url=served.url)


@SCHEMA.include(tag="Index").parametrize()
@settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_the_index_does_what_the_document_says(case: Any, indexed: Served) -> None:
    """The same of a server that has an index."""
    case.call_and_validate(base_url=indexed.url)


def test_the_document_is_served(served: Served) -> None:
    """GET /openapi.json is the document, in OpenAPI 3.1, with every route and its errors."""
    document = served.client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "Dialekt: tiny"
    assert document["paths"] == DOCUMENT["paths"]
    for operation in OPERATIONS:
        described = document["paths"][operation.path][operation.method.lower()]
        assert described["responses"].keys() >= ({"200", "400", "422", "429"} if operation.request else {"200"})


def test_the_document_says_which_routes_need_a_key() -> None:
    """Where the server has keys, only probes, metrics and the page go without one."""
    document = openapi_document(title="Dialekt", version="1.0.0", needs_key=True)
    described = [(path, entry) for path, entries in document["paths"].items() for entry in entries.values()]
    assert {path for path, entry in described if "security" not in entry} == {
        "/", "/docs", "/health", "/metrics", "/ping", "/ready"
    }  # fmt: skip
    assert all(("401" in entry["responses"]) == ("security" in entry) for _, entry in described)
    assert "security" in document["paths"]["/"]["post"]


def test_the_page_explains_every_route_and_loads_nothing(served: Served) -> None:
    """GET /docs shows each route with a command that calls this very server, and refers to no other place."""
    page = served.client.get("/docs").text
    for operation in OPERATIONS:
        assert f'<code class="path">{operation.path}</code>' in page
    assert f"curl {served.url}/v1/embeddings" in page
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", page)
    assert set(re.findall(r"https?://[^/\s]+", page)) == {served.url}


def test_the_page_shows_the_key_and_types_of_fields() -> None:
    """Commands carry the key where one is needed; a field's type is told in a few words, the required ones first."""
    document = openapi_document(title="<Dialekt>", version="1.0.0", needs_key=True)
    page = docs_page(document, url="http://localhost:3000")
    assert "&lt;Dialekt&gt;" in page
    assert "<Dialekt>" not in page
    assert "authorization: Bearer $API_KEY" in page
    assert "string | [string] | [integer] | [[integer]]" in page
    openai = page[page.index(">/v1/embeddings</code>") :]
    assert openai.index("<code>input</code>, required") < openai.index("<code>model</code>")
