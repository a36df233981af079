"""The records of the judgments and split artefacts that no other room makes."""

from dataclasses import dataclass

from dialekt.types import Retriever

MADE_QUERIES = "made queries"
"""Where the test queries come from when there are neither judgments nor logs."""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query as the user gave it. `timestamp` is the text of the user's time field, "" when there is none."""

    id: str
    text: str
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class GivenQrel:
    """A judgment as the user gave it, over whole documents. `split` is "" when the user named none."""

    query_id: str
    document_id: str
    grade: float = 1.0
    split: str = ""


@dataclass(frozen=True, slots=True)
class GivenNegative:
    """A document that the user's files name as a negative of a query."""

    query_id: str
    document_id: str


@dataclass(frozen=True, slots=True)
class KnownNegative:
    """A negative that nobody has to search for: named by the judgments, by a made instruction, or passed over in a log.

    `weight` in (0, 1] is what the loss gives it.
    """

    query_id: str
    document_id: str
    weight: float = 1.0
    retriever: Retriever = Retriever.GIVEN


@dataclass(frozen=True, slots=True)
class LogWeight:
    """How certain a log is of an answer; the columns of its judgments that the split does not carry."""

    query_id: str
    document_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A document that searchers saw above the one they took, over and over."""

    query_id: str
    document_id: str
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class MadeQuery:
    """A query that was made from a document; `document_id` is the retrievable unit."""

    id: str
    text: str
    document_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class HeldOutDocument:
    """A whole document (parent id) that must not be used in training, not even as a negative."""

    document_id: str


@dataclass(frozen=True, slots=True)
class DocumentKeys:
    """The columns of a corpus row that say which document it is, without its text."""

    id: str
    parent_id: str
    duplicate_of: str
