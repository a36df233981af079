"""One walk through the stages: plan → skip or run → record."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from dialekt.errors import ConfigError
from dialekt.flow.artefacts import Artefact
from dialekt.flow.project import Project
from dialekt.flow.records import (
    Action,
    Observer,
    PlannedStage,
    SilentObserver,
    StageName,
    StageRecord,
    StageStatus,
)
from dialekt.flow.stages import STAGES
from dialekt.flow.workbench import Stage, Workbench
from dialekt.store.lock import exclusive


def run(
    project: Project, *, observer: Observer | None = None, until: StageName = StageName.REPORT
) -> tuple[StageRecord, ...]:
    """Walk the journey up to and with the stage `until`: skip what is done by content, run the rest, in order.

    A run that was stopped, however hard, goes on from its last finished stage and, inside training and encoding,
    from the last checkpoint. Raises `DialektError`; what was finished before the error stays.
    """
    watching = observer or SilentObserver()
    opened = Workbench(project, may_download=True, documents_only=until is StageName.CORPUS)
    with exclusive(project.artefacts), closing(opened) as workbench:
        return tuple(skip_or_run(stage, workbench, watching) for stage in stages_until(until, workbench))


def plan(project: Project, *, until: StageName = StageName.REPORT) -> tuple[PlannedStage, ...]:
    """Say what a run would do with each stage, and change nothing."""
    workbench = Workbench(project, documents_only=until is StageName.CORPUS)
    planned = []
    stages = tuple(stages_until(until, workbench))
    names = {stage.name for stage in stages}
    for stage in stages:
        missing = [name for name in stage.needed(workbench.config) if name in names - set(workbench.artefacts)]
        if missing:
            reason = f"{' and '.join(missing[:2])}{' and more' if len(missing) > 2 else ''} will be new"
            planned.append(PlannedStage(stage.name, Action.RUN, reason, key=None))
            continue
        recipe = stage.recipe(workbench)
        lookup = stage.look_up(workbench, recipe)
        if lookup.artefact:
            workbench.artefacts[stage.name] = lookup.artefact
        action = Action.SKIP if lookup.artefact else Action.RESUME if lookup.resumable else Action.RUN
        planned.append(PlannedStage(stage.name, action, lookup.reason, recipe.key))
    return tuple(planned)


def finished(project: Project) -> tuple[StageRecord, ...]:
    """Return the records of the stages that are done for the project as it stands, up to the first that is not."""
    workbench = Workbench(project)
    records = []
    stages = tuple(stages_until(StageName.REPORT, workbench))
    names = {stage.name for stage in stages}
    for stage in stages:
        if any(name in names - set(workbench.artefacts) for name in stage.needed(workbench.config)):
            break
        artefact = stage.look_up(workbench, stage.recipe(workbench)).artefact
        if artefact is None:
            break
        workbench.artefacts[stage.name] = artefact
        records.append(_record(stage.name, artefact, StageStatus.SKIPPED))
    return tuple(records)


def stages_until(last: StageName, workbench: Workbench) -> Iterator[Stage]:
    """Yield the stages that the project has, up to and with the last."""
    for stage in STAGES:
        if stage.wanted(workbench):
            yield stage
        elif stage.name == last:
            raise ConfigError(f"this project has no stage {last.value!r}", hint=_WHY_NOT[last])
        if stage.name == last:
            return


_WHY_NOT = {
    StageName.JUDGMENTS: "set judgments.path to your judgments",
    StageName.LOGS: "set logs.path to your search logs",
    StageName.SPLIT: "set judgments.path or logs.path: without them made queries are divided by the pairs stage",
    StageName.SYNTHESIS: "set synthesis.generators, for example to ['local']",
    StageName.TEACHER: "set teacher.model to 'trained', or to a cross-encoder's name or folder",
    StageName.ADAPTATION: "set adaptation.methods, for example to ['mlm']",
    StageName.GENERAL: "set evaluation.general to 'builtin', 'nanobeir' or a BEIR folder",
}


def skip_or_run(stage: Stage, workbench: Workbench, observer: Observer) -> StageRecord:
    """Skip one stage by its content or run it, and tell the observer; the caller holds the project's lock."""
    recipe = stage.recipe(workbench)
    lookup = stage.look_up(workbench, recipe)
    artefact, status = lookup.artefact, StageStatus.SKIPPED
    if artefact is None:
        observer.stage_started(stage.name, lookup.reason)
        write = partial(stage.work, workbench, progress=partial(observer.progressed, stage.name))
        artefact = workbench.store.make(recipe, write, seed=workbench.config.project.seed)
        status = StageStatus.DONE
    workbench.artefacts[stage.name] = artefact
    workbench.sources.save()
    stage.published(workbench, artefact)
    record = _record(stage.name, artefact, status)
    observer.stage_ended(record)
    return record


def _record(name: StageName, artefact: Artefact, status: StageStatus) -> StageRecord:
    manifest = artefact.manifest
    return StageRecord(
        name,
        status,
        seconds=manifest.seconds,
        key=manifest.key,
        id=manifest.id,
        folder=artefact.folder,
        inputs=manifest.inputs,
        facts=manifest.facts,
    )
