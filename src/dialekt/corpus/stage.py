"""The corpus stage: read, clean, chunk, mark duplicates, write `documents.parquet`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from dialekt.config import CorpusConfig, CorpusFormat
from dialekt.corpus.chunking import WINDOW_CHARACTERS, chunk_text, cut, word_offsets
from dialekt.corpus.cleaning import clean_line, clean_text
from dialekt.corpus.duplicates import find_duplicates
from dialekt.corpus.files import read_files
from dialekt.corpus.layout import Layout, find_layout
from dialekt.corpus.readers import read_table
from dialekt.corpus.records import CorpusFacts, CorpusInputs, CountTokens, FoundDocument
from dialekt.errors import ConfigError, InputError
from dialekt.store.hashing import hash_text
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Progress, ReportProgress, no_progress

STAGE_VERSION = 1
SPECIAL_TOKENS = 2  # start and end marks that the model adds to every text
SAMPLED_FOR_MEDIAN = 1_000
CHUNK_BATCH_CHARACTERS = 1_000_000  # tokenized in one call


@dataclass
class _Tally:
    """Counts that grow while documents stream by."""

    dropped: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    warnings: list[str] = field(default_factory=list)


def run(
    config: CorpusConfig, inputs: CorpusInputs, out: Path, *, progress: ReportProgress = no_progress
) -> CorpusFacts:
    """Write the documents, clean, chunked and with duplicates marked, to `out/documents.parquet`.

    Raises `InputError` for an empty corpus, one id with two texts, and files that cannot be parsed;
    `ConfigError` for an overlap of more than half a chunk; `MissingExtraError` for files whose converter is
    not installed.
    """
    inline = read_records(inputs.inline_documents, Document) if inputs.inline_documents else []
    layout = find_layout(inputs.path, config, inline=bool(inline)) if inputs.path else None
    limit = _chunk_limit(config, inputs, layout)
    tally = _Tally()
    found = _read_all(layout, inline, inputs, config=config, tally=tally)
    documents = _accept(found, config, tally=tally, progress=progress)
    if not documents:
        raise InputError(
            "there are no documents with text",
            path=inputs.path,
            hint="check corpus.path and corpus.text_field",
        )
    units = list(_chunk_all(documents, limit, config, inputs=inputs, tally=tally, progress=progress))
    duplicates = find_duplicates(
        [unit.content for unit in units], similarity=config.near_duplicate_similarity, progress=progress
    )
    marked = (
        replace(unit, duplicate_of=units[first].id)
        for unit, first in zip(units, duplicates.first, strict=True)
    )
    write_records(out / "documents.parquet", marked, Document)
    return CorpusFacts(
        format=str(layout.format) if layout and layout.found else "inline",
        files=len(layout.tables + layout.files) if layout else 0,
        documents=len(documents),
        chunks=len(units),
        chunk_tokens=limit,
        empty_dropped=tally.dropped["empty text"],
        exact_duplicates=duplicates.exact,
        near_duplicates=duplicates.near,
        truncated_documents=tally.truncated,
        characters=sum(len(document.text) for document in documents),
        median_tokens=_median_tokens(units, inputs.count_tokens),
        dropped=dict(tally.dropped),
        warnings=tuple(tally.warnings),
    )


def _chunk_limit(config: CorpusConfig, inputs: CorpusInputs, layout: Layout | None) -> int | None:
    """Say how many tokens a chunk may have; None for no chunking."""
    limit = config.chunk_tokens
    if (
        limit is None
        and layout
        and layout.format is CorpusFormat.FILES
        and layout.found
        and inputs.max_tokens
    ):
        limit = max(inputs.max_tokens - SPECIAL_TOKENS, 1)
    if config.chunk_tokens and config.chunk_overlap_tokens * 2 > config.chunk_tokens:
        raise ConfigError(
            f"corpus.chunk_overlap_tokens = {config.chunk_overlap_tokens} is more than half of "
            f"corpus.chunk_tokens = {config.chunk_tokens}",
            hint="set a smaller overlap",
        )
    return limit


def _read_all(
    layout: Layout | None,
    inline: Sequence[Document],
    inputs: CorpusInputs,
    *,
    config: CorpusConfig,
    tally: _Tally,
) -> Iterator[FoundDocument]:
    """Yield the corpus' own documents, then those that came inside judgments."""
    if layout:
        for table in layout.tables:
            yield from read_table(table, config)
        yield from read_files(layout.files, layout.root, unreadable=tally.dropped)
    for line, document in enumerate(inline, start=1):
        assert inputs.inline_documents
        yield FoundDocument(
            document.id,
            document.title,
            document.text,
            inputs.inline_documents,
            line,
            metadata=document.metadata,
        )


