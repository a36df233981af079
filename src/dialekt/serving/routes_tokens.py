"""The routes of Text Embeddings Inference about tokens: /tokenize and /decode. They need no engine."""

import asyncio

from dialekt.errors import EmptyInputError
from dialekt.models.engines.records import InputTokenizer, ModelInput, ModelKind
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
            return await asyncio.to_thread(_tokenized, lease.model.tokenizer, request, texts, prompt=prompt)


def _tokenized(tokenizer: InputTokenizer, request: TokenizeRequest, texts: list[str], *, prompt: str) -> Answer:
    """Return the answer with the tokens of texts; of long ones it is megabytes, so a thread writes it."""
    inputs = [ModelInput(text) for text in texts]
    return json_answer(tokenizer.inspect(inputs, add_special_tokens=request.add_special_tokens, prompt=prompt))


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
