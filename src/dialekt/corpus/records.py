"""What travels inside the corpus room: a document as it was found, the stage's inputs and its facts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Offsets = list[tuple[int, int]]
CountTokens = Callable[[Sequence[str]], list[Offsets]]


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document as it lies on disk. `id` is empty where the source has none; `line` counts from 1."""

    id: str
    title: str
    text: str
    path: Path
    line: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """File and line, for error messages."""
        return f"{self.path}:{self.line}" if self.line is not None else str(self.path)


@dataclass(frozen=True)
class CorpusInputs:
    """Where the documents are, and the tokenizer that chunks are measured with.

    `path` is a BEIR folder, one file of rows, or a folder of files; None means `inline_documents` only.
    `inline_documents` is the `documents.parquet` of a judgments artefact. `count_tokens` gives, for every
    text, the character offsets (start, end) of its tokens. `max_tokens` is the model's limit: a folder of
    files is cut to it unless the configuration says otherwise. `excluded` are folders that a folder of files does
    not own, such as the project's own output.
    """

    path: Path | None = None
    inline_documents: Path | None = None
    count_tokens: CountTokens | None = None
    max_tokens: int | None = None
    excluded: tuple[Path, ...] = ()


@dataclass(frozen=True)
class CorpusFacts:
    """Counts of what was read, dropped and written. `documents` counts before chunking, `chunks` after.

    `exact_duplicates` and `near_duplicates` count written units that have an earlier twin; they are marked,
    never dropped, because judgments may speak of them. `median_tokens` is taken over at most 1,000 units. `language`
    is by `language_from` "the documents" or "corpus.language"; `analysis` says what BM25 does with its words.
    """

    format: str
    files: int
    documents: int
    chunks: int
    chunk_tokens: int | None
    empty_dropped: int
    exact_duplicates: int
    near_duplicates: int
    truncated_documents: int
    characters: int
    median_tokens: int | None
    dropped: dict[str, int]
    warnings: tuple[str, ...]
    language: str
    language_from: str
    analysis: str
