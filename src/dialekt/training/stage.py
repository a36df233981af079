"""The training stage: examples, recipe, fit, mixture, tuned model folder."""

import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import assert_never

from safetensors.torch import load_model, save_model

from dialekt.config import Distillation, ModelConfig, Precision, TrainingConfig, TunedSide
from dialekt.errors import ConfigError, InputError
from dialekt.models.base import describe_model
from dialekt.models.contract import EncodingContract, write_contract
from dialekt.models.document_encoder import keep_document_encoder
from dialekt.models.encoder import Encoder
from dialekt.models.fitting import disable_dropout, last_checkpoint
from dialekt.models.machine import device_memory_bytes, fastest_precision
from dialekt.models.vectors import load_vectors
from dialekt.store.atomic import write_atomic
from dialekt.store.tables import read_records
from dialekt.training.batches import Plan, plan_steps
from dialekt.training.derive import Machine, Recipe, derive_recipe
from dialekt.training.examples import Examples, Tokenise, build_examples
from dialekt.training.fit import Fit, FitResult, fit
from dialekt.training.interpolation import SHARES, GeneralLimit, choose_mixture
from dialekt.training.records import STAGE_VERSION, CurvePoint, Derived, Mixture, TrainingFacts, TrainingInputs
from dialekt.training.start import Partner, mixing_partner, score_with
from dialekt.training.trainer import (
    ExampleSource,
    Objective,
    PlannedSteps,
    RankingStep,
    seconds_per_step,
)
from dialekt.types import (
    Document,
    HardNegative,
    Pair,
    Progress,
    Qrel,
    Query,
    ReportProgress,
    Role,
    TeacherScore,
    no_progress,
)

__all__ = ["STAGE_VERSION", "run"]

FEW_STEPS = 20
LARGEST_SHARE_BY_MADE_QUERIES = 0.5


@dataclass(frozen=True, slots=True)
class _Start:
    """What is measured once, before the first step, and kept so that a resumed run continues the same plan."""

    base_dev_ndcg: float
    seconds_per_step: float
    steps: int


@dataclass(frozen=True, slots=True)
class _Mixing:
    """The mixtures of base and tuned weights that dev has scored, and the one that the model now is."""

    tried: list[Mixture]
    chosen: Mixture


@dataclass(frozen=True, slots=True)
class _Session:
    """Everything that one run of the stage works with."""

    config: TrainingConfig
    inputs: TrainingInputs
    out: Path
    encoder: Encoder
    partner: Partner
    examples: Examples
    recipe: Recipe
    step: RankingStep
    progress: ReportProgress

    def score(self) -> float:
        """Score the model as it is now on the dev queries."""
        return self.inputs.score_dev(self.encoder.encode)

    def mine(self) -> list[HardNegative]:
        """Mine hard negatives with the model as it is now."""
        assert self.inputs.remine is not None
        return self.inputs.remine(self.encoder.encode)


def run(
    config: TrainingConfig, inputs: TrainingInputs, out: Path, *, progress: ReportProgress = no_progress
) -> TrainingFacts:
    """Tune the base model into `out/model`; checkpoints in `out/checkpoints` let a killed run continue.

    Raises `InputError` when there is nothing to train on, and KeyboardInterrupt after saving a checkpoint.
    """
    began = time.monotonic()
    session = _open(config, inputs, out, progress)
    recipe = session.recipe
    source = ExampleSource(session.examples)
    plan = plan_steps(
        session.examples,
        batch_size=recipe.batch_size,
        queries_per_document=recipe.queries_per_document,
        epochs=recipe.epochs,
        seed=inputs.seed,
    )
    start = _measure_start(session, source, plan)
    plan = replace(plan, steps=plan.steps[: start.steps])
    mine = None if inputs.remine is None else session.mine
    fitted = _fit_once(session, Fit(session.step, source, plan, recipe, session.score, mine, progress))
    mixing = _mix(session, fitted, base_dev_ndcg=start.base_dev_ndcg)
    _save(session, mixing)
    seconds = time.monotonic() - began
    return _facts(session, plan, fitted, mixing, base_dev_ndcg=start.base_dev_ndcg, seconds=seconds)


