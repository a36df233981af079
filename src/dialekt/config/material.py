"""Sections on what goes in: documents, judgments, the split."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dialekt.config.section import PositiveInt, Section, Share
from dialekt.types import Language


class CorpusFormat(StrEnum):
    """How documents lie on disk."""

    AUTO = "auto"
    BEIR = "beir"
    ROWS = "rows"
    FILES = "files"


class CorpusConfig(Section):
    """Where the documents are and how they are read, cleaned and cut into chunks."""

    path: Path | None = Field(
        default=None, description="BEIR folder, one JSONL/CSV/TSV/Parquet file, or a folder of files"
    )
    format: CorpusFormat = Field(
        default=CorpusFormat.AUTO, description="'auto' looks at the files; 'rows' and 'files' decide a mixed folder"
    )
    id_field: str | None = Field(
        default=None, description="column with the document id; unset: _id, id, doc_id, ... or the content"
    )
    title_field: str | None = Field(default=None, description="column with the title; unset: title if present")
    text_field: str | None = Field(default=None, description="column with the text; unset: text, content, body, ...")
    language: Language | None = Field(
        default=None,
        description="what the documents are written in ('de', 'zh', ...), for stop words and stems of BM25 and of the "
        "index; 'other': several, or another; unset: derived from the documents",
    )
    chunk_tokens: PositiveInt | None = Field(
        default=None,
        description="longest chunk in tokens; unset: the model's limit for a folder of files, no chunking otherwise",
    )
    chunk_overlap_tokens: Annotated[int, Field(ge=0)] = Field(
        default=32, description="tokens that neighboring chunks share; at most half of a chunk"
    )
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1)] = Field(
        default=0.9, description="Jaccard similarity of word shingles from which two documents count as the same"
    )
    max_document_characters: PositiveInt = Field(
        default=2_000_000, description="a longer document is cut here, and counted"
    )


class JudgmentsFormat(StrEnum):
    """How relevance judgments lie on disk. `auto` looks at the folder or at the first row."""

    AUTO = "auto"
    BEIR = "beir"
    TREC = "trec"
    MSMARCO = "msmarco"
    PAIRS = "pairs"
    FLAG_EMBEDDING = "flag_embedding"
    TEVATRON = "tevatron"
    NEMO = "nemo"
    GPL = "gpl"
    LLAMA_INDEX = "llama_index"
    MS_SWIFT = "ms_swift"
    GRITLM = "gritlm"


class JudgmentsConfig(Section):
    """Where relevance comes from: judgments over ids, or files of pairs, triplets and scored pairs."""

    path: Path | None = Field(default=None, description="unset: the corpus folder")
    format: JudgmentsFormat = Field(
        default=JudgmentsFormat.AUTO, description="'auto' looks at the folder, or at the first row"
    )
    minimum_score: float = Field(default=0.5, description="a scored pair (0 to 1) from this score on is a positive")


class SplitMethod(StrEnum):
    """How queries are divided into train, dev and test."""

    AUTO = "auto"
    OFFICIAL = "official"
    GROUPED = "grouped"
    TIME = "time"


class SplitConfig(Section):
    """How queries are set aside before anything else is made."""

    method: SplitMethod = Field(
        default=SplitMethod.AUTO, description="'auto': official where the judgments name two splits, else grouped"
    )
    group_by: Literal["query", "document"] = Field(
        default="query", description="'document' keeps all queries of a document on one side"
    )
    dev_share: Share = Field(default=0.1, description="part of the queries that chooses checkpoint and mixture")
    test_share: Share = Field(default=0.2, description="part of the queries that only the evaluation sees")
    time_field: str = Field(default="timestamp", description="query field that holds the time, for method = 'time'")
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1)] = Field(
        default=0.9, description="Jaccard similarity of words from which two queries may not be in two splits"
    )
