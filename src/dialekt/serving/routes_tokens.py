"""The routes of Text Embeddings Inference about tokens: /tokenize and /decode. They need no engine."""

import asyncio
from dataclasses import asdict

from dialekt.errors import EmptyInputError
from dialekt.models.engines.records import ModelInput, ModelKind
from dialekt.serving.answers import Answer, json_answer
from dialekt.serving.endpoint import Call
from dialekt.serving.limits import check_batch
from dialekt.serving.prompts import choose_prompt
from dialekt.serving.wire_tei import DecodeRequest, TokenizeRequest


async def tokenize(call: Call) -> Answer:
    """POST /tokenize: the tokens of texts, with the bytes that they stand for."""
    request = call.parse(TokenizeRequest)
    texts = [request.inputs] if isinstance(request.inputs, str) else request.inputs
    if not texts:
        raise EmptyInputError("`inputs` cannot be empty", param="inputs")
    check_batch(len(texts), most=call.service.config.max_client_batch_size)
    async with call.service.lease(request.model, *ModelKind) as lease:
        prompt = choose_prompt(call.service.config, lease.model, name=request.prompt_name, input_type=None)
        with call.service.admit(len(texts)):
            rows = await asyncio.to_thread(
                lease.model.tokenizer.inspect,
                [ModelInput(text) for text in texts],
                add_special_tokens=request.add_special_tokens,
                prompt=prompt,
            )
        return json_answer([[asdict(token) for token in row] for row in rows])


async def decode(call: Call) -> Answer:
    """POST /decode: the texts of token ids."""
    request = call.parse(DecodeRequest)
    rows = [row for row in request.ids if isinstance(row, list)] or [
        [token for token in request.ids if isinstance(token, int)]
    ]
    if not all(rows):
        raise EmptyInputError("`ids` cannot be empty", param="ids")
    check_batch(len(rows), most=call.service.config.max_client_batch_size)
    async with call.service.lease(request.model, *ModelKind) as lease:
        with call.service.admit(len(rows)):
            texts = await asyncio.to_thread(
                lease.model.tokenizer.decode, rows, skip_special_tokens=request.skip_special_tokens
            )
        return json_answer(texts)
