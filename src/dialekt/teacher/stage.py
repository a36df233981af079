"""The teacher stage: take or train a cross-encoder, ask dev whether it is better, correct and score the examples."""

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import TeacherConfig
from dialekt.config.teacher import TRAINED_HERE
from dialekt.errors import ConfigError
from dialekt.models.base import fetch_model
from dialekt.models.reranker import Reranker
from dialekt.store.atomic import write_atomic
from dialekt.store.tables import write_records
from dialekt.teacher.corrections import Corrected, correct
from dialekt.teacher.fit import fit
from dialekt.teacher.material import Material, read_material
from dialekt.teacher.records import STAGE_VERSION, Fitting, TeacherFacts, TeacherInputs
from dialekt.types import (
    DevComparison,
    HardNegative,
    Pair,
    Progress,
    ReportProgress,
    TeacherScore,
    no_progress,
)

__all__ = ["STAGE_VERSION", "run"]

PAIRS_PER_WINDOW = 50_000
FEW_DEV_QUERIES = 30


@dataclass(frozen=True, slots=True)
class _Teaching:
    """What the examples became, and how fast they were scored."""

    corrected: Corrected | None
    scored: int = 0
    pairs_per_second: float = 0.0


def run(
    config: TeacherConfig, inputs: TeacherInputs, out: Path, *, progress: ReportProgress = no_progress
) -> TeacherFacts:
    """Write `pairs.parquet`, `negatives.parquet` and `scores.parquet`: corrected by a teacher, or as they were.

    A teacher that does not beat the student on dev changes nothing; one that does is kept in `out/model`. A killed
    run continues from its last checkpoint and scored window. Raises `InputError` without a pair, `ModelError` for a
    model that is no cross-encoder, and KeyboardInterrupt after saving a checkpoint.
    """
    if config.model is None:
        raise ConfigError("teacher.model is unset", hint=f"name a cross-encoder, or set it to {TRAINED_HERE!r}")
    progress(Progress("reading pairs and negatives", 0))
    material = read_material(inputs)
    trained = _train_once(config, inputs, material, out, progress=progress) if config.model == TRAINED_HERE else None
    folder = out / "model" if trained else fetch_model(config.model, trust_remote_code=inputs.model.trust_remote_code)
    reranker = _load(config, inputs, folder)
    comparison = _compare_once(inputs, reranker, out, progress=progress)
    used = comparison.queries > 0 and comparison.low > config.minimum_gain
    teaching = _teach(config, material, reranker, out, progress=progress) if used else _Teaching(None)
    _write(material, teaching.corrected, out)
    _keep_model(folder, out, used=used)
    _remove_leftovers(out)
    return _facts(config, inputs, material, trained, comparison, teaching)


def _train_once(
    config: TeacherConfig, inputs: TeacherInputs, material: Material, out: Path, *, progress: ReportProgress
) -> Fitting:
    """Train, and keep what came of it until the end of the stage, so that a kill in between repeats no training."""
    path = out / "fitted.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Fitting(**stored | {"losses": tuple((step, loss) for step, loss in stored["losses"])})
    reranker = Reranker.untrained(
        inputs.model.base,
        device=inputs.model.device,
        max_tokens=config.max_tokens,
        trust_remote_code=inputs.model.trust_remote_code,
        seed=inputs.seed,
    )
    fitted = fit(config, reranker, material, seed=inputs.seed, folder=out / "checkpoints", progress=progress)
    shutil.rmtree(out / "model", ignore_errors=True)
    reranker.save(out / "model")
    write_atomic(path, json.dumps(asdict(fitted)))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return fitted


def _load(config: TeacherConfig, inputs: TeacherInputs, folder: Path) -> Reranker:
    return Reranker.load(
        str(folder),
        device=inputs.model.device,
        max_tokens=config.max_tokens,
        trust_remote_code=inputs.model.trust_remote_code,
    )


def _compare_once(inputs: TeacherInputs, reranker: Reranker, out: Path, *, progress: ReportProgress) -> DevComparison:
    path = out / "comparison.json"
    if path.is_file():
        return DevComparison(**json.loads(path.read_text(encoding="utf-8")))
    progress(Progress("comparing with the student on dev", 0))
    comparison = inputs.compare(
        lambda queries, documents, pairs: reranker.score(queries, documents, pairs, progress=progress)
    )
    write_atomic(path, json.dumps(asdict(comparison)))
    return comparison


def _teach(
    config: TeacherConfig, material: Material, reranker: Reranker, out: Path, *, progress: ReportProgress
) -> _Teaching:
    if not config.uses:
        return _Teaching(None)
    pairs = np.concatenate([material.pair_rows, material.negative_rows])
    started = time.monotonic()
    scores, fresh = _score_windows(material, reranker, pairs, out / "scored", progress=progress)
    speed = fresh / (time.monotonic() - started)
    return _Teaching(correct(config, material, scores), len(pairs), speed)


