"""A large corpus cut down for a diagnosis: answers, hard candidates, then random documents; and some train queries."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dialekt.config import DiagnosisConfig
from dialekt.diagnosis.records import STAGE_VERSION
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.measures.retrieval import Collection, read_collection, rows_by_name
from dialekt.models.lexical import Bm25
from dialekt.store.language import language_note, read_language
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Pair, Qrel, Query, ReportProgress, Split

__all__ = ["STAGE_VERSION", "is_large", "sample"]

MOST_TRAIN_QUERIES = 5_000
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class _Kept:
    """The queries that stay, all their judgments, and the pairs to learn from."""

    queries: list[Query]
    qrels: list[Qrel]
    pairs: list[Pair]


def is_large(workbench: Workbench) -> bool:
    """Whether the corpus or the queries are too many for a diagnosis of minutes."""
    config = workbench.config.diagnosis
    documents = int(workbench.artefacts[StageName.CORPUS].manifest.facts["chunks"])
    queries = int(workbench.artefacts[StageName.PAIRS].manifest.facts["queries"])
    return documents > config.max_documents or queries * config.share > MOST_TRAIN_QUERIES


def sample(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Write a corpus and pairs artefact in one: the same tables, with fewer rows.

    The documents are the answers of the queries that stay, then BM25's best candidates for the held-out queries, then
    random ones, until there are `diagnosis.max_documents` units.
    """
    config, seed = workbench.config.diagnosis, workbench.config.project.seed
    corpus, pairs = workbench.folder(StageName.CORPUS), workbench.folder(StageName.PAIRS)
    generator = np.random.default_rng(seed)
    queries = read_records(pairs / "queries.parquet", Query)
    kept = _keep_queries(pairs, queries, config, generator)
    collection = read_collection(corpus)
    rows = _keep_units(collection, kept, workbench, generator, progress=progress)
    present = {collection.document_ids[collection.parents[row]] for row in rows}
    units = {collection.unit_ids[row] for row in rows}
    documents = (one for one in read_records(corpus / "documents.parquet", Document) if one.id in units)
    language = read_language(corpus / "documents.parquet")
    notes = language_note(language) if language else None
    write_records(out / "documents.parquet", documents, Document, notes=notes)
    write_records(out / "queries.parquet", kept.queries, Query)
    write_records(out / "qrels.parquet", kept.qrels, Qrel)
    found = [one for one in kept.pairs if one.document_id in present or one.document_id in units]
    write_records(out / "pairs.parquet", found, Pair)
    for name in ("held_out_documents.parquet", "known_negatives.parquet"):
        shutil.copyfile(pairs / name, out / name)
    counts = {
        "documents": len(present),
        "chunks": len(units),
        "pairs": len(found),
        "queries": len({one.query_id for one in found}),
        "all_paired_documents": int(workbench.artefacts[StageName.PAIRS].manifest.facts["documents"]),
        "all_dev_queries": sum(query.split is Split.DEV for query in queries),
        "all_test_queries": sum(query.split is Split.TEST for query in queries),
    }
    return _facts(workbench, counts)


def _facts(workbench: Workbench, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the facts of both stages that the sample stands for, with what the whole project has beside them."""
    corpus, made = (workbench.artefacts[name].manifest.facts for name in (StageName.CORPUS, StageName.PAIRS))
    return {
        **made,
        **corpus,
        **counts,
        "all_units": corpus["chunks"],
        "all_train_queries": made["queries"],
        "all_pairs": made["pairs"],
    }


def _keep_queries(
    folder: Path, queries: Sequence[Query], config: DiagnosisConfig, generator: np.random.Generator
) -> _Kept:
    wanted = {Split.TRAIN: MOST_TRAIN_QUERIES, Split.DEV: config.max_queries, Split.TEST: config.max_queries}
    kept: list[Query] = []
    for split, most in wanted.items():
        every = [query for query in queries if query.split is split]
        drawn = generator.permutation(len(every))[:most].tolist()
        kept += [every[row] for row in sorted(drawn)]
    ids = {query.id for query in kept}
    return _Kept(
        kept,
        [one for one in read_records(folder / "qrels.parquet", Qrel) if one.query_id in ids],
        [one for one in read_records(folder / "pairs.parquet", Pair) if one.query_id in ids],
    )


def _keep_units(
    collection: Collection,
    kept: _Kept,
    workbench: Workbench,
    generator: np.random.Generator,
    *,
    progress: ReportProgress,
) -> list[int]:
    units = rows_by_name(collection)
    held_out = {query.id for query in kept.queries if query.split is not Split.TRAIN}
    least = workbench.config.pairs.minimum_grade
    judged = (one.document_id for one in kept.qrels if one.query_id in held_out and one.grade >= least)
    answers = {row for document_id in judged for row in units.get(document_id, [])}
    answers |= {row for one in kept.pairs for row in units.get(one.document_id, [])[:1]}
    chosen = dict.fromkeys(sorted(answers))
    fillers = chain(_candidates(collection, kept, progress=progress), generator.permutation(len(collection.texts)))
    for row in fillers:
        if len(chosen) >= workbench.config.diagnosis.max_documents:
            break
        chosen[int(row)] = None
    return sorted(chosen)


def _candidates(collection: Collection, kept: _Kept, *, progress: ReportProgress) -> Iterator[int]:
    """Yield BM25's candidates for the held-out queries by rising rank, so that every query gets its share."""
    texts = [query.text for query in kept.queries if query.split is not Split.TRAIN]
    if not texts:
        return
    found = (
        Bm25.build(collection.texts, language=collection.language, progress=progress).search(texts, CANDIDATES).indices
    )
    for rank in range(found.shape[1]):
        yield from (row for row in found[:, rank].tolist() if row >= 0)
