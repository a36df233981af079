"""What a training run reports: counts, speed, scores, what was derived, warnings."""

from dialekt.config import TrainingMethod
from dialekt.training.batches import Plan
from dialekt.training.fit import FitResult
from dialekt.training.mixing import LARGEST_SHARE_BY_MADE_QUERIES, Mixing
from dialekt.training.opening import Session
from dialekt.training.records import Derived, TrainingFacts

FEW_STEPS = 20


def training_facts(
    session: Session, plan: Plan, fitted: FitResult, mixing: Mixing, *, base_dev_ndcg: float, seconds: float
) -> TrainingFacts:
    recipe = session.recipe
    pairs_done = sum(len(step) for step in plan.steps[: fitted.steps])
    training_seconds = max((point.seconds for point in fitted.curve), default=fitted.seconds) or fitted.seconds
    return TrainingFacts(
        method=(session.config.method or TrainingMethod.FULL).value,
        side=session.config.side.value,
        trained_weights=session.trained_weights,
        pairs=len(session.examples.pair_query),
        queries=len(session.examples.query_ids),
        steps=fitted.steps,
        epochs=fitted.steps / plan.steps_per_epoch,
        batch_size=recipe.batch_size,
        queries_per_document=recipe.queries_per_document,
        learning_rate=recipe.learning_rate,
        precision=recipe.precision.value,
        device=session.encoder.model.device.type,
        loss=session.step.objective.title,
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


def _derived(session: Session, plan: Plan) -> dict[str, Derived]:
    derived = dict(session.recipe.derived)
    if len(plan.steps) < round(plan.steps_per_epoch * session.recipe.epochs):
        why = f"{session.config.time_limit_minutes:g} minutes of training at the measured speed"
        derived["steps"] = Derived(len(plan.steps), why)
    if session.inputs.made_dev_queries and session.config.interpolate and session.config.max_tuned_share is None:
        why = "the dev queries were made like the training queries: they cannot see what is forgotten of real ones"
        derived["max_tuned_share"] = Derived(LARGEST_SHARE_BY_MADE_QUERIES, why)
    return derived


def _warnings(session: Session, fitted: FitResult, mixing: Mixing) -> tuple[str, ...]:
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


def _forgetting(session: Session, mixing: Mixing) -> str:
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
