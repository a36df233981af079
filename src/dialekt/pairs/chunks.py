"""Which chunk of a judged document answers a query: judgments speak of whole documents, training of chunks."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.pairs.records import DocumentKeys
from dialekt.store.tables import read_records
from dialekt.store.words import normalised_tokens
from dialekt.types import Document


@dataclass(frozen=True, slots=True)
class Chunk:
    """One retrievable unit of a document, with its words if the document has several."""

    id: str
    duplicate_of: str
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of every judged document that may be trained on.

    `total` and `frequency` count the chunks of documents with several: all of them, and those that have a word.
    """

    of_document: Mapping[str, Sequence[Chunk]]
    total: int
    frequency: Mapping[str, int]

    def best(self, query: str, document_id: str) -> Chunk | None:
        """Return the chunk with the largest IDF sum of the query's words, the first of equals; `None` without any.

        IDF is that of BM25 in Lucene, ln(1 + (N - n + 0.5) / (n + 0.5)), over the chunks of judged documents with
        several. Chunks are of about equal length, so length is not normalised.
        """
        chunks = self.of_document.get(document_id, ())
        if len(chunks) < 2:
            return chunks[0] if chunks else None
        words = normalised_tokens(query)
        return max(chunks, key=lambda chunk: math.fsum(self._idf(word) for word in words & chunk.tokens))

    def _idf(self, word: str) -> float:
        count = self.frequency.get(word, 0)
        return math.log1p((self.total - count + 0.5) / (count + 0.5))


def read_chunks(path: Path, document_ids: Collection[str], held_out: Collection[str] = ()) -> Chunks:
    """Read the chunks of the given documents; texts are read only if some of them have several chunks.

    A chunk with the text of a chunk of a held-out document is left out.
    """
    corpus = read_records(path, DocumentKeys)
    barred = {key.duplicate_of or key.id for key in corpus if (key.parent_id or key.id) in held_out}
    keys = [
        key
        for key in corpus
        if (key.parent_id or key.id) in document_ids and (key.duplicate_of or key.id) not in barred
    ]
    sizes = Counter(key.parent_id or key.id for key in keys)
    several = {document_id for document_id, size in sizes.items() if size > 1}
    tokens = _read_tokens(path, several) if several else {}
    found: defaultdict[str, list[Chunk]] = defaultdict(list)
    for key in keys:
        chunk = Chunk(key.id, key.duplicate_of or key.id, tokens.get(key.id, frozenset()))
        found[key.parent_id or key.id].append(chunk)
    return Chunks(dict(found), len(tokens), Counter(word for words in tokens.values() for word in words))


def _read_tokens(path: Path, document_ids: Collection[str]) -> dict[str, frozenset[str]]:
    return {
        document.id: normalised_tokens(document.content)
        for document in read_records(path, Document)
        if document.parent_id in document_ids
    }
