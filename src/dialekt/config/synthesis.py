"""The section on queries that are made from documents."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section


class Generator(StrEnum):
    """What makes queries from documents."""

    LOCAL = "local"
    LLM = "llm"
    DOC2QUERY = "doc2query"


class QueryKind(StrEnum):
    """What a made query looks like."""

    QUESTION = "question"
    KEYWORD = "keyword"
    TITLE = "title"
    CLAIM = "claim"
    PROBLEM = "problem"
    SENTENCE = "sentence"


class SynthesisConfig(Section):
    """How queries are made from documents that have none."""

    generators: tuple[Generator, ...] = Field(
        default=(), description="'local' needs no network; 'llm' an endpoint; 'doc2query' a seq2seq model; empty: none"
    )
    max_documents: PositiveInt | None = Field(
        default=None, description="documents that get queries, drawn at random; unset: all"
    )
    queries_per_document: PositiveInt | None = Field(
        default=None,
        description="asked of each generator, before the gates; unset: 3, and of 'local' as many as make 20,000, to 10",
    )
    kinds: tuple[QueryKind, ...] = Field(
        default=(QueryKind.QUESTION, QueryKind.KEYWORD, QueryKind.TITLE, QueryKind.CLAIM, QueryKind.PROBLEM),
        min_length=1,
        description="kinds of query asked of an LLM, in turns",
    )
    languages: tuple[str, ...] = Field(default=(), description="languages of LLM queries; empty: the document's own")
    few_shot: Annotated[int, Field(ge=0)] = Field(
        default=4,
        description="real train queries shown to the LLM as examples of how people ask; they leave the machine",
    )
    instructions: bool = Field(
        default=False, description="ask the LLM for queries with an instruction, and for passages that break it"
    )
    base_url: str | None = Field(default=None, description="OpenAI-compatible endpoint; unset: the client's default")
    llm: str | None = Field(default=None, description="model name at the endpoint")
    api_key_variable: str = Field(default="OPENAI_API_KEY", description="environment variable that holds the key")
    concurrency: PositiveInt = Field(default=8, description="calls under way at once")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(default=60.0, description="of one call")
    max_retries: Annotated[int, Field(ge=0)] = Field(default=5, description="per call, with growing pauses")
    temperature: Annotated[float, Field(ge=0)] = Field(default=0.7, description="of the LLM")
    input_price: Annotated[float, Field(ge=0)] = Field(default=0.0, description="per million tokens, any currency")
    output_price: Annotated[float, Field(ge=0)] = Field(default=0.0, description="per million tokens, same currency")
    budget: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="stop cleanly before more than this is spent; unset: no limit"
    )
    confirm: bool = Field(default=True, description="ask before the first call to an LLM, saying what it would cost")
    doc2query_model: str | None = Field(default=None, description="seq2seq model: Hugging Face name or local folder")
    judge: bool = Field(default=False, description="let the LLM judge every query that passed the other gates")
    round_trip_rank: PositiveInt | None = Field(
        default=10, description="a query must find its own document within this rank; unset: no such gate"
    )
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1)] = Field(
        default=0.9, description="Jaccard similarity of words from which two made queries count as the same"
    )
    examples: Annotated[int, Field(ge=0)] = Field(
        default=0, description="texts of this many queries per gate in the report; 0 keeps texts out"
    )
