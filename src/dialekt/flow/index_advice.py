"""Which first stage suits the live release: measured on its own vectors and the project's own queries."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dialekt.flow.clock import now
from dialekt.flow.indexing import IndexWorks
from dialekt.flow.release_gate import GateQueries, gate_queries, score_ids
from dialekt.index.advising import MAX_QUERIES, Advice, Score, advise, held_vectors, one_per_stage
from dialekt.index.records import Release
from dialekt.store.atomic import write_atomic
from dialekt.types import Role

ADVICE_NAME = "index_advice.json"


def advise_release(works: IndexWorks, release: Release) -> Advice:
    """Measure every first stage on a release's vectors, and recommend one. Raises `InputError` for too few queries.

    What each first stage keeps is written down beside the project's artefacts, where a capacity plan finds it.
    """
    opened, model = works.opened, works.model_of(release)
    ids, vectors = held_vectors(opened.engine(release.index))
    queries = gate_queries(works.project, opened.documents, most=MAX_QUERIES)
    advice = advise(
        vectors,
        works.embed(model)(queries.texts, Role.QUERY),
        ids=ids,
        dimensions=model.contract.matryoshka_dimensions,
        score=_score(works, ids, queries) if queries.judgments else None,
        target=works.config.target,
        seed=works.project.config.project.seed,
        progress=works.progress,
    )
    space = works.catalogue.version(release.index).space
    write_atomic(works.project.artefacts / ADVICE_NAME, _kept(advice, space))
    return advice


def _kept(advice: Advice, space: str) -> str:
    """Return what each first stage keeps of full search's quality as the text of a file."""
    points = [
        {
            "dimensions": point.first_stage.dimensions,
            "quantization": point.first_stage.quantization.value,
            "oversampling": point.oversampling,
            "value": point.confirmed.value,
            "low": point.confirmed.low,
            "high": point.confirmed.high,
        }
        for point in one_per_stage(advice.points, advice.target)
    ]
    kept = {"space": space, "metric": advice.metric, "documents": advice.documents, "created": now(), "points": points}
    return json.dumps(kept, indent=2) + "\n"


def _score(works: IndexWorks, ids: Sequence[str], queries: GateQueries) -> Score:
    """Return NDCG@10 of rankings of units: a document is where its best unit is."""
    documents = {unit: entry.document for unit, entry in works.opened.documents.snapshot().entries.items()}
    known = {unit: documents.get(unit, unit) for unit in ids}

    def score(rows: Sequence[int], rankings: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        chosen = replace(
            queries, ids=tuple(queries.ids[row] for row in rows), texts=tuple(queries.texts[row] for row in rows)
        )
        return score_ids([[known[unit] for unit in ranking] for ranking in rankings], chosen)

    return score
