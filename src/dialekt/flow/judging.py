"""Grades for disputed results: a file to fill in, its way back into the judgments, and how far that has come."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.errors import InputError, NotFoundError, UsageError
from dialekt.flow.project import Project
from dialekt.flow.records import StageName, StageRecord
from dialekt.store.lock import exclusive
from dialekt.store.tables import read_records
from dialekt.types import Document, Qrel, Query, Split

if TYPE_CHECKING:
    from dialekt.evaluation.disputes import Dispute
    from dialekt.evaluation.labels import Known, Label
    from dialekt.evaluation.systems import Held
    from dialekt.measures.runs import Run
    from dialekt.report.judging import SheetRow

TEXT_CHARACTERS = 2_000
LOCK_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """A judging file that was written: its results, those that are left for another, and where it lies.

    `stale`: something that the evaluation depends on has changed since.
    """

    systems: tuple[str, ...]
    results: int
    queries: int
    left: int
    csv: Path
    html: Path
    stale: bool


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """What came of a judging file: labels added, changed to another grade, said again; rows without a grade; all."""

    added: int
    changed: int
    repeated: int
    empty: int
    labels: int
    file: Path


@dataclass(frozen=True, slots=True)
class JudgedSystem:
    """How much of a system's first ten is judged, as a mean over the test queries."""

    system: str
    judged: float


@dataclass(frozen=True, slots=True)
class JudgingStatus:
    """How far judging has come. `disputed` counts unjudged results on which base and tuned model differ.

    `stale`: something that the evaluation depends on has changed since.
    """

    labels: int
    test_labels: int
    answers: int
    test_queries: int
    disputed: int
    systems: tuple[JudgedSystem, ...]
    stale: bool


def write_disputes(
    project: Project,
    *,
    systems: Sequence[str] = ("base", "tuned"),
    most: int = 50,
    out: Path | None = None,
) -> SheetFacts:
    """Write the `most` heaviest unjudged results on which systems of the last evaluation differ, shuffled and unnamed.

    Raises `UsageError` for a system that was not evaluated, `NotFoundError` where nothing was, or is left to judge.
    """
    from dialekt.evaluation.disputes import find_disputes
    from dialekt.evaluation.labels import grade_scale
    from dialekt.report.judging import name_grades, write_sheet

    folders, stale = _last_evaluation(project)
    held = _read_held(project, folders)
    found = find_disputes(read_runs(folders[StageName.EVALUATION], systems, held), held.judgments)
    if not found:
        raise NotFoundError(
            f"nothing to judge: {' and '.join(systems)} differ in no unjudged result of the first ten",
            hint="compare other systems: --systems bm25,tuned",
        )
    chosen = found[:most]
    rows = _rows(folders, held, chosen, seed=project.config.project.seed)
    qrels = read_records(folders[StageName.PAIRS] / "qrels.parquet", Qrel)
    scale = grade_scale(_held_qrels(qrels, held), minimum_grade=project.config.pairs.minimum_grade)
    csv, html = write_sheet(rows, name_grades(scale), out or project.judging, project=project.config.project.name)
    queries = len({one.query_id for one in chosen})
    return SheetFacts(tuple(systems), len(rows), queries, len(found) - len(rows), csv, html, stale)


