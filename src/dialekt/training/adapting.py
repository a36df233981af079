"""The training stage where the base model's weights stay, or are out of reach: maps on its vectors.

Reads the base model's vectors, which the journey has made already, and writes the same artefact as full tuning: a
model folder and facts. Nothing is encoded, so it takes seconds to minutes on a CPU.
"""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from dialekt.config import (
    AdapterConfig,
    AdapterKind,
    Precision,
    TrainingConfig,
    TrainingMethod,
    TunedSide,
)
from dialekt.errors import InputError
from dialekt.models.adapter_folder import Maps as FrozenMaps
from dialekt.models.contract import EncodingContract
from dialekt.models.machine import choose_device
from dialekt.models.vectors import load_vectors
from dialekt.store.atomic import write_atomic
from dialekt.store.tables import read_records
from dialekt.training.adapting_batches import VectorSource
from dialekt.training.adapting_fit import MapFit, MapResult, fit_maps
from dialekt.training.adapting_modules import MapModule, Maps
from dialekt.training.adapting_recipe import TRIAL_SHARE, AdapterRecipe, Candidate, check_settings, derive_adapter
from dialekt.training.examples import Examples, build_examples
from dialekt.training.interpolation import GeneralLimit, choose_mixture
from dialekt.training.mixing import LARGEST_SHARE_BY_MADE_QUERIES, largest_share
from dialekt.training.objective import Objective, choose_terms, wants_grades
from dialekt.training.opening import with_spaces
from dialekt.training.records import Derived, EncodeFunction, Mixture, TrainingFacts, TrainingInputs
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

TIMED_STEPS = 5

SaveModel = Callable[[FrozenMaps, Path], None]
"""Writes what was learnt as a model folder, with the base that it needs."""


@dataclass(frozen=True, slots=True)
class AdaptingInputs:
    """What full tuning is given (`training`), and what only an adapter needs.

    `vectors` is the folder of the base model's vectors of all documents and queries; `encode` returns those of the
    texts by which dev and general queries are scored. `contract` is the base model's. `barred` are documents that are
    no negatives, since only held-out queries know them. `save` writes the model.
    """

    training: TrainingInputs
    contract: EncodingContract
    vectors: Path
    encode: EncodeFunction
    barred: frozenset[str]
    save: SaveModel


@dataclass(frozen=True, slots=True)
class Trial:
    """A short training of a candidate, and how well it ranked dev."""

    learning_rate: float
    strength: float
    dev_ndcg: float
    seconds_per_step: float


