"""The door to a language model behind an OpenAI-compatible endpoint: vLLM, Ollama, TGI, OpenAI and others."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

from dialekt.config import SynthesisConfig
from dialekt.errors import ConfigError, EndpointError, MissingExtraError

BYTES_PER_TOKEN = 4  # of English; of other languages a little more or less
_NO_KEY = "none"  # what a local endpoint that asks for no key is sent


class CallFailedError(EndpointError):
    """One call failed after all retries; the next may succeed."""


class AnswerFormat(StrEnum):
    """How an answer in JSON is asked for, strictest first."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PLAIN = "text"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which model is asked, where, and how patiently."""

    model: str
    base_url: str | None
    api_key: str
    timeout_seconds: float
    max_retries: int
    temperature: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request: the standing instructions, the text at hand, and the JSON schema of the answer."""

    system: str
    user: str
    schema_name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and what it took."""

    text: str
    input_tokens: int
    output_tokens: int


def count_tokens(text: str) -> int:
    """Estimate the tokens of a text by its bytes."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def endpoint_of(config: SynthesisConfig, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the configured endpoint with the key from the environment.

    Raises `ConfigError` when no model is named, or no key is there for an endpoint that is not the user's own.
    """
    if config.llm is None:
        raise ConfigError("synthesis.llm is not set", hint="name the model as the endpoint knows it")
    key = environment.get(config.api_key_variable, "")
    if not key and config.base_url is None:
        raise ConfigError(
            f"the environment variable {config.api_key_variable} is not set",
            hint=f"export {config.api_key_variable}=…, or set synthesis.base_url for an endpoint of your own",
        )
    return Endpoint(
        model=config.llm,
        base_url=config.base_url,
        api_key=key or _NO_KEY,
        timeout_seconds=config.timeout_seconds,
        max_retries=config.max_retries,
        temperature=config.temperature,
    )


class Llm:
    """An open connection. The openai client retries timeouts, 408, 409, 429 and 5xx with growing pauses.

    It waits as long as `Retry-After` says, to two minutes.
    """

    def __init__(self, endpoint: Endpoint):
        try:
            from openai import AsyncOpenAI
        except ImportError as error:
            raise MissingExtraError("llm", needed_for="asking an LLM for queries") from error
        self.endpoint = endpoint
        self._format = AnswerFormat.SCHEMA
        self._client = AsyncOpenAI(
            api_key=endpoint.api_key,
            base_url=endpoint.base_url,
            timeout=endpoint.timeout_seconds,
            max_retries=endpoint.max_retries,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(self, prompt: Prompt) -> Answer:
        """Return the answer, in the strictest format that the endpoint takes.

        Raises `CallFailedError` when the call failed after all retries, `EndpointError` when every call would.
        """
        from openai import BadRequestError, UnprocessableEntityError

        formats = list(AnswerFormat)
        refusal: Exception | None = None
        for answer_format in formats[formats.index(self._format) :]:
            try:
                answer = await self._call(prompt, answer_format)
            except (BadRequestError, UnprocessableEntityError) as error:
                refusal = error
            else:
                self._format = answer_format
                return answer
        raise CallFailedError(f"the endpoint refused a request: {_first_line(refusal)}") from refusal

    async def _call(self, prompt: Prompt, answer_format: AnswerFormat) -> Answer:
        import openai

        try:
            completion = await self._client.chat.completions.create(
                model=self.endpoint.model,
                messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
                temperature=self.endpoint.temperature,
                **_response_format(prompt, answer_format),
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            raise
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise EndpointError(
                f"the endpoint refused: {_first_line(error)}",
                hint="check the key, synthesis.base_url and synthesis.llm",
            ) from error
        except openai.OpenAIError as error:
            raise CallFailedError(
                f"a call failed {self.endpoint.max_retries + 1} times: {_first_line(error)}",
                hint="is the endpoint up? what was answered is kept: run the same command again",
            ) from error
        return _answer_of(completion, prompt)


def _response_format(prompt: Prompt, answer_format: AnswerFormat) -> dict[str, Any]:
    match answer_format:
        case AnswerFormat.SCHEMA:
            schema = {"name": prompt.schema_name, "schema": dict(prompt.schema), "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case AnswerFormat.OBJECT:
            return {"response_format": {"type": "json_object"}}
        case AnswerFormat.PLAIN:
            return {}


def _answer_of(completion: Any, prompt: Prompt) -> Answer:
    """Return the text and its tokens; an endpoint that counts no tokens has them estimated."""
    choices = getattr(completion, "choices", None) or []
    text = (choices[0].message.content if choices else None) or ""
    usage = getattr(completion, "usage", None)
    return Answer(
        text=text,
        input_tokens=usage.prompt_tokens if usage else count_tokens(prompt.system + prompt.user),
        output_tokens=usage.completion_tokens if usage else count_tokens(text),
    )


def _first_line(error: Exception | None) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
