"""Bodies of the index's routes: searches, documents, events. Unlike TEI's, they may not hold unknown fields."""

from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dialekt.index.documents import MAX_ID_CHARACTERS
from dialekt.index.filters import MAX_VALUES, plain_value

MAX_UBI_CHARACTERS = 100  # of an id or name, as UBI 1.3 has it


def _written(text: str) -> str:
    if "\0" in text:
        raise ValueError("the character U+0000 cannot be kept")
    return text


_Scalar: TypeAlias = Annotated[str, AfterValidator(_written)] | bool | int | float
_Values: TypeAlias = _Scalar | Annotated[list[_Scalar], Field(min_length=1, max_length=MAX_VALUES)]
_Field: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_written)]
_Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS)]
_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_UBI_CHARACTERS)]
_FILTER = 'metadata that documents must have: {"lang": "en", "year": [2025, 2026], "draft": {"not": true}}'
_WHO = "kept in the search log, so that clicks can be joined"


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Excluded(_Request):
    """The values of a field that a document must not have."""

    values: _Values = Field(alias="not")


class SearchRequest(_Request):
    """POST /search."""

    query: str | Annotated[list[str], Field(min_length=1)] = Field(description="a text, or a list of texts")
    k: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="results per query; unset: search.default_k"
    )
    filter: dict[_Field, _Values | Excluded] = Field(default={}, description=_FILTER)
    hybrid: bool = Field(default=False, description="join the ranking with that of BM25 over the words")
    rerank: bool | str = Field(
        default=False, description="let a served re-ranker order the best results: true, or the model's name"
    )
    rerank_depth: Annotated[int, Field(ge=1, le=1_000)] = Field(default=50, description="how many it orders")
    exact: bool = Field(default=False, description="compare the query with every vector")
    oversampling: Annotated[float, Field(ge=1, le=1_000)] | None = Field(
        default=None, description="first-stage candidates per result; unset: as the release was tuned"
    )
    return_text: bool = Field(default=True, description="answer with the texts")
    return_metadata: bool = Field(default=True, description="answer with the metadata")
    client_id: _Name | None = Field(default=None, description=_WHO)
    session_id: _Name | None = Field(default=None, description=_WHO)
    user_id: _Name | None = Field(default=None, description=_WHO)
    application: _Name | None = Field(default=None, description=_WHO)

    @property
    def queries(self) -> list[str]:
        """The texts, whether one was sent or several."""
        return [self.query] if isinstance(self.query, str) else self.query

    @property
    def conditions(self) -> dict[str, object]:
        """The filter as `index.filters.parse_filter` reads it."""
        return {
            field: {"not": wanted.values} if isinstance(wanted, Excluded) else wanted
            for field, wanted in self.filter.items()
        }


class DocumentBody(_Request):
    """A document as it is to be from now on."""

    id: _Id
    text: Annotated[str, AfterValidator(_written)]
    title: Annotated[str, AfterValidator(_written)] = ""
    metadata: dict[_Field, _Scalar] = {}

    @property
    def fields(self) -> dict[str, str]:
        """The metadata as it is kept."""
        return {field: plain_value(field, value) for field, value in self.metadata.items()}


class DocumentsRequest(_Request):
    """POST /documents."""

    documents: Annotated[list[DocumentBody], Field(min_length=1)] = Field(
        description="whole documents; one whose id is there is replaced"
    )


class PatchBody(_Request):
    """What is to change in a document's metadata."""

    id: _Id
    metadata: dict[_Field, _Scalar | None]

    @property
    def fields(self) -> dict[str, str | None]:
        """The metadata as it is kept; None removes a field."""
        return {field: None if value is None else plain_value(field, value) for field, value in self.metadata.items()}


class PatchRequest(_Request):
    """PATCH /documents."""

    documents: Annotated[list[PatchBody], Field(min_length=1)] = Field(
        description="fields to set; null removes one, the others stay"
    )


class DeleteRequest(_Request):
    """DELETE /documents."""

    ids: Annotated[list[_Id], Field(min_length=1)] = Field(description="whole documents; one that is not there is none")


class HitAnswer(BaseModel):
    """A document that was found. `unit` is the part of it that matched best: itself, or one of its chunks."""

    id: str
    unit: str
    score: float
    rerank_score: float | None = None
    title: str
    text: str | None = None
    metadata: dict[str, str] | None = None


class SearchAnswer(BaseModel):
    """What one query found, best first."""

    release: str
    model: str
    query_id: str
    took_ms: float
    hits: list[HitAnswer]


class SearchesAnswer(BaseModel):
    """What several queries found, in their order."""

    release: str
    model: str
    query_ids: list[str]
    took_ms: float
    results: list[list[HitAnswer]]


class WriteAnswer(BaseModel):
    """What a write changed. `sequence` is the log's position after it; `applied`: searches see it from now on."""

    release: str
    sequence: int
    changed: int
    applied: bool
    unknown: list[str] = []


class UnitAnswer(BaseModel):
    """A document, or one of its chunks."""

    id: str
    title: str
    text: str
    metadata: dict[str, str]


class DocumentAnswer(BaseModel):
    """A whole document."""

    id: str
    units: list[UnitAnswer]


class SwitchAnswer(BaseModel):
    """One line of the history of what was live."""

    at: str
    kind: str
    release: str
    previous: str
    reason: str


class IndexAnswer(BaseModel):
    """What this process answers from. `pending` changes are durable and not yet found."""

    release: str
    model: str
    index: str
    engine: str
    dimension: int
    units: int
    position: int
    tail: int
    pending: int
    history: list[SwitchAnswer]


class EventsAnswer(BaseModel):
    """How many events were kept."""

    written: int


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class UbiObject(BaseModel):
    """What an event is about."""

    model_config = ConfigDict(strict=True, extra="allow")

    object_id: str | int | None = None
    object_id_field: str | None = None


class UbiOrdinal(BaseModel):
    """A rank as some collectors write it."""

    model_config = ConfigDict(strict=True, extra="allow")

    index: int | None = None


class UbiPosition(BaseModel):
    """Where on the page it was; `ordinal` is the rank."""

    model_config = ConfigDict(strict=True, extra="allow")

    ordinal: int | UbiOrdinal | None = None


class UbiAttributes(BaseModel):
    """What an event says beside who and when; any other fields are kept, such as `dwell_seconds`."""

    model_config = ConfigDict(strict=True, extra="allow")

    object: UbiObject | None = None
    position: UbiPosition | None = None


class UbiEvent(BaseModel):
    """An event of User Behavior Insights 1.3."""

    model_config = ConfigDict(strict=True, extra="allow")

    action_name: _Name = Field(description="click, impression, view, add_to_cart, purchase, or any other")
    timestamp: Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})] = Field(
        description="ISO 8601"
    )
    query_id: _Name | None = Field(default=None, description="the query_id of POST /search")
    client_id: _Name | None = None
    session_id: _Name | None = None
    user_id: _Name | None = None
    application: _Name | None = None
    user_query: str | None = None
    message: str | None = None
    message_type: _Name | None = None
    event_attributes: UbiAttributes | None = None