def prepare_model(encoder: Encoder) -> None:
    """Make a model fast to train: no dropout, and on a CPU the plain attention.

    The backward pass of the CPU's fused attention kernel takes 38% of a step (docs/experiments.md).
    """
    disable_dropout(encoder.model)
    transformer = getattr(encoder.model[0], "auto_model", None)
    if transformer is not None and encoder.model.device.type == "cpu":
        transformer.set_attn_implementation("eager")


def _open(config: TrainingConfig, inputs: TrainingInputs, out: Path, progress: ReportProgress) -> _Session:
    progress(Progress("reading training data", 0))
    loaded = Encoder.load(str(inputs.start or inputs.model.base), inputs.model, precision=Precision.FP32)
    encoder = Encoder.of(loaded.model, _tuned_contract(loaded.contract, inputs.model, side=config.side))
    partner = mixing_partner(inputs, encoder.model)
    prepare_model(encoder)
    examples = _read_examples(inputs, encoder)
    device = encoder.model.device.type
    recipe = derive_recipe(
        config,
        examples,
        machine=Machine(device, fastest_precision(device), device_memory_bytes(device)),
        max_tokens=encoder.contract.max_tokens,
        hidden_numbers=_hidden_numbers(encoder),
    )
    examples = examples.cut(max_query_tokens=recipe.max_query_tokens, max_document_tokens=recipe.max_document_tokens)
    objective = Objective(
        dimensions=encoder.contract.matryoshka_dimensions or (encoder.contract.dimension,),
        temperature=config.temperature,
        distillation=config.distillation,
        distillation_weight=config.distillation_weight if len(examples.teacher_scores) else 0.0,
    )
    step = RankingStep(encoder.model, objective=objective, recipe=recipe)
    return _Session(config, inputs, out, encoder, partner, examples, recipe, step, progress)


def _tuned_contract(contract: EncodingContract, model: ModelConfig, *, side: TunedSide) -> EncodingContract:
    """Return the contract of the tuned model: which model encodes its documents is written there."""
    match side:
        case TunedSide.QUERY:
            base_id = describe_model(model.base, trust_remote_code=model.trust_remote_code)
            return replace(contract, document_model=contract.document_model or base_id)
        case TunedSide.BOTH if contract.document_model:
            raise ConfigError(
                f"model.base = {model.base!r} encodes queries only: its documents are encoded by another model",
                hint='set training.side = "query", or start from a model that encodes both',
            )
        case TunedSide.BOTH:
            return contract
        case _:
            assert_never(side)


def _read_examples(inputs: TrainingInputs, encoder: Encoder) -> Examples:
    pairs = read_records(inputs.pairs / "pairs.parquet", Pair)
    if not pairs:
        raise InputError("there is no training pair", hint="lower pairs.minimum_grade, or give more judgments")
    examples = build_examples(
        read_records(inputs.corpus / "documents.parquet", Document),
        read_records(inputs.split / "queries.parquet", Query),
        pairs,
        read_records(inputs.negatives / "negatives.parquet", HardNegative),
        tokenise=encoder.token_ids if inputs.document_vectors is None else _queries_only(encoder),
        qrels=read_records(inputs.split / "qrels.parquet", Qrel),
        scores=read_records(inputs.teacher / "scores.parquet", TeacherScore) if inputs.teacher else [],
        keep_all_documents=inputs.remine is not None,
    )
    return examples if inputs.document_vectors is None else examples.freeze(load_vectors(inputs.document_vectors))


def _queries_only(encoder: Encoder) -> Tokenise:
    """Return a function that leaves documents without tokens: they have their vectors."""
    return lambda texts, role: encoder.token_ids(texts, role) if role is Role.QUERY else [[]] * len(texts)


def _hidden_numbers(encoder: Encoder) -> int:
    """Return layers × hidden width, for the memory of activations; a static model has one layer."""
    settings = getattr(getattr(encoder.model[0], "auto_model", None), "config", None)
    layers = int(getattr(settings, "num_hidden_layers", 1))
    return layers * int(getattr(settings, "hidden_size", encoder.contract.dimension))


