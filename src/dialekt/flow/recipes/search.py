"""The search: stages before training as ever, then trials until the budget is used, then one recipe is kept."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from dialekt.config import Place
from dialekt.errors import ConfigError, StorageError, UsageError
from dialekt.flow.adapting import is_adapter
from dialekt.flow.journey import skip_or_run, stages_until
from dialekt.flow.project import Project
from dialekt.flow.recipes import budget, trials
from dialekt.flow.recipes.budget import Move
from dialekt.flow.recipes.decision import Decision, decide
from dialekt.flow.recipes.optimizer import require_optuna, suggest
from dialekt.flow.recipes.records import (
    SEARCHES_NAME,
    Fidelity,
    Pending,
    SearchObserver,
    Study,
    Trial,
    TrialState,
    Value,
    read_study,
    summary,
    write_study,
)
from dialekt.flow.recipes.space import SPACE_VERSION, Case, Span, changes, default_point, spans
from dialekt.flow.records import StageName, StageRecord
from dialekt.flow.workbench import Stage, Workbench
from dialekt.store.hashing import hash_json
from dialekt.store.lock import exclusive

ID_DIGITS = 16
OVERRUN_SHARE = 0.05
"""Of the budget by which the last trial may end late, so that one that is nearly done is not lost."""

TIME_LIMIT = "time_limit_minutes"


@dataclass(frozen=True, slots=True)
class Found:
    """What a search ended with: the project with the recipe that is kept, and the records of its stages.

    `freed_bytes` is what the trials that lost had left on disk.
    """

    project: Project
    study: Study
    decision: Decision
    records: tuple[StageRecord, ...]
    budget_seconds: float
    freed_bytes: int

    @property
    def winner(self) -> Trial:
        """The trial whose recipe is kept."""
        return self.study.trial(self.decision.winner)


def search_recipes(
    project: Project,
    *,
    budget_seconds: float,
    observer: SearchObserver,
    keep_models: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Walk the journey up to the training, then try recipes for it until the budget is used; ask dev alone.

    The budget begins with the first trial; what an earlier search of the same recipe spent counts. A search that was
    stopped, however hard, goes on with the trial that it was stopped in. Raises `MissingExtraError`, and `UsageError`
    for a budget in which not even the project's own recipe can be trained.
    """
    require_optuna()
    _refuse(project)
    with exclusive(project.artefacts):
        workbench = Workbench(project, may_download=True)
        *before, training = stages_until(StageName.TRAINING, workbench)
        records = tuple(skip_or_run(stage, workbench, observer) for stage in before)
        search = _Search(workbench, training, budget_seconds, observer, keep_models=keep_models, clock=clock)
        decision = search.run()
        return Found(
            project=replace(project, config=search.config_of(decision)),
            study=search.study,
            decision=decision,
            records=(*records, search.keep(decision)),
            budget_seconds=budget_seconds,
            freed_bytes=search.freed_bytes,
        )


def _refuse(project: Project) -> None:
    """Raise `ConfigError` for a project whose training cannot be searched."""
    if project.config.cluster.on is not Place.LOCAL:
        raise ConfigError(
            f"cluster.on = {project.config.cluster.on.value!r}, but a search runs on this machine",
            hint="set cluster.on = 'local' for it: --set cluster.on=local",
        )
    if is_adapter(project.config):
        raise ConfigError(
            "an adapter's training tries its own learning rates and strengths on dev: there is nothing to search",
            hint="run dialekt train without --budget",
        )


