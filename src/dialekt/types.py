"""The records that travel between rooms. Standard library only."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Split(StrEnum):
    """Which part of the judged queries a query belongs to."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class Role(StrEnum):
    """Which side of the encoding contract a text is on: it decides the prompt and the token limit."""

    QUERY = "query"
    DOCUMENT = "document"


class Language(StrEnum):
    """What a corpus is written in, by ISO 639-1: the languages that BM25 knows something about.

    `OTHER` is any other language, or several: words are then taken as they are.
    """

    ARABIC = "ar"
    CATALAN = "ca"
    CHINESE = "zh"
    CZECH = "cs"
    DANISH = "da"
    DUTCH = "nl"
    ENGLISH = "en"
    FINNISH = "fi"
    FRENCH = "fr"
    GERMAN = "de"
    GREEK = "el"
    HINDI = "hi"
    HUNGARIAN = "hu"
    INDONESIAN = "id"
    ITALIAN = "it"
    JAPANESE = "ja"
    KOREAN = "ko"
    LITHUANIAN = "lt"
    NORWEGIAN = "nb"
    PERSIAN = "fa"
    POLISH = "pl"
    PORTUGUESE = "pt"
    ROMANIAN = "ro"
    RUSSIAN = "ru"
    SPANISH = "es"
    SWEDISH = "sv"
    TAMIL = "ta"
    THAI = "th"
    TURKISH = "tr"
    OTHER = "other"


class PairSource(StrEnum):
    """Where a training pair came from."""

    QRELS = "qrels"
    PAIRS = "pairs"
    LOGS = "logs"
    SYNTHETIC = "synthetic"
    TEACHER = "teacher"


class Retriever(StrEnum):
    """Who proposed a candidate.

    `GIVEN` stands for negatives that came with the judgments or with a made instruction, `SKIPPED` for documents that
    searchers passed over.
    """

    BM25 = "bm25"
    DENSE = "dense"
    GIVEN = "given"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured value with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Document:
    """One retrievable unit: a whole document, or a chunk that keeps its parent's id.

    `parent_id` equals `id` for a whole document. `duplicate_of` is the id of the first document with the same or
    nearly the same text (equal to `id` when there is none).
    """

    id: str
    text: str
    title: str = ""
    parent_id: str = ""
    duplicate_of: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """Title and text as one string: what every encoder and BM25 see."""
        return f"{self.title} {self.text}".strip() if self.title else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """A search. `cluster` groups near-identical queries, which never straddle a split."""

    id: str
    text: str
    split: Split = Split.TRAIN
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Qrel:
    """A judgment: how well a document answers a query. Grade 0 or less is a judged non-match."""

    query_id: str
    document_id: str
    grade: float = 1.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A training example: a query and a document that answers it."""

    query_id: str
    document_id: str
    grade: float = 1.0
    weight: float = 1.0
    source: PairSource = PairSource.QRELS


@dataclass(frozen=True, slots=True)
class HardNegative:
    """A document that a retriever ranks high for a query and that the guard believes to be no answer.

    `rank` counts from 1 in the candidate list of `retriever`; `score` is the dense cosine in [-1, 1];
    `positive_score` is the lowest cosine among the query's positives. `weight` in (0, 1] is what the loss gives it.
    """

    query_id: str
    document_id: str
    rank: int
    score: float
    positive_score: float
    retriever: Retriever
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TeacherScore:
    """What a cross-encoder says of a query and a document, as a logit: higher is more relevant, zero is undecided."""

    query_id: str
    document_id: str
    score: float


@dataclass(frozen=True, slots=True)
class DevComparison:
    """NDCG@10 on the dev queries of the student's ranking and of the same documents in a teacher's order.

    `gain` is teacher minus student, with its paired bootstrap interval; without dev queries all are 0.
    """

    student_ndcg: float
    teacher_ndcg: float
    gain: float
    low: float
    high: float
    queries: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of long work has come. `total` is None while it is unknown."""

    label: str
    done: int
    total: int | None = None
    note: str = ""


ReportProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Take a progress report and do nothing with it."""


class Divide(Protocol):
    """Does pieces of work, here or on other machines, and yields the place and the result of each as it is done.

    `open_work` is called once in every process that takes part, to load what its pieces need.
    """

    def __call__(
        self, open_work: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Do them all, each exactly once, in whatever order."""


def one_by_one(
    open_work: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
) -> Iterator[tuple[int, Result]]:
    """Do one piece after the other in this process."""
    work = open_work()
    for place, item in enumerate(items):
        yield place, work(item)