def _measure_start(session: _Session, source: ExampleSource, plan: Plan) -> _Start:
    """Score the base on dev and time a few steps; shorten the plan to the time limit. Read back after a kill."""
    path = session.out / "start.json"
    if path.is_file() and (last_checkpoint(session.out / "checkpoints") or (session.out / "fitted.json").is_file()):
        return _Start(**json.loads(path.read_text(encoding="utf-8")))
    session.progress(Progress("scoring the base model on dev", 0))
    began = time.monotonic()
    base = score_with(session.encoder.model, session.partner.weights, session.score)
    scoring_seconds = time.monotonic() - began
    seconds, steps = 0.0, len(plan.steps)
    if session.config.time_limit_minutes is not None:
        session.progress(Progress("timing a few steps", 0))
        dataset = PlannedSteps(source, plan, session.recipe, pad_id=0, seed=session.inputs.seed)
        samples = [dataset.batch(index) for index in range(min(3, steps))]
        seconds = seconds_per_step(session.step, samples, session.encoder.model.device)
        steps = max(1, min(steps, int(_seconds_for_steps(session, scoring_seconds) / seconds)))
    start = _Start(base, seconds, steps)
    write_atomic(path, json.dumps(asdict(start)))
    return start


def _fit_once(session: _Session, run: Fit) -> FitResult:
    """Fit, and keep result and weights until the mixture is chosen, so that a kill in between repeats no training."""
    result_path, weights_path = session.out / "fitted.json", session.out / "fitted.safetensors"
    if result_path.is_file():
        load_model(session.encoder.model, weights_path)
        stored = json.loads(result_path.read_text(encoding="utf-8"))
        return FitResult(**stored | {"curve": tuple(CurvePoint(**point) for point in stored["curve"])})
    fitted = fit(run, session.config, seed=session.inputs.seed, folder=session.out / "checkpoints")
    save_model(session.encoder.model, str(weights_path))
    write_atomic(result_path, json.dumps(asdict(fitted)))
    return fitted


def _seconds_for_steps(session: _Session, scoring_seconds: float) -> float:
    """Return what dev scores and general queries, asked of all mixtures, leave of the limit; at least half of it."""
    assert session.config.time_limit_minutes is not None
    limit = session.config.time_limit_minutes * 60
    scores: float = session.recipe.evaluations + (len(SHARES) if session.config.interpolate else 0)
    if session.config.interpolate and session.inputs.general is not None:
        asked = sum(share <= _largest_share(session) for share in (*SHARES, 1.0))
        scores += asked * session.inputs.general.texts / max(session.inputs.dev_texts, 1)
    return max(limit / 2, limit - scores * scoring_seconds)


def _mix(session: _Session, fitted: FitResult, *, base_dev_ndcg: float) -> _Mixing:
    known = [Mixture(0.0, base_dev_ndcg), Mixture(1.0, fitted.best_dev_ndcg)]
    if not session.config.interpolate:
        return _Mixing(known[1:], known[1])
    mixtures, chosen = choose_mixture(
        session.encoder.model,
        session.partner.weights,
        score=session.score,
        known=known,
        most=_largest_share(session),
        general=_general_limit(session),
        on_score=lambda done, total: session.progress(Progress("mixing base and tuned weights", done, total)),
    )
    return _Mixing(mixtures, chosen)


def _general_limit(session: _Session) -> GeneralLimit | None:
    """Return how a mixture is asked general queries, and the least it must reach on them."""
    guard = session.inputs.general
    if guard is None:
        return None

    def score() -> float:
        session.progress(Progress("asking general queries", 0))
        return guard.score(session.encoder.encode)

    return GeneralLimit(score, guard.base_ndcg if session.partner.is_base else None, guard.base_ndcg - guard.max_loss)


def _largest_share(session: _Session) -> float:
    """Return how much of the tuned weights the mixture may have.

    Made dev queries are like made training queries: they miss what is forgotten of real ones (docs/experiments.md).
    """
    given = session.config.max_tuned_share
    if given is not None:
        return given
    return LARGEST_SHARE_BY_MADE_QUERIES if session.inputs.made_dev_queries else 1.0


def _save(session: _Session, mixing: _Mixing) -> None:
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