def read_judged(project: Project, records: Sequence[StageRecord], path: Path, *, at: str) -> ReadFacts:
    """Merge the grades of a judging file into the labels of the project; nothing is changed where a row is at fault."""
    from dialekt.evaluation.labels import load_labels, merge, read_sheet, write_labels

    target = project.config.evaluation.labels
    if path.resolve() == target:
        raise UsageError("this is the file of labels itself", hint="give the judging file that you filled in")
    sheet = read_sheet(path, _known(project, _folders(records)))
    with exclusive(project.judging, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        merged = merge(load_labels(target), sheet.rows, at=at)
        if merged.added or merged.changed:
            write_labels(target, merged.labels)
    return ReadFacts(merged.added, merged.changed, merged.repeated, sheet.empty, len(merged.labels), target)


def judging_status(project: Project) -> JudgingStatus:
    """Count labels, and what is judged of every main system's first ten in the last evaluation; nothing is run."""
    from dialekt.evaluation.disputes import find_disputes
    from dialekt.evaluation.labels import load_labels
    from dialekt.evaluation.records import MAIN_SYSTEMS
    from dialekt.measures.unjudged import judged_share

    folders, stale = _last_evaluation(project)
    held = _read_held(project, folders)
    runs = read_runs(folders[StageName.EVALUATION], _present(folders[StageName.EVALUATION], MAIN_SYSTEMS), held)
    labels = load_labels(project.config.evaluation.labels)
    of_test = _of_test(labels, held)
    differing = {name: run for name, run in runs.items() if name in {"base", "tuned"}}
    return JudgingStatus(
        labels=len(labels),
        test_labels=len(of_test),
        answers=sum(label.grade >= project.config.pairs.minimum_grade for label in of_test),
        test_queries=len(held.test),
        disputed=len(find_disputes(differing, held.judgments)),
        systems=tuple(
            JudgedSystem(name, float(judged_share(run, held.judgments).mean())) for name, run in runs.items()
        ),
        stale=stale,
    )


def read_runs(evaluation: Path, systems: Sequence[str], held: "Held") -> "dict[str, Run]":
    """Return the runs of systems of an evaluation over all test queries.

    Raises `UsageError` that names the systems there are.
    """
    from dialekt.evaluation.external import align
    from dialekt.measures.runs import read_run

    present = run_names(evaluation)
    unknown = [name for name in systems if name not in present]
    if unknown or not systems:
        raise UsageError(f"there is no system {unknown[0] if unknown else ''!r}", hint=f"one of {', '.join(present)}")
    query_ids = [query.id for query in held.test]
    runs = {name: read_run(evaluation / "runs" / f"{name}.run.gz") for name in systems}
    return {name: align(run, query_ids, depth=run.indices.shape[1]) for name, run in runs.items()}


def run_names(evaluation: Path) -> tuple[str, ...]:
    """Return the systems that an evaluation measured."""
    return tuple(sorted(path.name.removesuffix(".run.gz") for path in (evaluation / "runs").glob("*.run.gz")))


def _present(evaluation: Path, systems: Sequence[str]) -> list[str]:
    return [name for name in systems if name in run_names(evaluation)]


def _last_evaluation(project: Project) -> tuple[Mapping[StageName, Path], bool]:
    """Return the folders of the last evaluation and what it measured on, and whether it is stale; run nothing.

    Raises `NotFoundError` where there is none of the documents and held-out queries as they are now.
    """
    from dialekt.flow.artefacts import ArtefactStore
    from dialekt.flow.journey import finished

    records = finished(project)
    folders, ids = _folders(records), {record.stage: record.id for record in records}
    if StageName.EVALUATION in folders:
        return folders, False
    store = ArtefactStore(project.artefacts)
    last, folder = store.latest(StageName.EVALUATION), store.latest_folder(StageName.EVALUATION)
    if last is None or folder is None:
        raise NotFoundError("nothing was evaluated yet", path=project.folder, hint="dialekt evaluate")
    if any(name not in ids or last.inputs.get(name) != ids[name] for name in (StageName.CORPUS, StageName.PAIRS)):
        raise NotFoundError(
            "documents, queries or judgments have changed since the last evaluation",
            path=project.folder,
            hint="dialekt evaluate",
        )
    return {**folders, StageName.EVALUATION: folder}, True


def _folders(records: Sequence[StageRecord]) -> Mapping[StageName, Path]:
    return {record.stage: record.folder for record in records}


def _read_held(project: Project, folders: Mapping[StageName, Path]) -> "Held":
    from dialekt.evaluation.held import read_held

    config = project.config
    return read_held(
        folders[StageName.PAIRS], labels=config.evaluation.labels, minimum_grade=config.pairs.minimum_grade
    )


def _held_qrels(qrels: Sequence[Qrel], held: "Held") -> list[Qrel]:
    ids = {query.id for query in (*held.dev, *held.test)}
    return [qrel for qrel in qrels if qrel.query_id in ids]


def _of_test(labels: "Sequence[Label]", held: "Held") -> "list[Label]":
    ids = {query.id for query in held.test}
    return [label for label in labels if label.query_id in ids]


def _known(project: Project, folders: Mapping[StageName, Path]) -> "Known":
    from dialekt.evaluation.labels import Known, grade_scale

    if StageName.PAIRS not in folders:
        raise InputError("the project has no held-out queries yet", path=project.folder, hint="dialekt pairs")
    queries = read_records(folders[StageName.PAIRS] / "queries.parquet", Query)
    held_out = {query.id for query in queries if query.split is not Split.TRAIN}
    qrels = read_records(folders[StageName.PAIRS] / "qrels.parquet", Qrel)
    of_held = [qrel for qrel in qrels if qrel.query_id in held_out]
    documents = read_records(folders[StageName.CORPUS] / "documents.parquet", Document)
    return Known(
        held_out_queries=held_out,
        train_queries={query.id for query in queries if query.split is Split.TRAIN},
        documents={unit.parent_id or unit.id for unit in documents},
        highest=grade_scale(of_held, minimum_grade=project.config.pairs.minimum_grade)[-1],
    )


def _rows(
    folders: Mapping[StageName, Path], held: "Held", chosen: "Sequence[Dispute]", *, seed: int
) -> "tuple[SheetRow, ...]":
    """Return the results with their texts: queries shuffled, and within a query its results."""
    from dialekt.report.judging import SheetRow

    texts = {query.id: query.text for query in held.test}
    documents = _documents(folders[StageName.CORPUS], {one.document_id for one in chosen})
    by_query: dict[str, list[Dispute]] = {}
    for one in chosen:
        by_query.setdefault(one.query_id, []).append(one)
    draw = random.Random(seed)  # noqa: S311 - an order without a pattern, not a secret
    rows = []
    for query_id in draw.sample(list(by_query), len(by_query)):
        for one in draw.sample(by_query[query_id], len(by_query[query_id])):
            title, text = documents[one.document_id]
            rows.append(SheetRow(query_id, one.document_id, texts[query_id], title, text))
    return tuple(rows)


def _documents(corpus: Path, wanted: set[str]) -> dict[str, tuple[str, str]]:
    """Return title and text of whole documents, the chunks of one after another, cut to a readable length."""
    found: dict[str, tuple[str, str]] = {}
    for unit in read_records(corpus / "documents.parquet", Document):
        name = unit.parent_id or unit.id
        if name in wanted:
            title, before = found.get(name, (unit.title, ""))
            found[name] = (title, f"{before}\n\n{unit.text}" if before else unit.text)
    return {
        name: (title, text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…")
        for name, (title, text) in found.items()
    }
