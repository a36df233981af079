"""The records of the judgments and split artefacts that no other room makes."""

from dataclasses import dataclass


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
class HeldOutDocument:
    """A whole document (parent id) that must not be used in training, not even as a negative."""

    document_id: str


@dataclass(frozen=True, slots=True)
class DocumentKeys:
    """The columns of a corpus row that say which document it is, without its text."""

    id: str
    parent_id: str
    duplicate_of: str