@dataclass(frozen=True, slots=True, eq=False)
class _Session:
    """Everything that one run of the stage works with."""

    config: TrainingConfig
    inputs: AdaptingInputs
    out: Path
    examples: Examples
    recipe: AdapterRecipe
    fit: MapFit

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return the vectors of texts, moved by the maps as they are now."""
        return encode_with(self.fit.maps, self.inputs.encode, texts, role)


def run(
    config: TrainingConfig,
    adapter: AdapterConfig,
    inputs: AdaptingInputs,
    out: Path,
    *,
    progress: ReportProgress = no_progress,
) -> TrainingFacts:
    """Learn maps into `out/model`; the files in `out/trying` and `out/fitting` let a killed run go on.

    Raises `InputError` when there is nothing to train on, `ConfigError` for settings that do nothing here, and
    KeyboardInterrupt when told to stop.
    """
    began = time.monotonic()
    check_settings(config, adapter)
    session = _open(config, adapter, inputs, out, progress)
    base = session.fit.score()
    trials = _try_all(session)
    best = max(trials, key=lambda trial: trial.dev_ndcg)
    candidate = Candidate(best.learning_rate, best.strength)
    steps = _steps_in_time(session, best, spent=time.monotonic() - began)
    fitted = fit_maps(session.fit, candidate, steps=steps, folder=out / "fitting", label="training")
    mixtures, chosen = _mix(session, fitted, base_dev_ndcg=base)
    _save(session, mixtures, chosen)
    outcome = _Outcome(trials, candidate, steps, fitted, mixtures, chosen, base)
    return _facts(session, outcome, seconds=time.monotonic() - began)


def encode_with(maps: Maps, base: EncodeFunction, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
    """Return vectors of the base model, moved by the map of their side; documents without one stay."""
    vectors = base(texts, role)
    module = maps.queries if role is Role.QUERY else maps.documents
    return vectors if module is None else module.frozen().apply(vectors)


def _open(
    config: TrainingConfig, adapter: AdapterConfig, inputs: AdaptingInputs, out: Path, progress: ReportProgress
) -> _Session:
    progress(Progress("reading training data", 0))
    examples = _read_examples(config, inputs.training)
    contract = inputs.contract
    recipe = derive_adapter(
        config,
        adapter,
        pairs=len(examples.pair_query),
        mined=max(map(len, examples.negatives), default=0),
        dimension=contract.dimension,
    )
    noted: dict[str, Derived] = {}
    terms = choose_terms(config, examples, noted)
    recipe = replace(recipe, derived={**recipe.derived, **noted})
    device = torch.device(choose_device(inputs.training.model.device))
    maps = _make_maps(recipe, side=config.side, dimension=contract.dimension, seed=inputs.training.seed).to(device)
    fit = MapFit(
        maps=maps,
        source=VectorSource.of(
            examples, load_vectors(inputs.vectors), barred=inputs.barred, mask_above=config.mask_above
        ),
        recipe=recipe,
        config=config,
        objective=Objective(contract.matryoshka_dimensions, config.temperature, terms),
        device=device,
        seed=inputs.training.seed,
        score=lambda: inputs.training.score_dev(lambda texts, role: encode_with(maps, inputs.encode, texts, role)),
        progress=progress,
    )
    return _Session(config, inputs, out, examples, recipe, fit)


def _make_maps(recipe: AdapterRecipe, *, side: TunedSide, dimension: int, seed: int) -> Maps:
    generator = torch.Generator().manual_seed(seed)

    def make() -> MapModule:
        return MapModule(dimension, recipe.kind, hidden_dimension=recipe.hidden_dimension, generator=generator)

    queries = make()
    match side:
        case TunedSide.QUERY:
            return Maps(queries, None)
        case TunedSide.BOTH:
            return Maps(queries, queries if recipe.shared else make())
        case unreachable:
            assert_never(unreachable)


def _read_examples(config: TrainingConfig, inputs: TrainingInputs) -> Examples:
    """Read all documents, since any may be a negative, and no tokens: there are vectors."""
    pairs = read_records(inputs.pairs / "pairs.parquet", Pair)
    if not pairs:
        raise InputError("there is no training pair", hint="lower pairs.minimum_grade, or give more judgments")
    examples = build_examples(
        read_records(inputs.corpus / "documents.parquet", Document),
        read_records(inputs.split / "queries.parquet", Query),
        pairs,
        read_records(inputs.negatives / "negatives.parquet", HardNegative),
        tokenise=lambda texts, _: [[]] * len(texts),
        qrels=read_records(inputs.split / "qrels.parquet", Qrel),
        keep_all_documents=True,
        graded=wants_grades(config),
    )
    if inputs.teacher is not None:
        examples = examples.taught(read_records(inputs.teacher / "scores.parquet", TeacherScore))
    return with_spaces(config, inputs, examples)


def _try_all(session: _Session) -> list[Trial]:
    """Train every candidate for a part of the steps; those that were tried before a kill are not tried again."""
    candidates, path = session.recipe.candidates, session.out / "trying" / "trials.json"
    known = [Trial(**one) for one in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
    steps = max(1, round(TRIAL_SHARE * session.recipe.steps))
    if len(candidates) == 1:  # there is nothing to choose, but a limit of time needs the speed
        steps = min(steps, TIMED_STEPS)
        if session.config.time_limit_minutes is None:
            return [Trial(candidates[0].learning_rate, candidates[0].strength, 0.0, 0.0)]
    for number, candidate in enumerate(candidates[len(known) :], start=len(known) + 1):
        label = f"trying {number} of {len(candidates)}"
        found = fit_maps(session.fit, candidate, steps=steps, folder=session.out / "trying", label=label)
        seconds = found.seconds / max(1, found.steps)
        known.append(Trial(candidate.learning_rate, candidate.strength, found.best_dev_ndcg, seconds))
        write_atomic(path, json.dumps([asdict(trial) for trial in known]))
    return known


def _steps_in_time(session: _Session, trial: Trial, *, spent: float) -> int:
    """Return the steps of the training; fewer where a limit of time, of which trials took a part, says so.

    What was decided before a kill holds.
    """
    path = session.out / "fitting" / "steps.json"
    if path.is_file():
        return int(json.loads(path.read_text(encoding="utf-8")))
    steps, limit = session.recipe.steps, session.config.time_limit_minutes
    if limit is not None and trial.seconds_per_step:
        affordable = int((limit * 60 - spent) / trial.seconds_per_step)
        steps = min(steps, max(affordable, session.recipe.evaluations))
    write_atomic(path, json.dumps(steps))
    return steps


def _mix(session: _Session, fitted: MapResult, *, base_dev_ndcg: float) -> tuple[list[Mixture], Mixture]:
    """Choose how much of the map is taken, by dev among what general queries allow; the maps are that mixture then."""
    known = [Mixture(0.0, base_dev_ndcg), Mixture(1.0, fitted.best_dev_ndcg)]
    if not session.config.interpolate:
        return known[1:], known[1]
    return choose_mixture(
        session.fit.maps,
        session.fit.maps.identity(),
        score=session.fit.score,
        known=known,
        most=largest_share(session.config, session.inputs.training),
        general=_general_limit(session),
        on_score=lambda done, total: session.fit.progress(Progress("mixing with the identity", done, total)),
    )


def _general_limit(session: _Session) -> GeneralLimit | None:
    guard = session.inputs.training.general
    if guard is None:
        return None
    return GeneralLimit(lambda: guard.score(session.encode), guard.base_ndcg, guard.base_ndcg - guard.max_loss)


def _save(session: _Session, mixtures: Sequence[Mixture], chosen: Mixture) -> None:
    folder, maps = session.out / "model", session.fit.maps
    shutil.rmtree(folder, ignore_errors=True)
    queries, documents = maps.queries.frozen(), None
    if maps.documents is not None:
        documents = queries if maps.is_shared else maps.documents.frozen()
    session.inputs.save(FrozenMaps(queries, documents, chosen.share), folder)
    write_atomic(session.out / "interpolation.json", json.dumps([asdict(mixture) for mixture in mixtures], indent=2))
    for name in ("trying", "fitting"):
        shutil.rmtree(session.out / name, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of the trials, the training and the mixing."""

    trials: list[Trial]
    candidate: Candidate
    steps: int
    fitted: MapResult
    mixtures: list[Mixture]
    chosen: Mixture
    base_dev_ndcg: float


