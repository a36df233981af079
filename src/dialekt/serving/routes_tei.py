"""The routes of Text Embeddings Inference that embed: /embed, /embed_all, /embed_sparse, /similarity."""

import asyncio
from collections.abc import Sequence

import numpy as np

from dialekt.errors import BackendError, EmptyInputError
from dialekt.models.engines.records import ModelInput, ModelKind, TokenizeOptions, TruncationDirection
from dialekt.serving.answers import Answer, to_json
from dialekt.serving.endpoint import Call
from dialekt.serving.limits import check_batch
from dialekt.serving.prompts import choose_prompt, side_of, side_warning
from dialekt.serving.service import Lease
from dialekt.serving.shaping import (
    WHOLE_NUMBERS,
    EncodingFormat,
    check_dimensions,
    dimensions_warning,
    encode_vectors,
    shape,
)
from dialekt.serving.wire_tei import (
    EmbedRequest,
    InputType,
    SimilarityRequest,
    SparseRequest,
    TokenVectorsRequest,
    model_inputs,
)
from dialekt.types import Role


async def embed(call: Call) -> Answer:
    """POST /embed: a vector per input."""
    request = call.parse(EmbedRequest)
    inputs = checked_inputs(call, model_inputs(request.inputs))
    call.begin(len(inputs), ModelKind.EMBEDDING)
    side = _side(call, request)
    async with call.service.lease(request.model, ModelKind.EMBEDDING, documents=side is Role.DOCUMENT) as lease:
        check_dimensions(request.dimensions, lease.model.engine.width)
        work = call.work(inputs, _options(call, lease, request), is_document=side is Role.DOCUMENT)
        outcome = await call.compute(lease, work)
        encoding = request.encoding_format or EncodingFormat.FLOAT
        normalize = request.normalize is not False or encoding in WHOLE_NUMBERS
        vectors = shape(outcome.values, dimensions=request.dimensions, normalize=normalize)
        body = to_json(encode_vectors(vectors, encoding))
        contract = lease.model.contract
        warnings = (dimensions_warning(request.dimensions, contract), side_warning(side, contract))
        return call.answer(body, lease, work, outcome, warning="; ".join(filter(None, warnings)))


async def embed_all(call: Call) -> Answer:
    """POST /embed_all: a vector per token."""
    request = call.parse(TokenVectorsRequest)
    inputs = checked_inputs(call, model_inputs(request.inputs))
    call.begin(len(inputs), ModelKind.EMBEDDING)
    side = _side(call, request)
    async with call.service.lease(request.model, ModelKind.EMBEDDING, documents=side is Role.DOCUMENT) as lease:
        options = _options(call, lease, request)
        work = call.work(inputs, options, is_document=side is Role.DOCUMENT, token_level=True)
        outcome = await call.compute(lease, work)
        parts = []
        for matrix in outcome.token_values:
            if not np.isfinite(matrix).all():
                raise BackendError("the model's vectors are not finite numbers")
            parts.append(to_json(np.ascontiguousarray(matrix, dtype=np.float32)))
            await asyncio.sleep(0)  # a long text is megabytes of JSON: let others have a turn
        warning = side_warning(side, lease.model.contract)
        return call.answer(b"[" + b",".join(parts) + b"]", lease, work, outcome, warning=warning)


async def embed_sparse(call: Call) -> Answer:
    """POST /embed_sparse: no model here makes sparse vectors, and TEI says so with 424."""
    request = call.parse(SparseRequest)
    checked_inputs(call, model_inputs(request.inputs))
    async with call.service.lease(request.model, ModelKind.EMBEDDING):
        raise BackendError("Model is not an embedding model with Splade pooling", failure="model_type")


async def similarity(call: Call) -> Answer:
    """POST /similarity: the cosine of a sentence to each of others."""
    request = call.parse(SimilarityRequest)
    if not request.inputs.sentences:
        raise EmptyInputError("`inputs.sentences` cannot be empty", param="inputs.sentences")
    sentences = (request.inputs.source_sentence, *request.inputs.sentences)
    inputs = checked_inputs(call, tuple(ModelInput(sentence) for sentence in sentences))
    call.begin(len(inputs), ModelKind.EMBEDDING)
    parameters = request.parameters
    name = parameters.prompt_name if parameters else None
    side = side_of(call.service.config, name=name, input_type=None)
    async with call.service.lease(request.model, ModelKind.EMBEDDING, documents=side is Role.DOCUMENT) as lease:
        options = tokenize_options(
            call,
            truncate=parameters.truncate if parameters else None,
            direction=parameters.direction if parameters else TruncationDirection.RIGHT,
            prompt=choose_prompt(call.service.config, lease.model, name=name, input_type=None),
        )
        work = call.work(inputs, options)
        outcome = await call.compute(lease, work)
        vectors = shape(outcome.values, dimensions=None, normalize=True)
        cosines = np.clip(vectors[1:] @ vectors[0], -1.0, 1.0)  # (sentences)
        return call.answer(to_json(cosines), lease, work, outcome)


def checked_inputs(call: Call, inputs: Sequence[ModelInput]) -> tuple[ModelInput, ...]:
    """Return inputs that are neither too many nor empty. Raises `RequestError`."""
    if not inputs:
        raise EmptyInputError("`inputs` cannot be empty", param="inputs")
    check_batch(len(inputs), most=call.service.config.max_client_batch_size)
    if not all(item.text or item.pair or item.ids for item in inputs):
        raise EmptyInputError("`inputs` cannot be empty", param="inputs")
    return tuple(inputs)


def tokenize_options(
    call: Call, *, truncate: bool | None, direction: TruncationDirection, prompt: str = ""
) -> TokenizeOptions:
    """Return how inputs become tokens; where the request does not say whether they may be cut, the server does."""
    return TokenizeOptions(prompt, call.service.config.auto_truncate if truncate is None else truncate, direction)


def _options(call: Call, lease: Lease, request: TokenVectorsRequest) -> TokenizeOptions:
    prompt = choose_prompt(call.service.config, lease.model, name=request.prompt_name, input_type=_input_type(request))
    return tokenize_options(call, truncate=request.truncate, direction=request.direction, prompt=prompt)


def _input_type(request: TokenVectorsRequest) -> InputType | None:
    return request.input_type or request.task


def _side(call: Call, request: TokenVectorsRequest) -> Role | None:
    return side_of(call.service.config, name=request.prompt_name, input_type=_input_type(request))
