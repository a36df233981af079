"""Bodies of the OpenAI protocol. Requests are parsed with these models, answers are written in their shape."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dialekt.serving.shaping import EncodingFormat
from dialekt.serving.wire_tei import InputType, TokenId

MAX_INPUTS = 2_048
MAX_REQUEST_TOKENS = 300_000

# Emptiness, limits and dimensions have errors of their own, with messages that clients know: here they are only shown.
_Text = Annotated[str, Field(json_schema_extra={"minLength": 1})]
_TokenIds = Annotated[list[TokenId], Field(json_schema_extra={"minItems": 1})]
_MANY = {"minItems": 1, "maxItems": MAX_INPUTS}


class EmbeddingsRequest(BaseModel):
    """What to embed. Fields beyond these are ignored."""

    model_config = ConfigDict(strict=True)

    input: (
        _Text
        | Annotated[list[_Text], Field(json_schema_extra=_MANY)]
        | _TokenIds
        | Annotated[list[_TokenIds], Field(json_schema_extra=_MANY)]
    ) = Field(
        description=f"a text, texts, token ids, or lists of token ids: at most {MAX_INPUTS:,} inputs with "
        f"{MAX_REQUEST_TOKENS:,} tokens"
    )
    model: str | None = Field(default=None, description="an id of GET /v1/models; unset: the first model served")
    dimensions: Annotated[int, Field(json_schema_extra={"minimum": 1})] | None = Field(
        default=None, description="vectors are cut to so many components and normalised again"
    )
    encoding_format: EncodingFormat | None = Field(default=None, description="how a vector is written; unset: float")
    embedding_types: list[EncodingFormat] | None = Field(
        default=None, description="several formats at once: `embedding` is then an object with one entry per format"
    )
    input_type: InputType | None = Field(default=None, description="the prompt of the model that goes before inputs")
    task: InputType | None = Field(default=None, description="another name of input_type")
    truncate: bool | None = Field(default=None, description="cut inputs that are too long; unset: as the server does")
    user: str | None = Field(default=None, description="ignored")


class TypedEmbedding(BaseModel):
    """One vector in several formats."""

    floats: list[float] | None = Field(default=None, alias="float")  # a field `float` would shadow the type
    base64: str | None = None
    int8: list[int] | None = None
    uint8: list[int] | None = None
    binary: list[int] | None = None
    ubinary: list[int] | None = None


class EmbeddingRow(BaseModel):
    """One vector. In base64 it is the bytes of its float32 components, little-endian."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | list[int] | str | TypedEmbedding


class Usage(BaseModel):
    """How many tokens the inputs were, special ones and prompts included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """Vectors in the order of the inputs; `model` says which version made them."""

    object: Literal["list"]
    data: list[EmbeddingRow]
    model: str
    usage: Usage


class ModelRow(BaseModel):
    """A model or version that can be asked for by its id."""

    id: str
    object: Literal["model"]
    created: int = Field(description="seconds since 1970")
    owned_by: str
    kind: str = Field(description="embedding, reranker or classifier")
    aliases: list[str]
    base_model: str
    dimensions: list[int] = Field(description="dimensions that the model was trained for; the largest first")
    loaded: bool


class ModelsAnswer(BaseModel):
    """Everything that is served."""

    object: Literal["list"]
    data: list[ModelRow]


class OpenAIFault(BaseModel):
    """What went wrong, as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorAnswer(BaseModel):
    """An error in both shapes: `error` for OpenAI's clients, the flat fields for TEI's."""

    error: OpenAIFault
    message: str
    code: int
    type: str
