"""What queries are made from: the corpus without copies, and the real queries by what they may be used for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dialekt.config import Generator, SynthesisConfig
from dialekt.errors import InputError
from dialekt.store.language import read_language
from dialekt.store.tables import read_records
from dialekt.synthesis.records import SynthesisInputs
from dialekt.types import Document, Language, Query, Split

LOCAL_QUERIES = 20_000
LOCAL_PER_DOCUMENT = (3, 10)
ASKED_PER_DOCUMENT = 3


@dataclass(frozen=True, slots=True)
class Material:
    """Every distinct document, the heads of those that get queries, the train queries' texts, held-out texts by id."""

    documents: Sequence[Document]
    asked: Sequence[Document]
    train: Sequence[str]
    held_out: Mapping[str, str]
    language: Language | None = None


def read_material(config: SynthesisConfig, inputs: SynthesisInputs) -> Material:
    """Read corpus and queries; raise `InputError` for a corpus without text."""
    documents = [
        document
        for document in read_records(inputs.corpus, Document)
        if document.duplicate_of in {"", document.id} and document.content.strip()
    ]
    if not documents:
        raise InputError("the corpus has no document with text", hint="check corpus.path")
    queries = read_records(inputs.queries, Query) if inputs.queries else []
    return Material(
        documents=documents,
        asked=_heads(_drawn(documents, config.max_documents, inputs.seed), inputs),
        train=[query.text for query in queries if query.split is Split.TRAIN],
        held_out={query.id: query.text for query in queries if query.split is not Split.TRAIN},
        language=read_language(inputs.corpus),
    )


def _heads(documents: Sequence[Document], inputs: SynthesisInputs) -> Sequence[Document]:
    """Return the documents with the part of their text that training will read; the title comes first."""
    if inputs.head is None:
        return documents
    heads = inputs.head([document.content for document in documents])
    return [
        replace(document, text=head[len(document.title) :].strip() if document.title else head)
        for document, head in zip(documents, heads, strict=True)
    ]


def per_document(config: SynthesisConfig, generator: Generator, documents: int) -> int:
    """Return how many queries a generator is asked for per document."""
    if config.queries_per_document is not None:
        return config.queries_per_document
    if generator is not Generator.LOCAL:
        return ASKED_PER_DOCUMENT
    least, most = LOCAL_PER_DOCUMENT
    return min(most, max(least, -(-LOCAL_QUERIES // documents)))


def _drawn(documents: Sequence[Document], most: int | None, seed: int) -> Sequence[Document]:
    if most is None or most >= len(documents):
        return documents
    rows = np.random.default_rng(seed).choice(len(documents), size=most, replace=False)
    return [documents[int(row)] for row in np.sort(rows)]
