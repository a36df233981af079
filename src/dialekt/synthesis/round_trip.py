"""Round-trip consistency: a made query must find its own document again (Promptagator, arXiv:2209.11755)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.models.lexical import Bm25
from dialekt.models.topk import TopK, top_k
from dialekt.synthesis.records import Draft, EncodeFunction
from dialekt.types import Document, Language, Progress, ReportProgress, Role, no_progress

_SLACK = 10  # places that other chunks of the own document may take
_WINDOW_TEXTS = 2_048  # encoded between two reports of progress
_LABELS = {Role.QUERY: "check queries", Role.DOCUMENT: "encode documents"}


class RoundTrip:
    """Asks the base model, and BM25 where the base model fails.

    Either may find the document: the queries that only words find are those whose dialect the model has yet to learn.
    Other chunks of the own document stand in nobody's way; near-copies must have been left out before.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        *,
        rank: int,
        encode: EncodeFunction | None,
        language: Language | None = None,
        progress: ReportProgress = no_progress,
    ):
        self.rank = rank
        self._progress = progress
        self._documents = list(documents)
        self._row = {document.id: row for row, document in enumerate(self._documents)}
        groups: dict[str, int] = {}
        self._group = np.array(
            [groups.setdefault(document.parent_id or document.id, len(groups)) for document in self._documents]
        )
        texts = [document.content for document in self._documents]
        self._encode = encode
        self._vectors = self._encode_all(encode, texts, Role.DOCUMENT) if encode else None
        self._bm25 = Bm25.build(texts, language=language, progress=progress)

    def barred(self, drafts: Sequence[Draft]) -> list[bool]:
        """Say of each draft whether neither retriever has its document within the rank."""
        found = self._found_by_model(drafts)
        rows = np.flatnonzero(~found)
        missing = [drafts[int(row)] for row in rows]
        depth = min(self.rank + _SLACK, len(self._documents))
        hits = self._bm25.search([draft.full_text for draft in missing], depth, progress=self._progress)
        found[rows] = self._within(hits, missing)
        return [not one for one in found]

    def neighbours(self, document_ids: Sequence[str], k: int) -> dict[str, list[str]]:
        """Return, for each document, the k nearest ones that are neither it nor chunks of the same."""
        rows = [self._row[document_id] for document_id in document_ids]
        depth = min(k + _SLACK, len(self._documents))
        if self._vectors is not None:
            hits = top_k(self._vectors[rows], self._vectors, depth)
        else:
            hits = self._bm25.search([self._documents[row].content for row in rows], depth)
        found = {}
        for row, indices in zip(rows, hits.indices, strict=True):
            others = [int(index) for index in indices if index >= 0 and self._group[index] != self._group[row]]
            found[self._documents[row].id] = [self._documents[index].id for index in others[:k]]
        return found

    def _found_by_model(self, drafts: Sequence[Draft]) -> NDArray[np.bool_]:
        if self._encode is None or self._vectors is None or not drafts:
            return np.zeros(len(drafts), dtype=np.bool_)
        vectors = self._encode_all(self._encode, [draft.full_text for draft in drafts], Role.QUERY)
        return self._within(top_k(vectors, self._vectors, min(self.rank + _SLACK, len(self._documents))), drafts)

    def _encode_all(self, encode: EncodeFunction, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        windows = []
        for start in range(0, len(texts), _WINDOW_TEXTS):
            windows.append(encode(texts[start : start + _WINDOW_TEXTS], role))
            self._progress(Progress(_LABELS[role], min(start + _WINDOW_TEXTS, len(texts)), len(texts)))
        return np.concatenate(windows)

    def _within(self, hits: TopK, drafts: Sequence[Draft]) -> NDArray[np.bool_]:
        """Say whose document is within the rank: ahead of it are fewer than `rank` documents of another group."""
        own = self._group[[self._row[draft.document_id] for draft in drafts]][:, None]  # (drafts, 1)
        groups = np.where(hits.indices >= 0, self._group[hits.indices], -1)  # (drafts, depth)
        mine = groups == own
        strangers = np.cumsum(~mine, axis=1)  # (drafts, depth): up to and with each place
        within: NDArray[np.bool_] = (mine & (strangers < self.rank)).any(axis=1)
        return within
