"""What a general query set is, and what is said of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dialekt.types import Document, Qrel, Query

STAGE_VERSION = 1


class GeneralSource(StrEnum):
    """Where general queries come from; `FOLDER` is any BEIR folder."""

    BUILTIN = "builtin"
    NANOBEIR = "nanobeir"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class GeneralMaterial:
    """Documents, queries and judgments of the general world; documents can be read more than once."""

    documents: Iterable[Document]
    queries: Sequence[Query]
    qrels: Sequence[Qrel]


@dataclass(frozen=True, slots=True)
class GeneralSetFacts:
    """What was drawn: `choosing_queries` choose the mixture, `queries` others are asked when the model is finished.

    `dropped` counts what the project itself holds. `base_ndcg` is the base model's NDCG@10 on all queries; `tokens` and
    `tokens_per_second` are of encoding the set once.
    """

    source: GeneralSource
    queries: int
    choosing_queries: int
    documents: int
    dropped: dict[str, int]
    base_ndcg: float
    tokens: int
    tokens_per_second: float