def _facts(
    session: _Session, plan: Plan, fitted: FitResult, mixing: _Mixing, *, base_dev_ndcg: float, seconds: float
) -> TrainingFacts:
    recipe = session.recipe
    pairs_done = sum(len(step) for step in plan.steps[: fitted.steps])
    training_seconds = max((point.seconds for point in fitted.curve), default=fitted.seconds) or fitted.seconds
    return TrainingFacts(
        side=session.config.side.value,
        pairs=len(session.examples.pair_query),
        queries=len(session.examples.query_ids),
        steps=fitted.steps,
        epochs=fitted.steps / plan.steps_per_epoch,
        batch_size=recipe.batch_size,
        queries_per_document=recipe.queries_per_document,
        learning_rate=recipe.learning_rate,
        precision=recipe.precision.value,
        device=session.encoder.model.device.type,
        loss=_name_of(session.step.objective),
        hard_negatives=recipe.hard_negatives,
        teacher_scores=len(session.examples.teacher_scores),
        max_query_tokens=recipe.max_query_tokens,
        max_document_tokens=recipe.max_document_tokens,
        seconds=seconds,
        pairs_per_second=pairs_done / training_seconds,
        base_dev_ndcg=base_dev_ndcg,
        best_dev_ndcg=mixing.chosen.dev_ndcg,
        best_step=fitted.best_step,
        interpolation=mixing.chosen.share,
        mixtures=tuple(mixing.tried),
        stopped_early=fitted.stopped_early,
        resumed=fitted.resumed,
        derived=_derived(session, plan),
        curve=fitted.curve,
        warnings=_warnings(session, fitted, mixing),
    )


def _name_of(objective: Objective) -> str:
    """Say in words what was minimised."""
    taught = ""
    if objective.distillation_weight:
        kind = {Distillation.LISTWISE: "listwise KL", Distillation.MARGIN_MSE: "MarginMSE"}[objective.distillation]
        taught = f" and {kind} towards the teacher ({objective.distillation_weight:.0%})"
    return f"multiple negatives ranking{taught} inside Matryoshka {list(objective.dimensions)}"


def _derived(session: _Session, plan: Plan) -> dict[str, Derived]:
    derived = dict(session.recipe.derived)
    if len(plan.steps) < round(plan.steps_per_epoch * session.recipe.epochs):
        why = f"{session.config.time_limit_minutes:g} minutes of training at the measured speed"
        derived["steps"] = Derived(len(plan.steps), why)
    if session.inputs.made_dev_queries and session.config.interpolate and session.config.max_tuned_share is None:
        why = "the dev queries were made like the training queries: they cannot see what is forgotten of real ones"
        derived["max_tuned_share"] = Derived(LARGEST_SHARE_BY_MADE_QUERIES, why)
    return derived


def _warnings(session: _Session, fitted: FitResult, mixing: _Mixing) -> tuple[str, ...]:
    warnings = []
    if fitted.steps < FEW_STEPS:
        warnings.append(f"only {fitted.steps} training steps: expect little change")
    forgetting = _forgetting(session, mixing)
    if forgetting:
        warnings.append(forgetting)
    elif mixing.chosen.share == 0.0:
        other = "the base" if session.partner.is_base else "the adapted base"
        warnings.append(f"no mixture beat {other} model on dev: the tuned model equals {other}")
    return tuple(warnings)


def _forgetting(session: _Session, mixing: _Mixing) -> str:
    """Say which mixture was better on dev and had forgotten too much, the empty text where none had."""
    guard, chosen = session.inputs.general, mixing.chosen
    refused = [one for one in mixing.tried if one.general_ndcg is not None and one.share != chosen.share]
    if guard is None or not refused:
        return ""
    best = max(refused, key=lambda one: (one.dev_ndcg, one.share))
    assert best.general_ndcg is not None
    return (
        f"{best.share:.0%} of the tuned weights did best on dev ({best.dev_ndcg:.3f} against "
        f"{chosen.dev_ndcg:.3f}) but lost {guard.base_ndcg - best.general_ndcg:.3f} NDCG@10 on general queries, more "
        f"than evaluation.max_general_loss = {guard.max_loss:g}: {chosen.share:.0%} were taken"
    )
