"""How well search is without tuning: scores with intervals, the ceiling of reranking, and where it fails."""

import numpy as np
from numpy.typing import NDArray

from dialekt.diagnosis.failures import Evidence, failed_queries, failures, gather_evidence
from dialekt.diagnosis.inputs import BASE, BaselineInputs, Sampling
from dialekt.diagnosis.records import BaselineFacts, SystemScore
from dialekt.measures.metrics import NDCG, Judgments, ndcg, score_run, tabulate
from dialekt.measures.runs import Run
from dialekt.measures.statistics import bootstrap_intervals
from dialekt.types import Interval

_RECALL = "Recall@100"


def baseline_facts(inputs: BaselineInputs) -> BaselineFacts:
    """Score every untuned system on the held-out queries and sort the failures of the base model by their causes."""
    base = inputs.systems[BASE]
    evidence = gather_evidence(inputs)
    failed = failed_queries(base, inputs.judgments)
    return BaselineFacts(
        queries=len(inputs.queries),
        documents=len(inputs.collection.document_ids),
        systems=tuple(_score(name, run, inputs) for name, run in inputs.systems.items()),
        ceiling=mean_with_interval(perfect_reranking(base, inputs.judgments), inputs.sampling),
        failed=int(failed.sum()),
        buckets=failures(evidence, failed),
        hub_share=evidence.hub_share,
        truncated_share=_truncated(evidence),
        duplicate_share=_duplicated(inputs),
    )


def perfect_reranking(run: Run, judgments: Judgments) -> NDArray[np.float64]:
    """Return NDCG@10 per query (queries,) if the documents that were found stood in the order of their grades."""
    indices = run.indices.copy()
    for row, query_id in enumerate(run.query_ids):
        grades = judgments.grades.get(query_id, {})
        found = [grades.get(run.document_ids[index], 0) if index >= 0 else -1 for index in indices[row].tolist()]
        indices[row] = indices[row, np.argsort(-np.array(found), kind="stable")]
    return ndcg(indices, tabulate(judgments, query_ids=run.query_ids, document_ids=run.document_ids))


def mean_with_interval(values: NDArray[np.float64], sampling: Sampling) -> Interval:
    """Return the mean of values between 0 and 1 (queries,) with its bootstrap interval."""
    low, high = bootstrap_intervals(
        values[:, None],
        confidence=sampling.confidence,
        resamples=sampling.resamples,
        seed=sampling.seed,
        bounds=(0.0, 1.0),
    )[0]
    return Interval(float(values.mean()), float(low), float(high))


def _score(name: str, run: Run, inputs: BaselineInputs) -> SystemScore:
    scores = score_run(run, inputs.judgments)
    recall = mean_with_interval(scores[_RECALL], inputs.sampling)
    return SystemScore(name, mean_with_interval(scores[NDCG], inputs.sampling), recall)


def _truncated(evidence: Evidence) -> float:
    return float(evidence.truncated_units.mean()) if len(evidence.truncated_units) else 0.0


def _duplicated(inputs: BaselineInputs) -> float:
    copies = sum(document.duplicate_of not in ("", document.id) for document in inputs.documents)
    return copies / max(1, len(inputs.documents))
