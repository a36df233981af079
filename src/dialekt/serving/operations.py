"""Every route in one table, for the OpenAPI document and the page about it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialekt.serving import wire_openai, wire_search, wire_tei

_TEI = "Text Embeddings Inference"
_OPENAI = "OpenAI"
_INDEX = "Index"
_OPERATION = "Operation"


class ErrorShape(StrEnum):
    """In which protocol's words a route tells of an error."""

    TEI = "tei_error"
    OPENAI = "openai_error"


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. `request` and `answer` are types that pydantic knows, None for an empty body.

    `statuses` are the errors of a route without a body; `path_parameters` have an example each; `accepts` says what a
    202 means, where there may be one.
    """

    method: str
    path: str
    group: str
    summary: str
    gives: str
    request: Any = None
    answer: Any = None
    example: Any = None
    computes: bool = False
    needs_key: bool = True
    statuses: tuple[int, ...] = ()
    media_type: str = "application/json"
    errors: ErrorShape = ErrorShape.TEI
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    takes_ndjson: bool = False
    accepts: str = ""

    @property
    def identity(self) -> str:
        """The operation's name in the document: `post_v1_embeddings`."""
        words = "".join(letter if letter.isalnum() else " " for letter in self.path).split()
        return "_".join([self.method.lower(), *(words or ["root"])])


_QUESTION = "how do I reset my password?"
_ANSWERS = ["open settings, then account", "solar panels need sun"]

_EMBED = Operation(
    "POST",
    "/embed",
    _TEI,
    "a vector per input",
    gives="one vector per input, always a list of lists",
    request=wire_tei.EmbedRequest,
    answer=wire_tei.EmbedAnswer,
    example={"inputs": [_QUESTION], "prompt_name": "query"},
    computes=True,
)
_EMBEDDINGS = Operation(
    "POST",
    "/v1/embeddings",
    _OPENAI,
    "a vector per input",
    gives="vectors in the order of the inputs, and how many tokens they were",
    request=wire_openai.EmbeddingsRequest,
    answer=wire_openai.EmbeddingsAnswer,
    example={"input": [_QUESTION], "input_type": "query"},
    computes=True,
    errors=ErrorShape.OPENAI,
)
_ROOT = Operation(
    "POST",
    "/",
    _TEI,
    "/embed, /similarity, /rerank or /predict, by the body and the model",
    gives="what that route gives",
    request=wire_tei.EmbedRequest | wire_tei.SimilarityRequest | wire_tei.RerankRequest | wire_tei.PredictRequest,
    answer=wire_tei.EmbedAnswer | wire_tei.SimilarityAnswer | wire_tei.RerankAnswer | wire_tei.PredictAnswer,
    example={"inputs": [_QUESTION]},
    computes=True,
)
_WRITE = Operation(
    "POST",
    "/documents",
    _INDEX,
    "add or replace documents",
    gives="what changed; searches see it from now on",
    accepts="what changed; it is durable, and searches see it later",
    request=wire_search.DocumentsRequest,
    answer=wire_search.WriteAnswer,
    example={"documents": [{"id": "manual-7", "text": _ANSWERS[0], "metadata": {"lang": "en"}}]},
)
_HEALTH = Operation(
    "GET",
    "/health",
    _OPERATION,
    "whether the process can answer",
    gives="it can",
    needs_key=False,
    statuses=(503,),
)

