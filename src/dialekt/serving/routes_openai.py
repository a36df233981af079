"""The routes of the OpenAI protocol: embeddings in long arrays, and what is served."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import EmptyInputError, RequestError, UnknownModelError
from dialekt.models.engines.records import InputTokenizer, ModelInput, ModelKind, TokenizeOptions, TruncationDirection
from dialekt.serving.answers import Answer, json_answer, to_json
from dialekt.serving.endpoint import Call
from dialekt.serving.prompts import choose_prompt, side_of, side_warning
from dialekt.serving.records import CatalogueRow
from dialekt.serving.routes_tei import tokenize_options
from dialekt.serving.shaping import EncodingFormat, check_dimensions, dimensions_warning, encode_vectors, shape
from dialekt.serving.wire_openai import MAX_INPUTS, MAX_REQUEST_TOKENS, EmbeddingsRequest
from dialekt.serving.wire_tei import model_inputs
from dialekt.types import Role

_CHARACTERS_PER_TOKEN = 100  # a long text is counted in pieces of the model's tokens times this
_ROWS_PER_TURN = 256  # some 3 ms of writing numbers


async def create_embeddings(call: Call) -> Answer:
    """POST /v1/embeddings: a vector per input, however many."""
    request = call.parse(EmbeddingsRequest)
    inputs = model_inputs(request.input)
    _check_inputs(inputs)
    call.begin(len(inputs), ModelKind.EMBEDDING)
    kind = request.input_type or request.task
    side = side_of(call.service.config, name=None, input_type=kind)
    async with call.service.lease(request.model, ModelKind.EMBEDDING, documents=side is Role.DOCUMENT) as lease:
        model = lease.model
        check_dimensions(request.dimensions, model.engine.width)
        if len(call.body) > MAX_REQUEST_TOKENS:  # no token is shorter than a byte
            await _check_tokens(call, inputs, model.tokenizer)
        prompt = choose_prompt(call.service.config, model, name=None, input_type=kind)
        options = tokenize_options(call, truncate=request.truncate, direction=TruncationDirection.RIGHT, prompt=prompt)
        work = call.work(inputs, options, is_document=side is Role.DOCUMENT)
        outcome = await call.service.run_windows(lease, work, call.receive)
        vectors = shape(outcome.values, dimensions=request.dimensions, normalize=True)
        body = await _body(vectors, request, model=lease.reference, tokens=sum(outcome.tokens))
        warnings = (dimensions_warning(request.dimensions, model.contract), side_warning(side, model.contract))
        return call.answer(body, lease, work, outcome, warning="; ".join(filter(None, warnings)))


async def list_models(call: Call) -> Answer:
    """GET /v1/models: everything that can be asked for."""
    rows = await asyncio.to_thread(call.service.rows)
    return json_answer({"object": "list", "data": [_shown(row) for row in rows]})


async def show_model(call: Call) -> Answer:
    """GET /v1/models/{model}: one of them, by its id or an alias."""
    wanted = call.path_parameters["model"]
    rows = await asyncio.to_thread(call.service.rows)
    found = [row for row in rows if row.id == wanted] or [row for row in rows if wanted in row.aliases]
    if not found:
        message = f"the model {wanted[:100]!r} is not served here"
        raise UnknownModelError(message, hint="GET /v1/models lists what is", param="model")
    return json_answer(_shown(found[0]))


def _check_inputs(inputs: Sequence[ModelInput]) -> None:
    if not inputs or not all(item.text or item.ids for item in inputs):
        raise EmptyInputError("`input` cannot be empty", param="input")
    if len(inputs) > MAX_INPUTS:
        message = f"`input` must have at most {MAX_INPUTS} items. Given: {len(inputs)}"
        raise RequestError(message, param="input", failure="batch_size")


async def _check_tokens(call: Call, inputs: Sequence[ModelInput], tokenizer: InputTokenizer) -> None:
    """Raise `RequestError` for more tokens than one request may have, those that will be cut away included."""
    most = tokenizer.max_tokens * _CHARACTERS_PER_TOKEN
    pieces = [
        ModelInput(item.text[start : start + most]) for item in inputs for start in range(0, len(item.text), most)
    ]
    with call.service.admit(1):
        rows = await asyncio.to_thread(tokenizer.encode, pieces, TokenizeOptions(truncate=False))
    tokens = sum(len(row.ids) for row in rows) + sum(len(item.ids or ()) for item in inputs)
    if tokens > MAX_REQUEST_TOKENS:
        raise RequestError(f"`input` must have at most {MAX_REQUEST_TOKENS} tokens. Given: {tokens}", param="input")


async def _body(vectors: NDArray[np.float32], request: EmbeddingsRequest, *, model: str, tokens: int) -> bytes:
    """Write an answer; of a long array a part at a time, so that others have their turns in between."""
    parts = []
    for start in range(0, len(vectors), _ROWS_PER_TURN):
        written = _written(vectors[start : start + _ROWS_PER_TURN], request)
        rows = [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index, embedding in enumerate(written, start)
        ]
        parts.append(to_json(rows)[1:-1])
        if len(vectors) > _ROWS_PER_TURN:
            await asyncio.sleep(0)
    rest = to_json({"model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
    return b'{"object":"list","data":[' + b",".join(parts) + b"]," + rest[1:]


def _written(vectors: NDArray[np.float32], request: EmbeddingsRequest) -> Sequence[Any]:
    """Return one embedding per vector, in one format or as an object of several."""
    if not request.embedding_types:
        return encode_vectors(vectors, request.encoding_format or EncodingFormat.FLOAT)
    columns = {kind.value: encode_vectors(vectors, kind) for kind in request.embedding_types}
    return [{kind: column[index] for kind, column in columns.items()} for index in range(len(vectors))]


def _shown(row: CatalogueRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "model",
        "created": row.created,
        "owned_by": "dialekt",
        "kind": row.kind.value,
        "aliases": row.aliases,
        "base_model": row.base_model,
        "dimensions": row.dimensions,
        "loaded": row.loaded,
    }
