"""Judgments → the truth that a simulation draws clicks from: a BEIR folder ranked by BM25, every positive listed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dialekt.errors import InputError
from dialekt.logs.simulation import Truth
from dialekt.models.lexical import Bm25
from dialekt.store.rows import read_rows
from dialekt.types import ReportProgress, no_progress


def read_truth(
    beir: Path,
    *,
    split: str = "train",
    depth: int = 20,
    most_queries: int | None = None,
    seed: int = 0,
    progress: ReportProgress = no_progress,
) -> Truth:
    """Rank the corpus for each query of the split; positives that BM25 misses get a place in the list by chance.

    Raises `InputError` when the folder lacks a file, or when no judged document is in the corpus.
    """
    contents = {
        str(row.values["_id"]): f"{row.values.get('title') or ''} {row.values['text']}".strip()
        for row in read_rows(_find(beir, "corpus.jsonl"))
    }
    numbers = {document_id: number for number, document_id in enumerate(contents)}
    grades = _read_grades(beir / "qrels" / f"{split}.tsv", numbers)
    texts = {str(row.values["_id"]): str(row.values["text"]) for row in read_rows(_find(beir, "queries.jsonl"))}
    judged = [query_id for query_id in grades if query_id in texts]
    if not judged:
        raise InputError("no judged query has a positive document in the corpus", path=beir, hint="check the qrels")
    generator = np.random.default_rng(seed)
    if most_queries is not None and most_queries < len(judged):
        judged = [judged[row] for row in sorted(generator.permutation(len(judged))[:most_queries])]
    ranker = Bm25.build(list(contents.values()), progress=progress)
    found = ranker.search([texts[query_id] for query_id in judged], min(depth, len(contents)), progress=progress)
    candidates = np.full((len(judged), depth), -1, dtype=np.int64)
    page_grades = np.zeros((len(judged), depth))
    for row, query_id in enumerate(judged):
        ranked = [int(place) for place, score in zip(found.indices[row], found.scores[row], strict=True) if score > 0]
        listed = _with_positives(ranked, grades[query_id], depth, generator)
        candidates[row, : len(listed)] = listed
        page_grades[row, : len(listed)] = [grades[query_id].get(number, 0.0) for number in listed]
    return Truth(tuple(texts[query_id] for query_id in judged), tuple(contents), candidates, page_grades)


def _with_positives(
    ranked: list[int], grades: Mapping[int, float], depth: int, generator: np.random.Generator
) -> list[int]:
    """Insert missing positives at random places, and drop non-matches from the end to keep the depth."""
    listed = list(ranked)
    missing = [number for number, grade in grades.items() if grade > 0 and number not in set(ranked)]
    for number in missing[:depth]:
        listed.insert(int(generator.integers(0, min(len(listed), depth - 1) + 1)), number)
    surplus = len(listed) - depth
    for place in range(len(listed) - 1, -1, -1):
        if surplus > 0 and not grades.get(listed[place]):
            del listed[place]
            surplus -= 1
    return listed[:depth]


def _read_grades(path: Path, numbers: Mapping[str, int]) -> dict[str, dict[int, float]]:
    """Return grades by query and document number, for queries with a positive that is in the corpus."""
    grades: dict[str, dict[int, float]] = {}
    for row in read_rows(path):
        query_id, document_id, grade = (str(value) for value in list(row.values.values())[:3])
        if document_id in numbers:
            grades.setdefault(query_id, {})[numbers[document_id]] = float(grade)
    return {query_id: judged for query_id, judged in grades.items() if max(judged.values()) > 0}


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(f"there is no {name}", path=folder, hint="name a BEIR folder: corpus.jsonl, queries.jsonl, qrels/")
