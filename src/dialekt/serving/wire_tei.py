"""Bodies of the TEI protocol. Requests are parsed with these models, answers are written in their shape."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from dialekt.models.engines.records import ModelInput, TruncationDirection
from dialekt.serving.shaping import EncodingFormat
from dialekt.types import Role

_MAX_ID = 2**32 - 1

TokenId: TypeAlias = Annotated[StrictInt, Field(ge=0, le=_MAX_ID)]
_Text = Annotated[str, Field(json_schema_extra={"minLength": 1})]
_TokenIds = Annotated[list[TokenId], Field(json_schema_extra={"minItems": 1})]
_Inputs: TypeAlias = _Text | _TokenIds | Annotated[list[_Text | _TokenIds], Field(json_schema_extra={"minItems": 1})]
_Direction = Literal["left", "Left", "right", "Right"]
_INPUTS = "a text, token ids, or a batch of both; a flat list of token ids is one input"
_TRUNCATE = "cut inputs that are too long; unset: as the server does"
_MODEL = "an id of GET /v1/models; unset: the first model served"
_PROMPT = "name of the prompt that goes before every input"


class InputType(StrEnum):
    """What inputs are, in the words of Cohere, Jina, Voyage and sentence-transformers; chooses the prompt."""

    QUERY = "query"
    SEARCH_QUERY = "search_query"
    RETRIEVAL_QUERY = "retrieval.query"
    DOCUMENT = "document"
    PASSAGE = "passage"
    SEARCH_DOCUMENT = "search_document"
    RETRIEVAL_PASSAGE = "retrieval.passage"

    @property
    def role(self) -> Role:
        """Which side of the encoding contract this is."""
        queries = {InputType.QUERY, InputType.SEARCH_QUERY, InputType.RETRIEVAL_QUERY}
        return Role.QUERY if self in queries else Role.DOCUMENT


class _Request(BaseModel):
    """What every request has; fields beyond those of its class are ignored."""

    model_config = ConfigDict(strict=True)

    model: str | None = Field(default=None, description=_MODEL)


class _TruncatingRequest(_Request):
    truncate: bool | None = Field(default=None, description=_TRUNCATE)
    truncation_direction: _Direction | None = Field(
        default=None, description="which end of a long input goes away; unset: right"
    )

    @property
    def direction(self) -> TruncationDirection:
        """Which end of a long input goes away."""
        return TruncationDirection((self.truncation_direction or "right").lower())


class TokenVectorsRequest(_TruncatingRequest):
    """POST /embed_all, and what /embed has in common with it."""

    inputs: _Inputs = Field(description=_INPUTS)
    prompt_name: str | None = Field(default=None, description=_PROMPT)
    input_type: InputType | None = Field(default=None, strict=False, description="chooses the prompt of its side")
    task: InputType | None = Field(default=None, strict=False, description="another name of input_type")


class EmbedRequest(TokenVectorsRequest):
    """POST /embed."""

    normalize: bool | None = Field(default=None, description="divide vectors by their length; unset: true")
    dimensions: int | None = Field(
        default=None,
        description="vectors are cut to so many components before they are normalised",
        json_schema_extra={"minimum": 1},
    )
    encoding_format: EncodingFormat | None = Field(
        default=None, strict=False, description="how a vector is written; unset: float"
    )


class SparseRequest(TokenVectorsRequest):
    """POST /embed_sparse."""


class SimilarityInputs(BaseModel):
    """A sentence and those that it is compared with."""

    model_config = ConfigDict(strict=True)

    source_sentence: _Text
    sentences: Annotated[list[_Text], Field(json_schema_extra={"minItems": 1})]


class SimilarityParameters(_TruncatingRequest):
    """How sentences become vectors."""

    prompt_name: str | None = Field(default=None, description=_PROMPT)


class SimilarityRequest(_Request):
    """POST /similarity."""

    inputs: SimilarityInputs
    parameters: SimilarityParameters | None = None


class RerankRequest(_TruncatingRequest):
    """POST /rerank."""

    query: str
    texts: Annotated[list[str], Field(json_schema_extra={"minItems": 1})]
    raw_scores: bool = Field(default=False, description="logits instead of scores from 0 to 1")
    return_text: bool = Field(default=False, description="answer with the texts, too")


class PredictRequest(_TruncatingRequest):
    """POST /predict. Two texts in a flat list are one pair."""

    inputs: (
        _Text
        | Annotated[list[str], Field(min_length=1, max_length=2)]
        | Annotated[list[Annotated[list[str], Field(min_length=1, max_length=2)]], Field(min_length=1)]
    ) = Field(description="a text, a pair of texts, or a batch of lists of one or two texts")
    raw_scores: bool = Field(default=False, description="logits instead of scores from 0 to 1")


class TokenizeRequest(_Request):
    """POST /tokenize."""

    inputs: str | Annotated[list[str], Field(json_schema_extra={"minItems": 1})]
    add_special_tokens: bool = True
    prompt_name: str | None = Field(default=None, description=_PROMPT)


class DecodeRequest(_Request):
    """POST /decode."""

    ids: _TokenIds | Annotated[list[_TokenIds], Field(json_schema_extra={"minItems": 1})]
    skip_special_tokens: bool = True


class SparseValue(BaseModel):
    """A component of a sparse vector that is not zero."""

    index: int
    value: float


class Rank(BaseModel):
    """A text's place; `index` says which one it was in the request."""

    index: int
    text: str | None = None
    score: float


class Prediction(BaseModel):
    """A label and its score."""

    score: float
    label: str


class SimpleToken(BaseModel):
    """A token; `start` and `stop` are bytes of the text, null for special tokens."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class ErrorAnswer(BaseModel):
    """What went wrong, and where it helps, what to do."""

    error: str
    error_type: str
    hint: str | None = None


EmbedAnswer: TypeAlias = list[list[float] | list[int] | str]
EmbedAllAnswer: TypeAlias = list[list[list[float]]]
SparseAnswer: TypeAlias = list[list[SparseValue]]
SimilarityAnswer: TypeAlias = list[float]
RerankAnswer: TypeAlias = list[Rank]
PredictAnswer: TypeAlias = list[Prediction] | list[list[Prediction]]
TokenizeAnswer: TypeAlias = list[list[SimpleToken]]
DecodeAnswer: TypeAlias = list[str]


def model_inputs(inputs: str | Sequence[str | int | list[int]]) -> tuple[ModelInput, ...]:
    """Return the inputs of an embedding request; a flat list of token ids is one."""
    if isinstance(inputs, str):
        return (ModelInput(inputs),)
    ids = tuple(item for item in inputs if isinstance(item, int))
    if ids:
        return (ModelInput(ids=ids),)
    return tuple(_input(item) for item in inputs)


def predict_inputs(inputs: str | list[str] | list[list[str]]) -> tuple[ModelInput, ...]:
    """Return the inputs of a prediction: texts and pairs."""
    if isinstance(inputs, str):
        return (ModelInput(inputs),)
    rows = inputs if isinstance(inputs[0], list) else [inputs]
    return tuple(ModelInput(row[0], pair=row[1] if len(row) == 2 else None) for row in rows)


def _input(item: str | int | list[int]) -> ModelInput:
    assert not isinstance(item, int)
    return ModelInput(item) if isinstance(item, str) else ModelInput(ids=tuple(item))