class _Search:
    """A search at work. Every change of the study is on disk before anything else happens."""

    def __init__(
        self,
        workbench: Workbench,
        stage: Stage,
        budget_seconds: float,
        observer: SearchObserver,
        *,
        keep_models: bool,
        clock: Callable[[], float],
    ) -> None:
        self._workbench = workbench
        self._stage = stage
        self._budget_seconds = budget_seconds
        self._observer = observer
        self._keep_models = keep_models
        self._clock = clock
        self._marked = clock()
        study_id = hash_json([stage.recipe(workbench).key, SPACE_VERSION])[:ID_DIGITS]
        self._folder = workbench.project.artefacts / SEARCHES_NAME / study_id
        self.study = read_study(self._folder, study_id)
        self.freed_bytes = 0

    def run(self) -> Decision:
        """Try recipes until the budget is used, and decide."""
        self._marked = self._clock()
        try:
            while self._left_seconds > 0 and (pending := self._next()) is not None:
                self._try(pending)
        except trials.OverdueError:
            pass
        finally:
            self._spend()
        if self.study.default is None:
            raise UsageError(
                f"a budget of {self._budget_seconds:.0f} seconds ended before the default recipe was trained",
                hint="give more: the same command with a larger --budget goes on from there",
            )
        settings = self._workbench.config.evaluation
        return decide(
            self.study,
            confidence=settings.confidence,
            resamples=settings.resamples,
            seed=self._workbench.config.project.seed,
        )

    def config_of(self, decision: Decision) -> Any:
        """Return the configuration with the recipe that is kept."""
        return trials.config_of(self._workbench.config, self.study.trial(decision.winner).settings)

    def keep(self, decision: Decision) -> StageRecord:
        """Keep the model of the winner alone, remember what was found, and return the record of its training."""
        for trial in self.study.done(Fidelity.FULL):
            if trial.number not in {0, decision.winner}:
                self._drop(trial)
        record = skip_or_run(self._stage, self._workbench.with_config(self.config_of(decision)), self._observer)
        write_study(self._folder, self.study, summary(self.study, decision, winner_key=record.key))
        return record

    @property
    def _left_seconds(self) -> float:
        return self._budget_seconds - self.study.spent_seconds - (self._clock() - self._marked)

    def _spend(self) -> None:
        """Count the time since the last count, and remember it."""
        now = self._clock()
        self.study = replace(self.study, spent_seconds=self.study.spent_seconds + now - self._marked)
        self._marked = now
        write_study(self._folder, self.study)

    def _next(self) -> Pending | None:
        """Return the trial to run: the one that an earlier search was stopped in, or a new one; None to end."""
        if self.study.pending is None:
            self._spend()
            self.study = replace(self.study, pending=self._plan(budget.next_move(self.study, self._budget_seconds)))
            write_study(self._folder, self.study)
        return self.study.pending

    def _plan(self, move: Move) -> Pending | None:
        number = len(self.study.trials)
        full = {} if self.study.full_minutes is None else {TIME_LIMIT: self.study.full_minutes}
        probe = {} if self.study.probe_minutes is None else {TIME_LIMIT: self.study.probe_minutes}
        match move:
            case Move.STOP:
                return None
            case Move.DEFAULT:
                return Pending(0, Fidelity.FULL, full, {})
            case Move.DEFAULT_PROBE:
                return Pending(number, Fidelity.PROBE, probe, default_point(self._spans))
            case Move.FINAL:
                best = budget.finalists(self.study)[0]
                return Pending(number, Fidelity.FULL, changes(best.point, self._spans) | full, best.point)
            case Move.PROBE:
                return self._suggested(number, Fidelity.PROBE, probe)
            case Move.FULL:
                return self._suggested(number, Fidelity.FULL, full)

    def _suggested(self, number: int, fidelity: Fidelity, limit: Mapping[str, Value]) -> Pending | None:
        turned = list(self._spans)[: budget.open_knobs(self.study, self._budget_seconds)]
        seed = self._workbench.config.project.seed + 1000 * number
        point = suggest(self._spans, turned, self.study.history(fidelity), seed=seed)
        if point is None:
            return None
        return Pending(number, fidelity, changes(point, self._spans) | dict(limit), point)

    @cached_property
    def _spans(self) -> dict[str, Span]:
        return spans(self._case())

    def _case(self) -> Case:
        """Return what the space depends on: the facts of the default's training."""
        default = self.study.default
        assert default is not None
        bench = self._workbench.with_config(trials.config_of(self._workbench.config, default.settings))
        from dialekt.models.contract import read_contract

        artefact = self._stage.look_up(bench, self._stage.recipe(bench)).artefact
        if artefact is None:
            raise StorageError(
                "the model of the default recipe is gone or damaged",
                path=bench.store.folder(self._stage.recipe(bench)),
                hint=f"remove {self._folder} to search from the start",
            )
        facts, training = artefact.manifest.facts, bench.config.training
        return Case(
            config=bench.config,
            pairs=facts["pairs"],
            epochs=training.epochs or facts["derived"]["epochs"]["value"],
            batch_size=facts["batch_size"],
            learning_rate=facts["learning_rate"],
            hard_negatives=facts["hard_negatives"],
            max_document_tokens=facts["max_document_tokens"],
            max_tokens=read_contract(artefact.folder / "model").max_tokens,
            teacher_scores=facts["teacher_scores"],
            mined=self._workbench.artefacts[StageName.NEGATIVES].manifest.facts["negatives"],
            limited=training.time_limit_minutes is not None or self.study.probe_minutes is not None,
        )

    def _try(self, pending: Pending) -> None:
        """Run one trial and remember how it ended."""
        gc.collect()  # the Trainer's circles keep the last trial's model and optimizer alive
        self._observer.trial_started(pending)
        self._prepare(pending)
        watch = trials.Watch(
            self._limits(pending), self.study.history(pending.fidelity), clock=self._clock, tell=self._tell(pending)
        )
        try:
            attempt = trials.train(self._stage, self._workbench, pending.settings, watch)
            self._end(self._finished(pending, attempt, watch))
        except trials.PrunedError:
            self._end(self._trial(pending, TrialState.PRUNED, watch))
        except trials.TooSlowError as error:
            self._shorten(pending, watch.seconds, expected_seconds=error.seconds)
        except (KeyboardInterrupt, trials.OverdueError):
            self.study = replace(self.study, pending=replace(pending, seconds=pending.seconds + watch.seconds))
            raise
        except StorageError:
            raise
        except Exception as error:
            if not pending.is_default:  # it would fail again: the next search goes on without it
                self._end(self._trial(pending, TrialState.FAILED, watch, error=type(error).__name__))
            raise

    def _prepare(self, pending: Pending) -> None:
        """Draw the dev queries once for all trials."""
        from dialekt.flow.teaching import make_examiner

        if self._workbench.examiner is None:
            tell = self._tell(pending)
            self._workbench.examiner = make_examiner(self._workbench, progress=lambda one: tell(one.label))

    def _limits(self, pending: Pending) -> trials.Limits:
        """Return how long a trial may take: one with a time limit of its own keeps it, and all end with the budget."""
        left = self._left_seconds
        deadline = self._clock() + left + OVERRUN_SHARE * self._budget_seconds
        if pending.fidelity is Fidelity.PROBE or TIME_LIMIT in pending.settings:
            return trials.Limits(None, deadline)
        if self.study.default is None:
            return trials.Limits(budget.DEFAULT_SHARE * self._budget_seconds, deadline)
        longer = max(budget.LONGER * self.study.default.seconds, budget.LEAST_ALLOWED_SECONDS)
        return trials.Limits(min(longer, left), deadline)

    def _shorten(self, pending: Pending, seconds: float, *, expected_seconds: float) -> None:
        """Begin a full trial that takes too long again, with a time limit, after `seconds` that are lost."""
        if pending.is_default:
            limit = budget.minutes(budget.LIMITED_SHARE * self._budget_seconds)
            self.study = replace(self.study, full_minutes=limit, unlimited_seconds=expected_seconds)
            lost = 0.0  # what the default takes is what its one training takes: all others are measured by it
        else:
            assert self.study.default is not None
            limit = budget.minutes(min(self.study.default.seconds, 0.9 * self._left_seconds))
            lost = seconds
        again = replace(pending, settings={**pending.settings, TIME_LIMIT: limit}, seconds=pending.seconds + lost)
        self.study = replace(self.study, pending=again)
        self._spend()

    def _tell(self, pending: Pending) -> Callable[[str], None]:
        def tell(note: str) -> None:
            used = self._budget_seconds - self._left_seconds
            self._observer.budget_used(used, self._budget_seconds, f"trial {pending.number}: {note}")

        return tell

    def _finished(self, pending: Pending, attempt: trials.Attempt, watch: trials.Watch) -> Trial:
        full = pending.fidelity is Fidelity.FULL
        trial = replace(
            self._trial(pending, TrialState.DONE, watch),
            dev_ndcg=float(attempt.facts["best_dev_ndcg"]),
            points=attempt.points,
            key=attempt.artefact.manifest.key,
            made=attempt.made,
            dev_scores=trials.dev_scores(self._workbench, attempt) if full else (),
        )
        known = not attempt.made or attempt.facts["resumed"]
        return replace(trial, seconds=attempt.work_seconds) if known else trial

    def _trial(self, pending: Pending, state: TrialState, watch: trials.Watch, *, error: str = "") -> Trial:
        return Trial(
            number=pending.number,
            fidelity=pending.fidelity,
            settings=pending.settings,
            point=pending.point,
            state=state,
            seconds=pending.seconds + watch.seconds,
            points=tuple(watch.points),
            error=error,
        )

    def _end(self, trial: Trial) -> None:
        """Remember a trial that has ended, and remove its model where it lost already."""
        self.study = replace(self.study, trials=(*self.study.trials, trial), pending=None)
        if trial.number == 0:
            probe = budget.probe_minutes(trial.seconds, self._budget_seconds)
            self.study = replace(self.study, probe_minutes=probe)
            point = default_point(self._spans)
            self.study = replace(self.study, trials=(replace(trial, point=point),))
        self._spend()
        self._drop_losers(trial)
        self._observer.trial_ended(trial)

    def _drop_losers(self, latest: Trial) -> None:
        """Keep the models of the default and of the best full trial."""
        full = self.study.done(Fidelity.FULL)
        best = max(full, key=lambda trial: trial.dev_ndcg or 0.0)
        for trial in {one.number: one for one in (*full, latest)}.values():
            if trial.number not in {0, best.number}:
                self._drop(trial)

    def _drop(self, trial: Trial) -> None:
        if trial.made and not self._keep_models:
            self.freed_bytes += trials.forget(self._stage, self._workbench, trial.settings)