def _score_windows(
    material: Material, reranker: Reranker, pairs: NDArray[np.int64], folder: Path, *, progress: ReportProgress
) -> tuple[NDArray[np.float32], int]:
    """Return all scores and how many were made now; each window is kept, so that a kill repeats one at most."""
    folder.mkdir(exist_ok=True)
    windows, fresh = [], 0
    for start in range(0, len(pairs), PAIRS_PER_WINDOW):
        path = folder / f"{start}.npy"
        window = pairs[start : start + PAIRS_PER_WINDOW]
        if not path.is_file():
            partial = folder / f"{start}.partial.npy"
            np.save(
                partial, _score_window(material, reranker, window, before=start, total=len(pairs), progress=progress)
            )
            partial.replace(path)
            fresh += len(window)
        windows.append(np.load(path))
    return np.concatenate(windows), fresh


def _score_window(
    material: Material,
    reranker: Reranker,
    window: NDArray[np.int64],
    *,
    before: int,
    total: int,
    progress: ReportProgress,
) -> NDArray[np.float32]:
    """Score some pairs; only their texts are tokenised."""
    queries, query_rows = np.unique(window[:, 0], return_inverse=True)
    documents, document_rows = np.unique(window[:, 1], return_inverse=True)

    def report(step: Progress) -> None:
        if step.total == len(window):
            progress(Progress("scoring pairs and negatives", before + step.done, total))

    return reranker.score(
        [material.query_texts[row] for row in queries.tolist()],
        [material.document_texts[row] for row in documents.tolist()],
        np.stack([query_rows, document_rows], axis=1),  # (pairs, 2)
        progress=report,
    )


def _write(material: Material, corrected: Corrected | None, out: Path) -> None:
    pairs, negatives = (corrected.pairs, corrected.negatives) if corrected else (material.pairs, material.negatives)
    write_records(out / "pairs.parquet", pairs, Pair)
    write_records(out / "negatives.parquet", negatives, HardNegative)
    write_records(out / "scores.parquet", corrected.scores if corrected else (), TeacherScore)


def _keep_model(folder: Path, out: Path, *, used: bool) -> None:
    """Keep the weights of a teacher that is used: they are what can be served, and what made the scores."""
    kept = out / "model"
    if not used:
        shutil.rmtree(kept, ignore_errors=True)
    elif folder != kept:
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("onnx", "openvino", ".git", ".cache", "*.bin"))


def _remove_leftovers(out: Path) -> None:
    """Remove what only a resumed run needs."""
    for name in ("scored", "checkpoints"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("comparison.json", "fitted.json"):
        (out / name).unlink(missing_ok=True)


def _facts(
    config: TeacherConfig,
    inputs: TeacherInputs,
    material: Material,
    trained: Fitting | None,
    comparison: DevComparison,
    teaching: _Teaching,
) -> TeacherFacts:
    corrected = teaching.corrected
    name = inputs.model.base if trained else str(config.model)
    return TeacherFacts(
        model=Path(name).name if Path(name).expanduser().exists() else name,
        trained=trained,
        used=comparison.queries > 0 and comparison.low > config.minimum_gain,
        why=_why(config, comparison),
        uses=tuple(use.value for use in config.uses),
        student_ndcg=comparison.student_ndcg,
        teacher_ndcg=comparison.teacher_ndcg,
        gain=comparison.gain,
        low=comparison.low,
        high=comparison.high,
        queries=comparison.queries,
        depth=config.depth,
        pairs=len(corrected.pairs if corrected else material.pairs),
        negatives=len(corrected.negatives if corrected else material.negatives),
        added=sum(corrected.relabelled.values()) if corrected else 0,
        relabelled=corrected.relabelled if corrected else {},
        removed=corrected.dropped if corrected else {},
        fixed=corrected.fixed if corrected else 0,
        scored=teaching.scored,
        pairs_per_second=teaching.pairs_per_second,
        margins=corrected.margins if corrected else None,
        warnings=_warnings(comparison, trained),
    )


def _why(config: TeacherConfig, comparison: DevComparison) -> str:
    if not comparison.queries:
        return "there are no dev queries to compare it on"
    interval = f"{comparison.gain:+.3f} NDCG@10 on dev, interval {comparison.low:+.3f} to {comparison.high:+.3f}"
    if comparison.low > config.minimum_gain:
        return f"it ranks better than the student: {interval}"
    wanted = "zero" if config.minimum_gain == 0 else f"{config.minimum_gain:g}"
    return f"it is not proven to rank better than the student by more than {wanted}: {interval}"


def _warnings(comparison: DevComparison, trained: Fitting | None) -> tuple[str, ...]:
    warnings = []
    if comparison.queries < FEW_DEV_QUERIES:
        warnings.append(f"only {comparison.queries} dev queries: a better teacher may not be recognised")
    if trained and trained.shortened:
        warnings.append(f"the time limit ended the teacher's training after {trained.steps} steps")
    return tuple(warnings)
