"""An embedding model behind an address that speaks OpenAI's or TEI's protocol: where it is, and how it is asked."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from dialekt.config import ModelConfig
from dialekt.errors import ConfigError, UsageError
from dialekt.types import Role

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
CHARACTERS_PER_TOKEN = 4
OPENAI_TOKENS = 8_191  # of text-embedding-3 and text-embedding-ada-002
TEI_TOKENS = 512


class EndpointKind(StrEnum):
    """Which protocol an endpoint speaks."""

    OPENAI = "openai"
    TEI = "tei"


@dataclass(frozen=True, slots=True)
class EmbeddingEndpoint:
    """Where a model is asked and how. Prompts go before texts here, since most servers put none.

    `max_characters` cuts texts before they are sent; None sends them whole. `model` may be empty for TEI.
    """

    kind: EndpointKind
    url: str
    model: str = ""
    query_prompt: str = ""
    document_prompt: str = ""
    max_characters: int | None = None

    @property
    def host(self) -> str:
        """The machine that is asked."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return self.host in LOCAL_HOSTS

    @property
    def address(self) -> str:
        """What a user types for it."""
        return f"{self.kind}:{self.url}" + (f"#{self.model}" if self.model else "")

    @property
    def identity(self) -> str:
        """What is known of a model whose weights cannot be hashed: its address, its name, and how texts are cut.

        Prompts are part of the encoding contract, and of a stage's key, like those of every model.
        """
        return self.address + (f" cut to {self.max_characters} characters" if self.max_characters else "")

    def prepare(self, text: str, role: Role) -> str:
        """Return a text as it is sent: with the prompt of its role, cut, never empty."""
        prompt = self.query_prompt if role is Role.QUERY else self.document_prompt
        return (prompt + text)[: self.max_characters] or " "


def is_endpoint(name: str) -> bool:
    """Whether a model's name is the address of an endpoint."""
    kind, colon, address = name.partition(":")
    return bool(colon) and kind in set(EndpointKind) and address.startswith(("http://", "https://"))


def parse_endpoint(text: str) -> EmbeddingEndpoint:
    """Read `openai:http://host/v1#model` or `tei:http://host`; raises `UsageError` that says what is missing."""
    kind, _, address = text.partition(":")
    url, _, model = address.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{url!r} is no address of a server", hint=f"such as {kind}:http://127.0.0.1:3000/v1#model")
    if parts.password or parts.username:
        raise UsageError(
            f"the address of {parts.hostname} holds a user or a password",
            hint="name the environment variable that holds the key instead: model.api_key_variable",
        )
    found = EmbeddingEndpoint(EndpointKind(kind), url.rstrip("/"), model)
    if found.kind is EndpointKind.OPENAI and not model:
        raise UsageError(f"{text!r} names no model", hint=f"name it behind #: {text}#text-embedding-3-small")
    return found


def endpoint_of(config: ModelConfig) -> EmbeddingEndpoint:
    """Return the endpoint that is the base model, asked as the configuration says. Raises `ConfigError`."""
    try:
        plain = parse_endpoint(config.base)
    except UsageError as error:
        raise ConfigError(f"model.base: {error.message}", hint=error.hint) from None
    if config.pooling is not None:
        raise ConfigError(
            f"model.pooling = {config.pooling!r}: what is behind an endpoint cannot be changed",
            hint="leave model.pooling unset",
        )
    unset = CHARACTERS_PER_TOKEN * max_tokens_of(plain, config) if plain.kind is EndpointKind.OPENAI else None
    return EmbeddingEndpoint(
        plain.kind,
        plain.url,
        plain.model,
        query_prompt=config.query_prompt or "",
        document_prompt=config.document_prompt or "",
        max_characters=config.max_characters or unset,
    )


def max_tokens_of(endpoint: EmbeddingEndpoint, config: ModelConfig) -> int:
    """Return how many tokens a text may have, counted as `estimated_offsets` does."""
    return config.max_tokens or (OPENAI_TOKENS if endpoint.kind is EndpointKind.OPENAI else TEI_TOKENS)


def estimate_tokens(texts: Iterable[str]) -> int:
    """Estimate the tokens of texts by their bytes, four to a token as in English."""
    return sum(math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4) for text in texts)
