"""What short vectors lose of full search's quality, wherever this project has measured it; nothing is measured here."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dialekt.config import Quantization
from dialekt.errors import DialektError
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.index_advice import ADVICE_NAME
from dialekt.flow.index_models import BASE, IndexedModel
from dialekt.flow.project import Project
from dialekt.flow.records import StageName
from dialekt.measures.shares import share_intervals
from dialekt.planning.records import Layout, Loss
from dialekt.store.manifest import MANIFEST_NAME, read_manifest
from dialekt.store.tables import read_records

if TYPE_CHECKING:
    from dialekt.evaluation.records import QueryScore


def known_losses(project: Project | None, model: IndexedModel, layouts: Sequence[Layout]) -> dict[str, Loss]:
    """Return the loss of every layout that was measured with this model, by the layout's name.

    What `dialekt index advise` measured counts before the evaluation's rows of smaller dimensions: those were searched
    alone, without the full vectors' order after it, so they lose more than an index does.
    """
    if project is None:
        return {}
    evaluation = _evaluation_of(project, model)
    system = "base" if model.reference == BASE else "tuned"
    found = losses_from_scores(evaluation, system, layouts) if evaluation else {}
    return found | losses_from_advice(project.artefacts / ADVICE_NAME, model, layouts)


def losses_from_advice(path: Path, model: IndexedModel, layouts: Sequence[Layout]) -> dict[str, Loss]:
    """Return what the last advice on an index of this model's space measured; nothing where there is none."""
    try:
        kept: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if kept["space"] != model.space:
            return {}
        points = {(int(one["dimensions"]), Quantization(one["quantization"])): one for one in kept["points"]}
        named = {one.name: points.get((one.searched, one.quantization)) for one in layouts if one.first_stage}
        return {name: _loss_of(point, kept) for name, point in named.items() if point is not None}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def losses_from_scores(evaluation: Path, system: str, layouts: Sequence[Layout]) -> dict[str, Loss]:
    """Return what fewer dimensions lost of NDCG@10 on the test queries of an evaluation, paired by query."""
    from dialekt.evaluation.records import QueryScore
    from dialekt.measures.metrics import NDCG

    try:
        rows = [row for row in read_records(evaluation / "scores.parquet", QueryScore) if row.metric == NDCG]
    except DialektError:
        return {}
    whole = _by_query(rows, system)
    found = {}
    for layout in layouts:
        cut = _by_query(rows, f"{system}@{layout.searched}")
        if layout.first_stage and layout.quantization is Quantization.NONE and cut and cut.keys() == whole.keys():
            found[layout.name] = _paired(cut, whole)
    return found


def _loss_of(point: Mapping[str, Any], kept: Mapping[str, Any]) -> Loss:
    value, low, high = (float(point[name]) for name in ("value", "low", "high"))
    times = float(point["oversampling"])
    origin = f"dialekt index advise, {kept['created'][:10]}, {times:g} candidates per result"
    return Loss(max(0.0, 1 - value), max(0.0, 1 - high), max(0.0, 1 - low), origin)


def _by_query(rows: "Sequence[QueryScore]", system: str) -> dict[str, float]:
    return {row.query_id: row.value for row in rows if row.system == system}


def _paired(cut: Mapping[str, float], whole: Mapping[str, float]) -> Loss:
    queries = sorted(whole)
    columns = (np.array([scores[query] for query in queries], dtype=np.float64) for scores in (cut, whole))
    scores, reference = columns
    share = share_intervals(scores[:, None], reference, seed=1)[0]
    origin = "the evaluation, these dimensions alone: an index that orders by full vectors loses less"
    return Loss(max(0.0, 1 - share.value), max(0.0, 1 - share.high), max(0.0, 1 - share.low), origin)


def _evaluation_of(project: Project, model: IndexedModel) -> Path | None:
    """Return the folder of the evaluation that measured a model; of the base model the last one."""
    from dialekt.registry.versions import load_version

    store = ArtefactStore(project.artefacts)
    if model.reference == BASE:
        return store.latest_folder(StageName.EVALUATION)
    try:
        wanted = load_version(project.config.registry.path, model.reference, check_files=False)
        manifests = (store.root / StageName.EVALUATION).glob(f"*/{MANIFEST_NAME}")
        folders = {read_manifest(path.parent).id: path.parent for path in manifests}
    except DialektError:
        return None
    return folders.get(wanted.lineage.artefacts.evaluation)
