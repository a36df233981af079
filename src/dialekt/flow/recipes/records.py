"""What a search remembers: the trials, the one that is running, and how much of the budget is spent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from dialekt.errors import StorageError
from dialekt.flow.facts import plain
from dialekt.flow.records import Observer
from dialekt.store.atomic import write_atomic

Value = str | int | float
SEARCHES_NAME = "search"
STUDY_NAME = "study.json"
STUDY_VERSION = 1


class Fidelity(StrEnum):
    """How long a trial trains: as long as a training of the project does, or a part of that to see where it leads."""

    FULL = "full"
    PROBE = "probe"


class TrialState(StrEnum):
    """How a trial ended."""

    DONE = "done"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DevPoint:
    """NDCG@10 on dev after a share of the steps, in (0, 1], before any mixture with the base."""

    share: float
    dev_ndcg: float


@dataclass(frozen=True, slots=True)
class Pending:
    """A trial that has begun: kept on disk, so that a killed search goes on with the very same one.

    `settings` are those of [training] that differ from the project's; `point` is where it lies in the search space.
    `seconds` is what earlier, interrupted attempts at it took.
    """

    number: int
    fidelity: Fidelity
    settings: Mapping[str, Value]
    point: Mapping[str, Value]
    seconds: float = 0.0

    @property
    def is_default(self) -> bool:
        """Whether it is the project's own recipe at its full length."""
        return self.number == 0


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that has ended.

    `dev_ndcg` is that of the chosen mixture with the base, None where there was none; `dev_scores` are the same by dev
    query, of full trials only. `key` is that of the training artefact, `made` whether the search made it.
    """

    number: int
    fidelity: Fidelity
    settings: Mapping[str, Value]
    point: Mapping[str, Value]
    state: TrialState
    seconds: float
    dev_ndcg: float | None = None
    points: tuple[DevPoint, ...] = ()
    key: str = ""
    made: bool = False
    error: str = ""
    dev_scores: tuple[float, ...] = ()

    @property
    def score(self) -> float | None:
        """What the trial is worth: its result, or what it had reached when it was pruned."""
        if self.state is TrialState.PRUNED and self.points:
            return max(point.dev_ndcg for point in self.points)
        return self.dev_ndcg if self.state is TrialState.DONE else None


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that a search knows. Trial 0 is the project's own recipe.

    `full_minutes` limits every full trial, also the default's: None where the default fits into the budget as it is.
    `unlimited_seconds` is then what the default was going to take without a limit.
    `probe_minutes` limits the probes: None where there is time for full trials alone.
    """

    id: str
    trials: tuple[Trial, ...] = ()
    pending: Pending | None = None
    spent_seconds: float = 0.0
    full_minutes: float | None = None
    unlimited_seconds: float | None = None
    probe_minutes: float | None = None

    @property
    def default(self) -> Trial | None:
        """The trial of the project's own recipe."""
        return next((trial for trial in self.trials if trial.number == 0), None)

    def done(self, fidelity: Fidelity) -> tuple[Trial, ...]:
        """Return the trials of a length that ended with a result."""
        return tuple(trial for trial in self.trials if trial.fidelity is fidelity and trial.state is TrialState.DONE)

    def history(self, fidelity: Fidelity) -> tuple[Trial, ...]:
        """Return the trials of a length that say how good a recipe is."""
        return tuple(trial for trial in self.trials if trial.fidelity is fidelity and trial.score is not None)

    def trial(self, number: int) -> Trial:
        """Return a trial by its number."""
        return next(trial for trial in self.trials if trial.number == number)


class SearchObserver(Observer, Protocol):
    """Someone who watches a search."""

    def trial_started(self, pending: Pending) -> None:
        """A trial begins."""

    def budget_used(self, seconds: float, total_seconds: float, note: str) -> None:
        """So much of the budget is used; the note says what the trial is doing."""

    def trial_ended(self, trial: Trial) -> None:
        """A trial has ended."""


def read_study(folder: Path, study_id: str) -> Study:
    """Return the study of a folder, a new one where there is none. Raises `StorageError` for a damaged file."""
    path = folder / STUDY_NAME
    if not path.is_file():
        return Study(study_id)
    try:
        return _revive(json.loads(path.read_text(encoding="utf-8"))["study"])
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"the search is damaged: {error}", path=path, hint="remove the file to search from the start"
        ) from error


def write_study(folder: Path, study: Study, found: Mapping[str, Any] | None = None) -> None:
    """Write a study, and what was found once its search has ended."""
    content = {"version": STUDY_VERSION, "study": plain(study), "found": plain(found or {})}
    write_atomic(folder / STUDY_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_found(folder: Path) -> dict[str, Any]:
    """Return what an ended search found, empty where none has ended or the file is damaged."""
    try:
        found = json.loads((folder / STUDY_NAME).read_text(encoding="utf-8"))["found"]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


def search_folders(artefacts: Path) -> tuple[Path, ...]:
    """Return the folders of a project's searches, the youngest first."""
    found = (artefacts / SEARCHES_NAME).glob(f"*/{STUDY_NAME}")
    return tuple(path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True))


def summary(study: Study, decision: object, *, winner_key: str) -> dict[str, Any]:
    """Return what the report tells of a search that has ended; `winner_key` is that of the training that is kept."""
    return {
        "decision": decision,
        "winner_key": winner_key,
        "spent_seconds": study.spent_seconds,
        "trials": [
            {
                "number": trial.number,
                "fidelity": trial.fidelity,
                "state": trial.state,
                "settings": trial.settings,
                "score": trial.score,
                "seconds": trial.seconds,
            }
            for trial in study.trials
        ],
    }


def _revive(values: dict[str, Any]) -> Study:
    pending = values["pending"]
    revived = pending and Pending(**pending | {"fidelity": Fidelity(pending["fidelity"])})
    return Study(**values | {"trials": tuple(map(_revive_trial, values["trials"])), "pending": revived})


def _revive_trial(values: dict[str, Any]) -> Trial:
    return Trial(
        **values
        | {
            "fidelity": Fidelity(values["fidelity"]),
            "state": TrialState(values["state"]),
            "points": tuple(DevPoint(**point) for point in values["points"]),
            "dev_scores": tuple(values["dev_scores"]),
        }
    )
