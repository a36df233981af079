"""What the room of made queries reads, passes around and leaves behind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Generator, QueryKind
from dialekt.types import Role

STAGE_VERSION = 2
QUERIES_NAME = "queries.parquet"
NEGATIVES_NAME = "negatives.parquet"
REPORT_NAME = "report.json"
ANSWERS_NAME = "answers.jsonl"

EncodeFunction = Callable[[Sequence[str], Role], NDArray[np.float32]]


class Gate(StrEnum):
    """Why a made query was rejected, in the order in which the gates are asked."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    COPY = "copy"
    AMBIGUOUS = "ambiguous"
    NEAR_DUPLICATE = "near_duplicate"
    HELD_OUT = "held_out"
    UNREALISTIC = "unrealistic"
    ROUND_TRIP = "round_trip"
    JUDGE = "judge"


GATE_MEANINGS = {
    Gate.EMPTY: "has no word that could be searched for",
    Gate.TOO_LONG: "is longer than anyone types",
    Gate.COPY: "is the document, or a long piece of it, word for word",
    Gate.AMBIGUOUS: "was made from several documents, so it is about none of them",
    Gate.NEAR_DUPLICATE: "says nearly the same as another made query",
    Gate.HELD_OUT: "says nearly the same as a dev or test query",
    Gate.UNREALISTIC: "is far shorter or longer than the real train queries",
    Gate.ROUND_TRIP: "does not find its own document",
    Gate.JUDGE: "was turned down by the LLM",
}


@dataclass(frozen=True, slots=True)
class SynthesisInputs:
    """The corpus table, the split's queries, the base model, and where paid answers are kept.

    Only train queries are shown to an LLM or imitated; dev and test queries only bar made queries that repeat them.
    `encode` returns float32 (texts, dimension), L2-normalised; without it the round trip asks BM25 alone.
    `head` cuts a text to what training will read of it: a query made from the rest would teach what cannot be seen.
    `answers` unset: in the artefact. A file outside it spares paying again when only a gate's setting changes.
    """

    corpus: Path
    queries: Path | None = None
    encode: EncodeFunction | None = None
    head: Callable[[Sequence[str]], list[str]] | None = None
    seed: int = 13
    answers: Path | None = None


@dataclass(frozen=True, slots=True)
class SyntheticQuery:
    """A made query of one retrievable unit. `text` is what the encoder sees, an instruction included."""

    id: str
    text: str
    document_id: str
    kind: QueryKind
    weight: float = 1.0
    language: str = ""
    instruction: str = ""
    generator: Generator = Generator.LOCAL


@dataclass(frozen=True, slots=True)
class InstructionNegative:
    """A document that fits the query but breaks its instruction."""

    query_id: str
    document_id: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A query as it was made, before the gates. `negative_id` is the document that breaks its instruction."""

    text: str
    document_id: str
    kind: QueryKind
    generator: Generator
    language: str = ""
    instruction: str = ""
    negative_id: str = ""

    @property
    def full_text(self) -> str:
        """What the encoder sees: the query, then its instruction (the order of Promptriever, arXiv:2409.11136)."""
        return f"{self.text} {self.instruction}".strip()


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the calls that are still to be made would take; tokens are estimated at four bytes each.

    `answered` calls are paid already: their answers lie in the journal. `cost` is in the currency of the prices.
    """

    calls: int
    answered: int
    input_tokens: int
    output_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class LlmUse:
    """What an LLM was asked and what it cost, answers of earlier runs that were used again included."""

    calls: int = 0
    reused: int = 0
    failed: int = 0
    malformed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    left_by_budget: int = 0


@dataclass(frozen=True, slots=True)
class Realism:
    """How made queries compare with the user's own: counts, shares, and distances from 0 (alike) to 1 (unlike).

    `shared_words` is the share of made words that occur in real queries; `length_distance` the total variation
    distance of the distributions of word counts.
    """

    real_queries: int
    real_words: float
    made_words: float
    real_questions: float
    made_questions: float
    shared_words: float
    length_distance: float


@dataclass(frozen=True, slots=True)
class SynthesisFacts:
    """What was made and what the gates left of it.

    `made` counts queries by generator before the gates, `kept` after them, `kinds` those kept by kind, `dropped` by
    gate. `documents_without` were asked for queries and have none left. `queries_per_document` is what each generator
    was asked for.
    """

    documents: int
    documents_asked: int
    documents_without: int
    queries: int
    instruction_negatives: int
    made: dict[str, int]
    kept: dict[str, int]
    kinds: dict[str, int]
    dropped: dict[str, int]
    queries_per_document: dict[str, int]
    llm: LlmUse = field(default_factory=LlmUse)
    realism: Realism | None = None
    warnings: tuple[str, ...] = ()
