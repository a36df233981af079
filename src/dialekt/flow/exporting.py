"""The finished pairs and negatives of a project as files for other trainers; the folder appears whole or not at all."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.errors import UsageError
from dialekt.flow.journey import finished
from dialekt.flow.project import Project
from dialekt.flow.records import StageName
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, publish_folder

if TYPE_CHECKING:
    from dialekt.pairs.exports.files import Written
    from dialekt.pairs.exports.names import ExportLayout
    from dialekt.pairs.exports.records import ExportInputs


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the files are, what they hold, and how many bytes they take."""

    folder: Path
    written: "Written"
    size_bytes: int


def export_pairs(project: Project, layout: "ExportLayout", out: Path, *, queries: int | None = None) -> Exported:
    """Write what training sees in a layout; `queries` draws so many train queries.

    Raises `UsageError` while the negatives are not mined or when the folder is there already, `InputError` for what a
    service would refuse, `LeakError` when anything held out would be trained on.
    """
    from dialekt.pairs.exports.records import read_examples
    from dialekt.pairs.exports.table import LAYOUTS, drawn

    target = out.expanduser().resolve()
    if target.exists():
        raise UsageError("is there already", path=out, hint="name a new folder: nothing is overwritten")
    inputs = export_inputs(project)
    examples = drawn(read_examples(inputs), queries, seed=project.config.project.seed)
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    with disk_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            written = LAYOUTS[layout].write(examples, partial)
            publish_folder(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Exported(target, written, size)


def export_inputs(project: Project) -> "ExportInputs":
    """Return the folders of what training would see now. Raises `UsageError` while a stage of it is not done."""
    from dialekt.pairs.exports.records import ExportInputs

    folders = {record.stage: record.folder for record in finished(project)}
    last = StageName.NEGATIVES if project.config.teacher.model is None else StageName.TEACHER
    if last not in folders:
        raise UsageError(
            f"the stage {last.value!r} is not done for these settings",
            path=project.folder,
            hint="dialekt mine makes pairs and negatives" if last is StageName.NEGATIVES else "dialekt run does it",
        )
    taught = folders.get(StageName.TEACHER)
    return ExportInputs(
        corpus=folders[StageName.CORPUS],
        made=folders[StageName.PAIRS],
        pairs=taught or folders[StageName.PAIRS],
        negatives=taught or folders[StageName.NEGATIVES],
        minimum_grade=project.config.pairs.minimum_grade,
    )
