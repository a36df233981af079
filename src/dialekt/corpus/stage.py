"""The corpus stage: read, clean, chunk, mark duplicates, write `documents.parquet`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from dialekt.config import CorpusConfig, CorpusFormat
from dialekt.corpus.chunking import WINDOW_CHARACTERS, Chunker, word_offsets
from dialekt.corpus.duplicates import find_duplicates
from dialekt.corpus.files import read_files
from dialekt.corpus.intake import Intake
from dialekt.corpus.layout import Layout, find_layout
from dialekt.corpus.readers import read_table
from dialekt.corpus.records import CorpusFacts, CorpusInputs, CountTokens, FoundDocument
from dialekt.errors import ConfigError, InputError
from dialekt.models.language import derive_language, describe_analysis
from dialekt.store.language import language_note
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Progress, ReportProgress, no_progress

STAGE_VERSION = 2
SPECIAL_TOKENS = 2  # start and end marks that the model adds to every text
SAMPLED_FOR_MEDIAN = 1_000


def run(
    config: CorpusConfig, inputs: CorpusInputs, out: Path, *, progress: ReportProgress = no_progress
) -> CorpusFacts:
    """Write the documents, clean, chunked and with duplicates marked, to `out/documents.parquet`.

    Raises `InputError` for an empty corpus, one id with two texts, and files that cannot be parsed;
    `ConfigError` for an overlap of more than half a chunk; `MissingExtraError` for files whose converter is
    not installed.
    """
    inline = read_records(inputs.inline_documents, Document) if inputs.inline_documents else []
    layout = find_layout(inputs.path, config, inline=bool(inline), excluded=inputs.excluded) if inputs.path else None
    limit = _chunk_limit(config, inputs, layout)
    intake = Intake(config.max_document_characters, progress)
    _read_all(intake, layout, inline, config=config, inputs=inputs)
    if not intake.documents:
        raise InputError(
            "there are no documents with text", path=inputs.path, hint="check corpus.path and corpus.text_field"
        )
    units = list(_chunk_all(intake.documents, limit, config, inputs=inputs, progress=progress))
    duplicates = find_duplicates(
        [unit.content for unit in units], similarity=config.near_duplicate_similarity, progress=progress
    )
    firsts = (units[first].id for first in duplicates.first)
    marked = (replace(unit, duplicate_of=first) for unit, first in zip(units, firsts, strict=True))
    language = config.language or derive_language([unit.content for unit in units])
    write_records(out / "documents.parquet", marked, Document, notes=language_note(language))
    return CorpusFacts(
        format=str(layout.format) if layout and layout.found else "inline",
        files=len(layout.tables + layout.files) if layout else 0,
        documents=len(intake.documents),
        chunks=len(units),
        chunk_tokens=limit,
        empty_dropped=intake.dropped["empty text"],
        exact_duplicates=duplicates.exact,
        near_duplicates=duplicates.near,
        truncated_documents=intake.truncated,
        characters=sum(len(document.text) for document in intake.documents),
        median_tokens=_median_tokens(units, inputs.count_tokens),
        dropped=dict(sorted((+intake.dropped).items())),
        warnings=_warnings(intake, limit, inputs),
        language=language.value,
        language_from="corpus.language" if config.language else "the documents",
        analysis=describe_analysis(language),
    )


def _warnings(intake: Intake, limit: int | None, inputs: CorpusInputs) -> tuple[str, ...]:
    found = []
    if limit and inputs.count_tokens is None:
        found.append("no tokenizer was given: chunks are measured in words")
    if unreadable := sum(count for reason, count in intake.dropped.items() if reason.startswith("unreadable")):
        found.append(f"{unreadable} files could not be read")
    return tuple(found)


def _chunk_limit(config: CorpusConfig, inputs: CorpusInputs, layout: Layout | None) -> int | None:
    """Say how many tokens a chunk may have; None for no chunking."""
    limit = config.chunk_tokens
    if limit is not None and config.chunk_overlap_tokens * 2 > limit:
        raise ConfigError(
            f"corpus.chunk_overlap_tokens = {config.chunk_overlap_tokens} is more than half of "
            f"corpus.chunk_tokens = {limit}",
            hint="set a smaller overlap",
        )
    is_files = layout is not None and layout.format is CorpusFormat.FILES and layout.found
    if limit is None and is_files and inputs.max_tokens:
        return max(inputs.max_tokens - SPECIAL_TOKENS, 1)
    return limit


def _read_all(
    intake: Intake,
    layout: Layout | None,
    inline: Sequence[Document],
    *,
    config: CorpusConfig,
    inputs: CorpusInputs,
) -> None:
    """Take in the corpus' own documents, then those that came inside judgments."""
    if layout:
        for table in layout.tables:
            intake.add_all(read_table(table, config), repeated="same id and text")
        intake.add_all(read_files(layout.files, layout.root, unreadable=intake.dropped))
    if inputs.inline_documents:
        intake.add_all(_inline_found(inline, inputs.inline_documents))


def _inline_found(inline: Iterable[Document], path: Path) -> Iterator[FoundDocument]:
    for line, document in enumerate(inline, start=1):
        yield FoundDocument(document.id, document.title, document.text, path, line, document.metadata)


def _chunk_all(
    documents: Sequence[Document],
    limit: int | None,
    config: CorpusConfig,
    *,
    inputs: CorpusInputs,
    progress: ReportProgress,
) -> Iterator[Document]:
    """Yield the documents as they are, or their chunks in order."""
    if limit is None:
        yield from documents
        return
    known = {document.id for document in documents}
    chunker = Chunker(inputs.count_tokens or word_offsets, limit, min(config.chunk_overlap_tokens, limit // 2))
    for batch, done in chunker.batches(documents):
        for chunk in chunker.chunk(batch):
            if chunk.id in known:
                raise InputError(
                    f"document id {chunk.id!r} is also the id of a chunk of {chunk.parent_id!r}",
                    path=inputs.path,
                    hint="rename the document: '#' and a number mark chunks",
                )
            yield chunk
        progress(Progress("cutting into chunks", done, len(documents)))


def _median_tokens(units: Sequence[Document], count_tokens: CountTokens | None) -> int | None:
    if count_tokens is None:
        return None
    step = max(1, len(units) // SAMPLED_FOR_MEDIAN)
    sample = [unit.content[:WINDOW_CHARACTERS] for unit in units[::step][:SAMPLED_FOR_MEDIAN]]
    return int(median(len(offsets) for offsets in count_tokens(sample)))