def _accept(
    found: Iterable[FoundDocument], config: CorpusConfig, *, tally: _Tally, progress: ReportProgress
) -> list[Document]:
    """Clean the documents, give ids to those without, and drop empty ones and repetitions of an id."""
    accepted: list[Document] = []
    seen: dict[str, tuple[str, str]] = {}
    for number, item in enumerate(found, start=1):
        if number % 10_000 == 0:
            progress(Progress("reading documents", number))
        tally.truncated += len(item.text) > config.max_document_characters
        text = clean_text(item.text[: config.max_document_characters])
        if not text:
            tally.dropped["empty text"] += 1
            continue
        identity = item.id or content_id(item)
        where, fingerprint = seen.setdefault(identity, (item.where, hash_text(text)))
        if where is not item.where and where != item.where:
            _check_same(identity, item, text=text, first=(where, fingerprint))
            tally.dropped["same id and text"] += 1
            continue
        metadata = {name: clean_line(value) for name, value in item.metadata.items()}
        accepted.append(Document(identity, text, clean_line(item.title), identity, identity, metadata))
    return accepted


def content_id(item: FoundDocument) -> str:
    """Return the id of a document that has none: the hash of its text as found, as in pair files."""
    return hash_text(f"{item.title}\n{item.text}" if item.title else item.text)


def _check_same(identity: str, item: FoundDocument, *, text: str, first: tuple[str, str]) -> None:
    where, fingerprint = first
    if hash_text(text) != fingerprint:
        raise InputError(
            f"document {identity!r} has a different text at {where}",
            path=item.path,
            line=item.line,
            hint="ids must be unique; rename one or remove it",
        )


def _chunk_all(
    documents: Sequence[Document],
    limit: int | None,
    config: CorpusConfig,
    *,
    inputs: CorpusInputs,
    tally: _Tally,
    progress: ReportProgress,
) -> Iterator[Document]:
    """Yield the documents as they are, or their chunks in order."""
    if limit is None:
        yield from documents
        return
    if inputs.count_tokens is None:
        tally.warnings.append("no tokenizer was given: chunks are measured in words")
    chunker = _Chunker(
        inputs.count_tokens or word_offsets, limit, min(config.chunk_overlap_tokens, limit // 2)
    )
    done = 0
    for batch in _batches(documents):
        yield from chunker.chunk(batch)
        done += len(batch)
        progress(Progress("cutting into chunks", done, len(documents)))


def _batches(documents: Sequence[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= CHUNK_BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class _Chunker:
    """Cuts documents so that title and chunk together keep to the limit."""

    count_tokens: CountTokens
    limit: int
    overlap: int

    def chunk(self, documents: Sequence[Document]) -> Iterator[Document]:
        """Yield the chunks of the documents; `id#n` counts from 0 within a document."""
        titles = self.count_tokens([document.title for document in documents])
        short = [document.text if len(document.text) <= WINDOW_CHARACTERS else "" for document in documents]
        offsets = self.count_tokens(short)
        for document, title, tokens in zip(documents, titles, offsets, strict=True):
            limit = self.limit - min(len(title), self.limit // 2)
            overlap = min(self.overlap, limit // 2)
            if len(document.text) <= WINDOW_CHARACTERS:
                spans: Iterable[tuple[int, int]] = cut(document.text, tokens, limit=limit, overlap=overlap)
            else:
                spans = chunk_text(document.text, self.count_tokens, limit=limit, overlap=overlap)
            texts = (document.text[start:end].strip() for start, end in spans)
            for number, text in enumerate(filter(None, texts)):
                yield replace(document, id=f"{document.id}#{number}", text=text, duplicate_of="")


def _median_tokens(units: Sequence[Document], count_tokens: CountTokens | None) -> int | None:
    if count_tokens is None:
        return None
    step = max(1, len(units) // SAMPLED_FOR_MEDIAN)
    sample = [unit.content[:WINDOW_CHARACTERS] for unit in units[::step][:SAMPLED_FOR_MEDIAN]]
    return int(median(len(offsets) for offsets in count_tokens(sample)))
