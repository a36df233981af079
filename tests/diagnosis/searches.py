"""Held-out queries with made-up rankings, for looking at why some of them fail."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.inputs import BASE, BaselineInputs, Sampling
from dialekt.measures.metrics import judge
from dialekt.measures.retrieval import Collection
from dialekt.measures.runs import Run
from dialekt.types import Document, Language, Qrel, Query, Split

SAMPLING = Sampling(confidence=0.95, resamples=500, seed=1)
PIECE = 4
DEPTH = 100


def four_letter_tokens(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Cut every word into pieces of four letters."""
    return [_pieces(text) for text in texts]


def _pieces(text: str) -> list[tuple[int, int]]:
    found, start = [], 0
    for word in text.split(" "):
        end = start + len(word)
        found += [(piece, min(piece + PIECE, end)) for piece in range(start, end, PIECE)]
        start = end + 1
    return found


def run_of(ranking: Sequence[Sequence[str]], document_ids: Sequence[str]) -> Run:
    """Return the run in which each query finds the named documents, best first."""
    indices = np.full((len(ranking), DEPTH), -1, dtype=np.int64)
    scores = np.full(indices.shape, -np.inf, dtype=np.float32)
    for row, found in enumerate(ranking):
        indices[row, : len(found)] = [document_ids.index(name) for name in found]
        scores[row, : len(found)] = -np.arange(len(found))
    return Run(tuple(f"q{row}" for row in range(len(ranking))), tuple(document_ids), indices, scores)


def searches(
    documents: Sequence[Document],
    queries: Sequence[str],
    *,
    answers: Sequence[Sequence[str]],
    ranking: Sequence[Sequence[str]],
    vectors: NDArray[np.float32] | None = None,
    max_tokens: int = 100,
) -> BaselineInputs:
    """Return queries q0, q1, … with their answers and what the base model found for them."""
    ids = tuple(dict.fromkeys(document.parent_id or document.id for document in documents))
    parents = [ids.index(document.parent_id or document.id) for document in documents]
    texts = tuple(document.content for document in documents)
    collection = Collection(tuple(one.id for one in documents), texts, ids, np.array(parents, dtype=np.int64))
    qrels = [Qrel(f"q{row}", name) for row, names in enumerate(answers) for name in names]
    return BaselineInputs(
        collection=collection,
        documents=documents,
        document_vectors=np.eye(len(documents), dtype=np.float32) if vectors is None else vectors,
        queries=[Query(f"q{row}", text, Split.TEST) for row, text in enumerate(queries)],
        judgments=judge(qrels, minimum_grade=1.0),
        systems={BASE: run_of(ranking, ids)},
        token_offsets=four_letter_tokens,
        max_tokens=max_tokens,
        language=Language.OTHER,
        sampling=SAMPLING,
    )
