"""The adaptation stage: each method from what was kept before it, each kept only if dev says so."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.adaptation.deciding import NOTHING_TO_LEARN, decide, unasked
from dialekt.adaptation.methods import CHECKPOINTS_NAME, adapt
from dialekt.adaptation.passages import read_texts
from dialekt.adaptation.records import (
    STAGE_VERSION,
    START_NAME,
    AdaptationFacts,
    AdaptationInputs,
    Derived,
    Fitting,
    Judge,
    LossPoint,
    MethodFacts,
)
from dialekt.config import AdaptationConfig, AdaptationMethod
from dialekt.errors import ConfigError
from dialekt.models.base import describe_model
from dialekt.store.atomic import write_atomic
from dialekt.types import Progress, ReportProgress, no_progress

__all__ = ["STAGE_VERSION", "run"]

FEW_DEV_QUERIES = 30
_WORK = "methods"
_BASE = "base"


@dataclass(frozen=True, slots=True)
class _Session:
    """Everything that one run of the stage works with."""

    config: AdaptationConfig
    inputs: AdaptationInputs
    texts: list[str]
    out: Path
    progress: ReportProgress

    def folder(self, name: str) -> Path:
        """Return where a method, or the base model, leaves what a resumed run reads."""
        return self.out / _WORK / name


def run(
    config: AdaptationConfig, inputs: AdaptationInputs, out: Path, *, progress: ReportProgress = no_progress
) -> AdaptationFacts:
    """Write `out/model`, the base model as the kept methods left it, or nothing where none is kept.

    `out/start.json` says which of both it is. A killed run continues from its last checkpoint, finished method or
    score. Without dev queries nothing is trained unless everything is to be kept. Raises `InputError` without a
    document, `ModelError` for a model that cannot learn that way, KeyboardInterrupt after saving a checkpoint.
    """
    if not config.methods:
        raise ConfigError("adaptation.methods is empty", hint="name 'mlm', 'tsdae' or 'vocabulary'")
    began = time.monotonic()
    progress(Progress("reading documents", 0))
    session = _Session(config, inputs, read_texts(inputs.corpus, seed=inputs.seed), out, progress)
    kept: Path | None = None
    found: list[MethodFacts] = []
    for method in config.methods:
        facts = _try(session, method, kept)
        found.append(facts)
        kept = session.folder(method) / "model" if facts.verdict.kept else kept
    _publish(session, kept)
    return _facts(session, found, seconds=time.monotonic() - began)


def _try(session: _Session, method: AdaptationMethod, start: Path | None) -> MethodFacts:
    """Adapt by one method and ask dev, both once: a resumed run reads what was found before."""
    judge = session.inputs.judge
    verdict = unasked(session.config)
    if judge is None and not verdict.kept:
        return MethodFacts(method.value, None, verdict)
    fitted = _fit_once(session, method, start)
    if fitted is None:
        return MethodFacts(method.value, None, NOTHING_TO_LEARN)
    if judge is not None:
        before = _score_once(session, judge, start, start.parent.name if start else _BASE)
        after = _score_once(session, judge, session.folder(method) / "model", method.value)
        verdict = decide(session.config, before, after, judged_by=judge.kind, seed=session.inputs.seed)
    return MethodFacts(method.value, fitted, verdict)


def _fit_once(session: _Session, method: AdaptationMethod, start: Path | None) -> Fitting | None:
    folder = session.folder(method)
    path = folder / "fitted.json"
    if path.is_file():
        return _fitting_of(json.loads(path.read_text(encoding="utf-8")))
    fitted = adapt(
        session.config,
        method,
        session.inputs,
        str(start or session.inputs.model.base),
        session.texts,
        folder=folder,
        progress=session.progress,
    )
    if fitted is not None:
        write_atomic(path, json.dumps(asdict(fitted)))
        shutil.rmtree(folder / CHECKPOINTS_NAME, ignore_errors=True)
    return fitted


def _fitting_of(stored: Mapping[str, Any]) -> Fitting:
    losses = tuple(LossPoint(**point) for point in stored["losses"])
    derived = {name: Derived(**choice) for name, choice in stored["derived"].items()}
    return Fitting(**{**stored, "losses": losses, "derived": derived})


def _score_once(session: _Session, judge: Judge, model: Path | None, name: str) -> NDArray[np.float64]:
    """Ask dev, and keep the answers (queries,)."""
    path = session.folder(name) / "scores.json"
    if not path.is_file():
        session.progress(Progress(f"asking dev: {name}", 0))
        scores = judge.scores(model, session.folder(name) / "probe", session.progress)
        write_atomic(path, json.dumps(scores.tolist()))
        shutil.rmtree(session.folder(name) / "probe", ignore_errors=True)
    return np.array(json.loads(path.read_text(encoding="utf-8")), dtype=np.float64)


def _publish(session: _Session, kept: Path | None) -> None:
    """Put the model that was kept in its place, and remove what only a resumed run needs.

    Renamed first, so that a kill leaves no half of it behind.
    """
    model, work = session.out / "model", session.out / _WORK
    shutil.rmtree(model, ignore_errors=True)
    if kept is not None:
        shutil.copytree(kept, model)
    start = {"model": describe_model(str(model)) if kept else ""}
    write_atomic(session.out / START_NAME, json.dumps(start))
    finished = session.out / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    if work.is_dir():
        work.rename(finished)
    shutil.rmtree(finished, ignore_errors=True)


def _facts(session: _Session, found: list[MethodFacts], *, seconds: float) -> AdaptationFacts:
    judge = session.inputs.judge
    return AdaptationFacts(
        documents=len(session.texts),
        judged_by=judge.kind.value if judge else "",
        queries=judge.queries if judge else 0,
        confidence=session.config.confidence,
        methods=tuple(found),
        kept=tuple(one.method for one in found if one.verdict.kept),
        seconds=seconds,
        derived=_derived(found),
        warnings=_warnings(judge, found),
    )


def _derived(found: list[MethodFacts]) -> dict[str, Derived]:
    """Return what was derived; of a setting that several methods derived, the values of all."""
    by_name: dict[str, dict[str, Derived]] = {}
    for one in found:
        for name, choice in (one.fitted.derived if one.fitted else {}).items():
            by_name.setdefault(name, {})[one.method] = choice
    return {name: _joined(choices) for name, choices in by_name.items()}


def _joined(choices: Mapping[str, Derived]) -> Derived:
    if len(choices) == 1:
        return next(iter(choices.values()))
    values = ", ".join(f"{choice.value} ({method})" for method, choice in choices.items())
    return Derived(values, "; ".join(dict.fromkeys(choice.why for choice in choices.values())))


def _warnings(judge: Judge | None, found: list[MethodFacts]) -> tuple[str, ...]:
    warnings = [
        f"the time limit ended {one.method!r} after {one.fitted.steps} steps"
        for one in found
        if one.fitted and one.fitted.shortened
    ]
    if judge is None:
        warnings.append(_unasked_warning(found))
    elif judge.queries < FEW_DEV_QUERIES:
        warnings.append(f"only {judge.queries} dev queries: an adaptation that helps may not be recognised")
    return tuple(warnings)


def _unasked_warning(found: list[MethodFacts]) -> str:
    """Say what follows from there being no dev queries."""
    if any(one.verdict.kept for one in found):
        return "no dev query has judged this model: judge some results before you serve it"
    return "nothing was adapted: there are no dev queries, and adaptation.keep is 'dev'"