def _facts(session: _Session, outcome: _Outcome, *, seconds: float) -> TrainingFacts:
    recipe, fitted, contract = session.recipe, outcome.fitted, session.inputs.contract
    pairs = len(session.examples.pair_query)
    trained = sum(weights.numel() for weights in session.fit.maps.parameters())
    return TrainingFacts(
        method=TrainingMethod.ADAPTER.value,
        trained_weights=trained,
        side=session.config.side.value,
        pairs=pairs,
        queries=len(session.examples.query_ids),
        steps=fitted.steps,
        epochs=fitted.steps / -(-pairs // recipe.batch_size),
        batch_size=recipe.batch_size,
        queries_per_document=1,
        learning_rate=outcome.candidate.learning_rate,
        precision=Precision.FP32.value,
        device=session.fit.device.type,
        loss=_name_of(session),
        hard_negatives=recipe.hard_negatives,
        teacher_scores=len(session.examples.teacher_scores),
        max_query_tokens=contract.max_tokens,
        max_document_tokens=contract.max_tokens,
        seconds=seconds,
        pairs_per_second=fitted.steps * recipe.batch_size / max(fitted.seconds, 1e-6),
        base_dev_ndcg=outcome.base_dev_ndcg,
        best_dev_ndcg=outcome.chosen.dev_ndcg,
        best_step=fitted.best_step,
        interpolation=outcome.chosen.share,
        mixtures=tuple(outcome.mixtures),
        stopped_early=fitted.stopped_early,
        resumed=fitted.resumed,
        derived=_derived(session, outcome),
        curve=fitted.curve,
        warnings=_warnings(session, outcome),
    )


def _name_of(session: _Session) -> str:
    """Say in words what was learnt, and by what."""
    kind = {AdapterKind.LINEAR: "linear", AdapterKind.MLP: "residual MLP"}[session.recipe.kind]
    return f"{session.fit.objective.title}, by a {kind} adapter on frozen vectors"


def _derived(session: _Session, outcome: _Outcome) -> dict[str, Derived]:
    derived, config = dict(session.recipe.derived), session.config
    if config.method is None:
        why = "the base model's own weights are out of reach"
        derived["method"] = Derived(TrainingMethod.ADAPTER.value, why)
    tried = len(outcome.trials)
    if tried > 1:
        why = f"the best of {tried} short trainings on dev"
        derived["adapter.strength"] = Derived(outcome.candidate.strength, why)
        if session.config.learning_rate is None:
            derived["learning_rate"] = Derived(outcome.candidate.learning_rate, why)
    if outcome.steps < session.recipe.steps:
        why = f"{session.config.time_limit_minutes:g} minutes of training at the measured speed"
        derived["steps"] = Derived(outcome.steps, why)
    if session.inputs.training.made_dev_queries and config.interpolate and config.max_tuned_share is None:
        why = "the dev queries were made like the training queries: they cannot see what is forgotten of real ones"
        derived["max_tuned_share"] = Derived(LARGEST_SHARE_BY_MADE_QUERIES, why)
    return derived


def _warnings(session: _Session, outcome: _Outcome) -> tuple[str, ...]:
    guard, chosen = session.inputs.training.general, outcome.chosen
    refused = [one for one in outcome.mixtures if one.general_ndcg is not None and one.share != chosen.share]
    if guard is not None and refused:
        best = max(refused, key=lambda one: (one.dev_ndcg, one.share))
        assert best.general_ndcg is not None
        return (
            f"{best.share:.0%} of the adapter did best on dev ({best.dev_ndcg:.3f} against {chosen.dev_ndcg:.3f}) but "
            f"lost {guard.base_ndcg - best.general_ndcg:.3f} NDCG@10 on general queries, more than "
            f"evaluation.max_general_loss = {guard.max_loss:g}: {chosen.share:.0%} were taken",
        )
    if chosen.share == 0.0:
        return ("no share of the adapter beat the base model on dev: the tuned model equals the base",)
    return ()
