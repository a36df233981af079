"""The training stage: examples, recipe, fit, mixture, tuned model folder."""

import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors.torch import load_model, save_model

from dialekt.config import TrainingConfig, TrainingMethod
from dialekt.models.contract import write_contract
from dialekt.models.document_encoder import keep_document_encoder
from dialekt.models.fitting import last_checkpoint
from dialekt.store.atomic import write_atomic
from dialekt.training.batches import Plan, plan_steps
from dialekt.training.facts import training_facts
from dialekt.training.fit import Fit, FitResult, fit
from dialekt.training.interpolation import SHARES
from dialekt.training.lora import merge_lora
from dialekt.training.mixing import Mixing, mix_weights, texts_asked_by_mixing
from dialekt.training.opening import Session, open_session
from dialekt.training.preparing import transformer_of
from dialekt.training.records import STAGE_VERSION, CurvePoint, TrainingFacts, TrainingInputs
from dialekt.training.start import score_with
from dialekt.training.trainer import ExampleSource, PlannedSteps, seconds_per_step
from dialekt.types import Progress, ReportProgress, no_progress

__all__ = ["STAGE_VERSION", "run"]


@dataclass(frozen=True, slots=True)
class Start:
    """What is measured once, before the first step, and kept so that a resumed run continues the same plan."""

    base_dev_ndcg: float
    seconds_per_step: float
    steps: int


def run(
    config: TrainingConfig, inputs: TrainingInputs, out: Path, *, progress: ReportProgress = no_progress
) -> TrainingFacts:
    """Tune the base model into `out/model`; checkpoints in `out/checkpoints` let a killed run continue.

    Raises `InputError` when there is nothing to train on, and KeyboardInterrupt after saving a checkpoint.
    """
    began = time.monotonic()
    session = open_session(config, inputs, out, progress)
    recipe = session.recipe
    source = ExampleSource(session.examples)
    plan = plan_steps(
        session.examples,
        batch_size=recipe.batch_size,
        queries_per_document=recipe.queries_per_document,
        epochs=recipe.epochs,
        seed=inputs.seed,
    )
    start = measure_start(session, source, plan)
    plan = replace(plan, steps=plan.steps[: start.steps])
    mine = None if inputs.remine is None else session.mine
    fitted = _fit_once(session, Fit(session.step, source, plan, recipe, session.score, mine, progress, inputs.watch))
    mixing = mix_weights(session, fitted, base_dev_ndcg=start.base_dev_ndcg)
    _save(session, mixing)
    seconds = time.monotonic() - began
    return training_facts(session, plan, fitted, mixing, base_dev_ndcg=start.base_dev_ndcg, seconds=seconds)


def measure_start(session: Session, source: ExampleSource, plan: Plan) -> Start:
    """Score the base on dev and time a few steps; shorten the plan to the time limit. Read back after a kill."""
    path = session.out / "start.json"
    if path.is_file() and (last_checkpoint(session.out / "checkpoints") or (session.out / "fitted.json").is_file()):
        return Start(**json.loads(path.read_text(encoding="utf-8")))
    session.progress(Progress("scoring the base model on dev", 0))
    began = time.monotonic()
    base = _score_partner(session)
    scoring_seconds = time.monotonic() - began
    seconds, steps = 0.0, len(plan.steps)
    if session.config.time_limit_minutes is not None:
        session.progress(Progress("timing a few steps", 0))
        dataset = PlannedSteps(source, plan, session.recipe, pad_id=0, seed=session.inputs.seed)
        samples = [dataset.batch(index) for index in range(min(3, steps))]
        seconds = seconds_per_step(session.step, samples, session.encoder.model.device)
        steps = max(1, min(steps, int(_seconds_for_steps(session, scoring_seconds) / seconds)))
    start = Start(base, seconds, steps)
    write_atomic(path, json.dumps(asdict(start)))
    return start


def _score_partner(session: Session) -> float:
    """Score what the tuned weights are mixed with: the base model, or the adapted one that training starts from."""
    if session.inputs.start is None:
        return session.score()
    return score_with(session.encoder.model, session.partner.weights, session.score)


def _fit_once(session: Session, run: Fit) -> FitResult:
    """Fit, and keep result and weights until the mixture is chosen, so that a kill in between repeats no training."""
    result_path, weights_path = session.out / "fitted.json", session.out / "fitted.safetensors"
    if result_path.is_file():
        _merge(session)
        load_model(session.encoder.model, weights_path)
        stored = json.loads(result_path.read_text(encoding="utf-8"))
        return FitResult(**stored | {"curve": tuple(CurvePoint(**point) for point in stored["curve"])})
    fitted = fit(run, session.config, seed=session.inputs.seed, folder=session.out / "checkpoints")
    _merge(session)
    save_model(session.encoder.model, str(weights_path))
    write_atomic(result_path, json.dumps(asdict(fitted)))
    return fitted


def _merge(session: Session) -> None:
    """Merge low-rank matrices, so that from here on the model has the weights of every other."""
    transformer = transformer_of(session.encoder)
    if session.config.method is TrainingMethod.LORA and transformer is not None:
        merge_lora(transformer)


def _seconds_for_steps(session: Session, scoring_seconds: float) -> float:
    """Return what dev scores and general queries, asked of all mixtures, leave of the limit; at least half of it."""
    assert session.config.time_limit_minutes is not None
    limit = session.config.time_limit_minutes * 60
    scores: float = session.recipe.evaluations
    if session.config.interpolate:
        scores += len(SHARES) + texts_asked_by_mixing(session) / max(session.inputs.dev_texts, 1)
    return max(limit / 2, limit - scores * scoring_seconds)


def _save(session: Session, mixing: Mixing) -> None:
    folder = session.out / "model"
    shutil.rmtree(folder, ignore_errors=True)
    session.encoder.model.save_pretrained(str(folder), create_model_card=False)
    contract, model = session.encoder.contract, session.inputs.model
    write_contract(folder, contract)
    if contract.document_model:
        keep_document_encoder(model.base, model, contract, folder)
    write_atomic(
        session.out / "interpolation.json", json.dumps([asdict(mixture) for mixture in mixing.tried], indent=2)
    )
    _remove_leftovers(session.out)


def _remove_leftovers(out: Path) -> None:
    """Remove what only a resumed run needs; renamed first, so that a kill leaves no half of a checkpoint behind."""
    finished = out / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    if (out / "checkpoints").is_dir():
        (out / "checkpoints").rename(finished)
    for name in ("fitted.json", "fitted.safetensors", "start.json"):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(finished, ignore_errors=True)