OPERATIONS = (
    _EMBED,
    Operation(
        "POST",
        "/embed_all",
        _TEI,
        "a vector per token",
        gives="one vector per token of every input, not normalised",
        request=wire_tei.TokenVectorsRequest,
        answer=wire_tei.EmbedAllAnswer,
        example={"inputs": [_QUESTION]},
        computes=True,
    ),
    Operation(
        "POST",
        "/embed_sparse",
        _TEI,
        "a sparse vector per input; 424, since no sparse model is served",
        gives="index and value of the components that are not zero",
        request=wire_tei.SparseRequest,
        answer=wire_tei.SparseAnswer,
        example={"inputs": [_QUESTION]},
    ),
    Operation(
        "POST",
        "/similarity",
        _TEI,
        "how near sentences are to another",
        gives="one cosine per sentence",
        request=wire_tei.SimilarityRequest,
        answer=wire_tei.SimilarityAnswer,
        example={"inputs": {"source_sentence": _QUESTION, "sentences": _ANSWERS}},
        computes=True,
    ),
    Operation(
        "POST",
        "/rerank",
        _TEI,
        "order texts by how well they answer a query; needs a re-ranker",
        gives="the texts' places in the request with their scores, the best first",
        request=wire_tei.RerankRequest,
        answer=wire_tei.RerankAnswer,
        example={"query": _QUESTION, "texts": _ANSWERS},
        computes=True,
    ),
    Operation(
        "POST",
        "/predict",
        _TEI,
        "label texts or pairs; needs a classifier or re-ranker",
        gives="labels with their scores, the best first",
        request=wire_tei.PredictRequest,
        answer=wire_tei.PredictAnswer,
        example={"inputs": [[_QUESTION], [_QUESTION, _ANSWERS[0]]]},
        computes=True,
    ),
    Operation(
        "POST",
        "/tokenize",
        _TEI,
        "the tokens of texts",
        gives="the tokens of every text, with their bytes in it",
        request=wire_tei.TokenizeRequest,
        answer=wire_tei.TokenizeAnswer,
        example={"inputs": [_QUESTION]},
    ),
    Operation(
        "POST",
        "/decode",
        _TEI,
        "the texts of token ids",
        gives="one text per list of token ids",
        request=wire_tei.DecodeRequest,
        answer=wire_tei.DecodeAnswer,
        example={"ids": [[101, 102]]},
    ),
    _ROOT,
    dataclasses.replace(_ROOT, path="/invocations", summary="POST / under another name"),
    Operation("GET", "/info", _TEI, "model, engine and limits", gives="what is served, and how", answer=dict[str, Any]),
    _EMBEDDINGS,
    dataclasses.replace(_EMBEDDINGS, path="/embeddings", summary="/v1/embeddings under another name"),
    Operation(
        "POST",
        "/search",
        _INDEX,
        "documents for a query",
        gives="the best documents, from the release that is named in the answer; for several queries lists of them",
        request=wire_search.SearchRequest,
        answer=wire_search.SearchAnswer | wire_search.SearchesAnswer,
        example={"query": _QUESTION, "k": 3, "filter": {"lang": "en"}},
        computes=True,
    ),
    _WRITE,
    dataclasses.replace(
        _WRITE,
        method="PATCH",
        summary="change metadata of documents",
        request=wire_search.PatchRequest,
        example={"documents": [{"id": "manual-7", "metadata": {"lang": "de", "draft": None}}]},
    ),
    dataclasses.replace(
        _WRITE,
        method="DELETE",
        summary="remove documents",
        request=wire_search.DeleteRequest,
        example={"ids": ["manual-7"]},
    ),
    Operation(
        "GET",
        "/documents/{id}",
        _INDEX,
        "one document",
        gives="its text and metadata, in chunks where it has several",
        answer=wire_search.DocumentAnswer,
        statuses=(404, 503, 504),
        path_parameters={"id": "manual-7"},
    ),
    Operation(
        "GET",
        "/index",
        _INDEX,
        "the release that answers",
        gives="release, model, engine, how much is in it, and what was live before",
        answer=wire_search.IndexAnswer,
        statuses=(404, 503, 504),
    ),
    Operation(
        "POST",
        "/ubi/events",
        _INDEX,
        "keep clicks and other events in the search log",
        gives="how many were kept",
        request=wire_search.UbiEvent | list[wire_search.UbiEvent],
        answer=wire_search.EventsAnswer,
        example={
            "action_name": "click",
            "query_id": "0b1f6c1e",
            "timestamp": "2026-11-02T09:30:00Z",
            "event_attributes": {"object": {"object_id": "manual-7"}, "position": {"ordinal": 1}},
        },
        takes_ndjson=True,
    ),
    Operation(
        "GET",
        "/v1/models",
        _OPENAI,
        "models and versions that can be asked for",
        gives="their ids, aliases and dimensions",
        answer=wire_openai.ModelsAnswer,
        errors=ErrorShape.OPENAI,
    ),
    Operation(
        "GET",
        "/v1/models/{model}",
        _OPENAI,
        "one model or version",
        gives="its aliases and dimensions",
        answer=wire_openai.ModelRow,
        statuses=(404,),
        errors=ErrorShape.OPENAI,
        path_parameters={"model": "docs@champion"},
    ),
    _HEALTH,
    dataclasses.replace(_HEALTH, path="/ping", summary="/health under another name"),
    dataclasses.replace(_HEALTH, path="/", summary="/health under another name"),
    dataclasses.replace(
        _HEALTH, path="/ready", summary="whether requests should come", gives="they should: the model is loaded"
    ),
    Operation(
        "GET",
        "/metrics",
        _OPERATION,
        "counters and durations for Prometheus",
        gives="metrics as text",
        answer=str,
        needs_key=False,
        media_type="text/plain",
    ),
    Operation(
        "GET",
        "/docs",
        _OPERATION,
        "this page",
        gives="a page",
        answer=str,
        needs_key=False,
        media_type="text/html",
    ),
    Operation(
        "GET", "/openapi.json", _OPERATION, "every route for programs", gives="OpenAPI 3.1", answer=dict[str, Any]
    ),
)
