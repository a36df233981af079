"""Will tuning pay here? The cheap stages of the journey, then language, baseline, data and probes, then one verdict."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dialekt.errors import StorageError
from dialekt.flow import adapting
from dialekt.flow.artefacts import Artefact
from dialekt.flow.journey import skip_or_run, stages_until
from dialekt.flow.project import Project
from dialekt.flow.records import Observer, SilentObserver, StageName, StageRecord
from dialekt.flow.settings import MINIMUM_GRADE, MODEL, SEED, labels, section, setting, settings, teacher_model
from dialekt.flow.workbench import Stage, Workbench
from dialekt.store.lock import exclusive
from dialekt.types import ReportProgress

PROBED = (StageName.CORPUS, StageName.PAIRS, StageName.BASE_VECTORS, StageName.NEGATIVES)


def diagnose(project: Project, *, observer: Observer | None = None) -> StageRecord:
    """Walk the stages that a diagnosis needs, diagnose, and return the record; its facts are a `DiagnosisFacts`.

    What was done before is skipped, and `dialekt run` skips in turn what was done here. Without judgments, logs or made
    queries only the documents are looked at. Raises `DialektError`.
    """
    watching = observer or SilentObserver()
    opened = Workbench(project, may_download=True, documents_only=not has_queries(project))
    with exclusive(project.artefacts), closing(opened) as bench:
        last = StageName.PAIRS if has_queries(project) else StageName.CORPUS
        for stage in stages_until(last, bench):
            skip_or_run(stage, bench, watching)
        if StageName.PAIRS in bench.artefacts:
            _prepare(bench, watching)
        return skip_or_run(DIAGNOSIS, bench, watching)


def has_queries(project: Project) -> bool:
    """Whether there is anything that says which document answers a query."""
    bench = Workbench(project, documents_only=True)
    return bench.judged_by is not None or bool(project.config.synthesis.generators)


def _prepare(bench: Workbench, observer: Observer) -> None:
    """Encode and mine, on a sample where the project is too large for a diagnosis of minutes."""
    from dialekt.flow.sampling import is_large

    if is_large(bench):
        skip_or_run(SAMPLE, bench, observer)
        for name in (StageName.CORPUS, StageName.PAIRS):
            bench.artefacts[name] = bench.artefacts[StageName.SAMPLE]
    for stage in stages_until(StageName.NEGATIVES, bench):
        if stage.name not in bench.artefacts and stage.name in PROBED:
            skip_or_run(stage, bench, observer)
    if bench.config.teacher.model is not None:
        _take_teacher(bench)


def _take_teacher(bench: Workbench) -> None:
    """Take the scores of a teacher that has read these very pairs; none is trained for a diagnosis."""
    stage = next(stage for stage in stages_until(StageName.TEACHER, bench) if stage.name is StageName.TEACHER)
    if found := stage.look_up(bench, stage.recipe(bench)).artefact:
        bench.artefacts[StageName.TEACHER] = found


def make_sample(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """A large corpus with all its queries → a small one."""
    from dialekt.flow.sampling import sample

    return sample(workbench, out, progress=progress)


def make_diagnosis(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents, queries, pairs and base vectors → the facts of a diagnosis, verdict included."""
    from dialekt.diagnosis.records import DiagnosisFacts
    from dialekt.diagnosis.verdict import Evidence, judge
    from dialekt.flow import findings

    clock = _Clock()
    with clock.timed("language"):
        language = findings.language(workbench, progress=progress)
    baseline = data = gain = None
    notes: list[str] = []
    if StageName.PAIRS in workbench.artefacts:
        with clock.timed("probes"):
            probed = findings.probed(workbench, out, progress=progress)
        with clock.timed("baseline"):
            asked = findings.ask(workbench, progress=progress)
            baseline = findings.baseline(workbench, asked, out, progress=progress)
        with clock.timed("data"):
            data = findings.data(workbench, asked, probed)
        if probed is not None:
            gain = findings.gain(workbench, probed, data)
        notes += findings.warnings(workbench, probed)
    config = workbench.config.diagnosis
    found = judge(Evidence(language, baseline, data, gain, config.least_gain, config.confidence))
    return DiagnosisFacts(
        decision=found.decision,
        verdict=found.verdict,
        reasons=found.reasons,
        advice=found.advice,
        language=language,
        baseline=baseline,
        data=data,
        gain=gain,
        seconds=clock.seconds,
        warnings=tuple(notes),
    )


@dataclass(slots=True)
class _Clock:
    """How long each part took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[part] = round(time.monotonic() - began, 1)


def _unreadable(_: Workbench, artefact: Artefact) -> str:
    """Say whether the facts of a finished diagnosis are of another version of dialekt."""
    from dialekt.diagnosis.reviving import facts_from_json

    try:
        facts_from_json(artefact.manifest.facts)
    except StorageError as error:
        return error.message
    return ""


SAMPLE = Stage(
    StageName.SAMPLE,
    "dialekt.flow.sampling",
    make_sample,
    settings=settings(section("diagnosis", "minutes", "seeds", "least_gain", "confidence"), SEED),
    needs={StageName.CORPUS: (), StageName.PAIRS: ()},
)

DIAGNOSIS = Stage(
    StageName.DIAGNOSIS,
    "dialekt.diagnosis.records",
    make_diagnosis,
    settings=settings(
        section("diagnosis"),
        section("training", "method"),
        adapting.method_settings,
        section("teacher", "model"),
        setting("evaluation", "confidence"),
        setting("evaluation", "resamples"),
        setting("evaluation", "hybrid_rank_constant"),
        MODEL,
        MINIMUM_GRADE,
        SEED,
    ),
    needs=dict.fromkeys((*PROBED, StageName.SAMPLE, StageName.TEACHER), ()),
    outside=lambda workbench: teacher_model(workbench) | labels(workbench),
    fault=_unreadable,
)
