"""An endpoint as an engine: inputs go on to another server as texts, and its failures become statuses of ours."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import BackendError, EndpointError, RequestError, TokenizerError, UpstreamError
from dialekt.models.endpoint import EmbeddingEndpoint
from dialekt.models.endpoint_client import CONCURRENCY, EndpointClient
from dialekt.models.engines.records import (
    REMOTE,
    ModelInput,
    RemoteName,
    TokenizeOptions,
    TokenRow,
    TruncationDirection,
)
from dialekt.models.engines.tokenizer import TokenInfo
from dialekt.models.estimated_tokens import estimated_lengths
from dialekt.models.remote import BATCH_TEXTS

_BATCH_TOKENS = 16_384
_NO_TOKENIZER = "the tokenizer of a model behind an endpoint is not here"


@dataclass(frozen=True, slots=True, eq=False)
class TextRow(TokenRow):
    """An input that is sent as text; `ids` only counts its estimated tokens."""

    text: str = ""


class EndpointTokenizer:
    """Stands in for a tokenizer that is out of reach: texts stay texts, and their tokens are estimated."""

    vocabulary_size = 0

    def __init__(self, endpoint: EmbeddingEndpoint, *, max_tokens: int):
        self.max_tokens = max_tokens
        self._most = endpoint.max_characters

    def encode(self, inputs: Sequence[ModelInput], options: TokenizeOptions) -> list[TokenRow]:
        """Return a row per input, cut as the endpoint's texts are. Raises `RequestError` for what is no text."""
        texts = [self._text(item, options) for item in inputs]
        lengths = estimated_lengths(texts)
        if options.truncate:
            lengths = [min(length, self.max_tokens) for length in lengths]
        return [TextRow([0] * length, text=text) for text, length in zip(texts, lengths, strict=True)]

    def inspect(
        self,
        inputs: Sequence[ModelInput],  # noqa: ARG002 - every tokenizer has this shape
        *,
        add_special_tokens: bool,  # noqa: ARG002
        prompt: str = "",  # noqa: ARG002
    ) -> list[list[TokenInfo]]:
        """Refuse: nobody here knows the tokens. Raises `BackendError`."""
        raise BackendError(_NO_TOKENIZER, failure="model_type")

    def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:  # noqa: ARG002
        """Refuse: nobody here knows the tokens. Raises `BackendError`."""
        raise BackendError(_NO_TOKENIZER, failure="model_type")

    def _text(self, item: ModelInput, options: TokenizeOptions) -> str:
        if item.ids is not None:
            raise TokenizerError(f"{_NO_TOKENIZER}: token ids stand for nothing", hint="send texts")
        if item.pair is not None:
            raise RequestError("the model embeds texts, not pairs of them", param="inputs")
        text = options.prompt + item.text
        if options.truncate and self._most is not None and len(text) > self._most:
            return text[-self._most :] if options.direction is TruncationDirection.LEFT else text[: self._most]
        return text or " "


class EndpointEngine:
    """Sends texts on, a few requests at a time. Failures of the endpoint are `UpstreamError`s."""

    name = RemoteName.ENDPOINT
    precision = "fp32"
    device = REMOTE
    batch_tokens = _BATCH_TOKENS
    call_tokens = _BATCH_TOKENS  # rows of any lengths may share a call: nothing is padded
    lanes = CONCURRENCY
    size_bytes = 0

    def __init__(self, client: EndpointClient, *, width: int):
        self.width = width
        self._client = client
        self._threads = ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="dialekt-endpoint")

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return vectors (rows, width) of length 1. Raises `UpstreamError`; `RequestError` for a text it refuses."""
        texts = [row.text for row in rows if isinstance(row, TextRow)]
        parts = [texts[start : start + BATCH_TEXTS] for start in range(0, len(texts), BATCH_TEXTS)]
        try:
            found = (
                [self._client.ask(parts[0])] if len(parts) == 1 else list(self._threads.map(self._client.ask, parts))
            )
        except EndpointError as error:
            raise translated(error) from error
        vectors = np.concatenate(found)
        if vectors.shape[1] != self.width:
            raise UpstreamError(
                f"the endpoint behind the model answers with {vectors.shape[1]} dimensions instead of {self.width}",
                status=502,
            )
        return vectors

    def token_vectors(self, rows: Sequence[TokenRow]) -> list[NDArray[np.float32]]:  # noqa: ARG002 - of every engine
        """Refuse: an endpoint gives a vector per text. Raises `BackendError`."""
        raise BackendError("a model behind an endpoint has no vectors of tokens", failure="model_type")

    def close(self) -> None:
        """Let go of connections and threads."""
        self._client.stop()
        self._threads.shutdown(cancel_futures=True)
        self._client.close()


def translated(error: EndpointError) -> RequestError:
    """Return what a client hears of an endpoint's failure: not its address, which is the operator's business."""
    status = error.upstream_status
    match status:
        case 408 | 504:
            return UpstreamError("the endpoint behind the model does not answer in time", status=504, hint="ask again")
        case 429 | 503:
            said = f"the endpoint behind the model is busy or limits requests ({status})"
            return UpstreamError(said, status=503, hint="ask again later")
        case 400 | 413 | 422:
            return RequestError(
                f"the endpoint behind the model refuses an input ({status})",
                hint="is it too long? the operator can lower model.max_characters",
                param="inputs",
            )
        case 401 | 403:
            return UpstreamError(f"the endpoint behind the model refuses the server's key ({status})", status=502)
        case _:
            said = f"the endpoint behind the model fails or is not reached ({status})"
            return UpstreamError(said, status=502, hint="the server's log says more")
