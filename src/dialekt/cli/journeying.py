"""What the commands that walk the journey have in common: open the project, walk, answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialekt.cli.screen import Screen

if TYPE_CHECKING:
    from dialekt.flow.project import Project
    from dialekt.flow.records import StageName, StageRecord


@dataclass(frozen=True, slots=True)
class Walk:
    """A finished walk through the journey."""

    project: "Project"
    records: "tuple[StageRecord, ...]"

    def record(self, stage: "StageName") -> "StageRecord":
        """Return the record of a stage that the walk reached."""
        return next(record for record in self.records if record.stage is stage)

    def answer(self) -> dict[str, Any]:
        """Return the facts of every stage, as `--json` prints them."""
        return {"project": str(self.project.folder), "stages": [stage_answer(record) for record in self.records]}


def stage_answer(record: "StageRecord") -> dict[str, Any]:
    """Return what `--json` says of one stage."""
    return {
        "stage": record.stage.value,
        "status": record.status.value,
        "seconds": record.seconds,
        "key": record.key,
        "id": record.id,
        "folder": str(record.folder),
        "inputs": dict(record.inputs),
        "facts": dict(record.facts),
    }


def walk(screen: Screen, folder: Path | None, overrides: Sequence[str] | None, *, until: "StageName") -> Walk:
    """Open a project and run its journey up to a stage, drawing every stage as it goes."""
    from dialekt.flow.project import open_project

    return walk_project(screen, open_project(folder, overrides=overrides or ()), until=until)


def walk_project(screen: Screen, project: "Project", *, until: "StageName") -> Walk:
    """Run the journey of an open project up to a stage, drawing every stage as it goes; ask before it costs money."""
    from dialekt.cli.spending import confirm_spending
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.journey import run

    confirm_spending(screen, project, until=until)
    with watch(screen) as observer:
        return Walk(project, run(project, observer=HeedingObserver(observer), until=until))
