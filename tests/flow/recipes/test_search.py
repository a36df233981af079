"""The search on a real project with a tiny model: it finds, keeps its budget, goes on, and leaves one model."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.flow.recipes.sample import trial

from dialekt.config import load_config
from dialekt.errors import ConfigError, StorageError, UsageError
from dialekt.flow.journey import finished, run, stages_until
from dialekt.flow.project import open_project
from dialekt.flow.recipes import trials
from dialekt.flow.recipes.files import write_recipe
from dialekt.flow.recipes.records import Fidelity, Pending, Trial, TrialState, read_study, search_folders
from dialekt.flow.recipes.search import Found, search_recipes
from dialekt.flow.records import SilentObserver, StageName, StageStatus
from dialekt.flow.workbench import Workbench
from dialekt.store.lock import exclusive

OWN = ("training.learning_rate=0.003", "training.epochs=8", "evaluation.general=builtin")
SLOW = "learning_rate = 0.0003  # much too low\nepochs = 4\n"


class Clock:
    """A clock that goes on by a little whenever it is read: the same trials take the same time everywhere."""

    def __init__(self, tick: float) -> None:
        self.now = 0.0
        self._tick = tick

    def __call__(self) -> float:
        self.now += self._tick
        return self.now


class Watcher(SilentObserver):
    """Remembers the trials; presses Ctrl-C in the middle of one, if asked to."""

    def __init__(self, *, stop_in: int | None = None) -> None:
        self.started: list[Pending] = []
        self.ended: list[Trial] = []
        self.used: list[float] = []
        self._stop_in = stop_in

    def trial_started(self, pending: Pending) -> None:
        """Note what is tried."""
        self.started.append(pending)

    def budget_used(self, seconds: float, total_seconds: float, note: str) -> None:
        """Stop in the middle of the trial that was asked for."""
        self.used.append(seconds / total_seconds)
        if self.started and self.started[-1].number == self._stop_in and "%" in note:
            raise KeyboardInterrupt

    def trial_ended(self, trial: Trial) -> None:
        """Note how it ended."""
        self.ended.append(trial)


def _slow_project(finished_project: Path, home: Path) -> Path:
    """A copy of the finished project whose own recipe learns much too slowly."""
    shutil.copytree(finished_project, home)
    path = home / "dialekt.toml"
    text = path.read_text(encoding="utf-8").replace("learning_rate = 0.003\nepochs = 8\n", SLOW)
    text = text.replace("[evaluation]\n", '[evaluation]\ngeneral = "off"\n')
    path.write_text("# our project\n" + text, encoding="utf-8")
    return home


def _search(
    home: Path, seconds: float, *, watcher: Watcher | None = None, tick: float = 0.05, keep_models: bool = False
) -> Found:
    return search_recipes(
        open_project(home),
        budget_seconds=seconds,
        observer=watcher or Watcher(),
        keep_models=keep_models,
        clock=Clock(tick),
    )


BUDGET_SECONDS = 70.0


@pytest.fixture(scope="module")
def searched(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found, Watcher]:
    """A project after a search that was interrupted in its second trial and went on."""
    home = _slow_project(finished_project, tmp_path_factory.mktemp("searched") / "project")
    interrupted = Watcher(stop_in=1)
    with pytest.raises(KeyboardInterrupt):
        _search(home, BUDGET_SECONDS, watcher=interrupted)
    watcher = Watcher()
    found = _search(home, BUDGET_SECONDS, watcher=watcher)
    assert [pending.number for pending in interrupted.started] == [0, 1]
    assert watcher.started[0].settings == interrupted.started[1].settings
    return home, found, watcher


def test_a_better_learning_rate_is_found(searched: tuple[Path, Found, Watcher]) -> None:
    """The default is the first trial, and the recipe that is kept beats it on dev by more than chance."""
    _, found, _ = searched
    assert found.study.trials[0].settings == {}
    assert found.decision.changed
    assert found.decision.low > 0
    assert float(found.winner.settings["learning_rate"]) > 0.0003
    # training multiplies in bf16 with fp32 weights, a loaded folder may have bf16 weights: a near-tie falls otherwise
    assert found.winner.dev_ndcg == pytest.approx(found.decision.best_ndcg, abs=0.01)
    assert found.winner.dev_ndcg == max(one.dev_ndcg or 0.0 for one in found.study.trials)


def test_the_budget_is_kept(searched: tuple[Path, Found, Watcher]) -> None:
    """Nothing begins that is not expected to end in time, and what an interrupted trial took counts."""
    _, found, watcher = searched
    assert 0.5 * BUDGET_SECONDS < found.study.spent_seconds <= 1.05 * BUDGET_SECONDS
    assert sum(one.seconds for one in found.study.trials) <= found.study.spent_seconds
    assert watcher.used == sorted(watcher.used)


def test_an_interrupted_search_goes_on_with_its_trial(searched: tuple[Path, Found, Watcher]) -> None:
    """The first trial is not repeated, and the second goes on from its checkpoint."""
    _, found, watcher = searched
    assert [one.number for one in watcher.ended] == list(range(1, len(found.study.trials)))
    assert found.study.pending is None


def test_only_the_default_and_the_winner_leave_a_model(searched: tuple[Path, Found, Watcher]) -> None:
    """What losing trials wrote is gone, and so is every half of one; what was there before stays."""
    home, found, _ = searched
    kept = {path.name for path in (home / ".dialekt" / "training").iterdir()}
    own = {one.key[:16] for one in found.study.trials if one.number in {0, found.decision.winner}}
    before = {record.folder.name for record in finished(open_project(home, overrides=OWN))}
    assert own < kept
    assert kept - own <= before
    assert found.freed_bytes > 0


def test_the_winner_is_not_trained_again(searched: tuple[Path, Found, Watcher], tmp_path: Path) -> None:
    """Written into dialekt.toml, with its comments kept, the recipe is the one whose training is skipped."""
    home, _, _ = searched
    copy = Path(shutil.copytree(home, tmp_path / "project"))
    found = _search(copy, BUDGET_SECONDS)  # nothing is left of the budget: this only decides
    written = write_recipe(found, into_config=True)
    text = (copy / "dialekt.toml").read_text(encoding="utf-8")
    assert text.startswith("# our project\n")
    assert f"learning_rate = {found.winner.settings['learning_rate']}  # much too low" in text
    assert set(written.changed) == set(found.winner.settings)
    records = run(open_project(copy), until=StageName.TRAINING)
    assert records[-1].status is StageStatus.SKIPPED
    assert records[-1].key == found.winner.key


def test_the_recipe_stands_in_a_file_of_its_own(searched: tuple[Path, Found, Watcher], tmp_path: Path) -> None:
    """recipe.toml is a whole section that loads, with what was found above it."""
    home, found, _ = searched
    written = write_recipe(found, into_config=False)
    assert written.changed == {}
    assert "much too low" in (home / "dialekt.toml").read_text(encoding="utf-8")
    text = (home / "recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "dialekt.toml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "dialekt.toml", environment={}).training == found.project.config.training
    assert f"{len(found.study.trials)} trials, {found.decision.queries} dev queries" in text
    assert "dialekt evaluate" in text


def test_an_environment_variable_that_would_win_is_refused(
    searched: tuple[Path, Found, Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written must be what the next run reads."""
    home, found, _ = searched
    before = (home / "dialekt.toml").read_bytes()
    monkeypatch.setenv("DIALEKT_TRAINING__LEARNING_RATE", "0.1")
    with pytest.raises(ConfigError, match="DIALEKT_TRAINING__LEARNING_RATE would hide"):
        write_recipe(found, into_config=True)
    assert (home / "dialekt.toml").read_bytes() == before


def test_the_report_tells_of_the_search(searched: tuple[Path, Found, Watcher], tmp_path: Path) -> None:
    """The page of the winner shows the trials; another training's does not."""
    home, found, _ = searched
    copy = Path(shutil.copytree(home, tmp_path / "project"))
    project = replace(open_project(copy), config=found.project.config)
    run(project)
    page = (copy / "report" / "report.md").read_text(encoding="utf-8")
    assert "## Search for the recipe" in page
    assert f"{len(found.study.trials)} trials" in page
    run(open_project(copy, overrides=OWN))
    assert "## Search for the recipe" not in (copy / "report" / "report.md").read_text(encoding="utf-8")


def test_a_trial_that_falls_behind_is_given_up(searched: tuple[Path, Found, Watcher]) -> None:
    """Training ends at the dev score that is too low, and leaves nothing on disk."""
    home, _, _ = searched
    workbench = Workbench(open_project(home))
    *before, stage = stages_until(StageName.TRAINING, workbench)
    for one in before:
        workbench.artefacts[one.name] = one.look_up(workbench, one.recipe(workbench)).artefact  # type: ignore[assignment]
    good = [trial(number, 0.99, points=((0.25, 0.99), (0.5, 0.99))) for number in range(5)]
    watch = trials.Watch(trials.Limits(None, 1e9), good, clock=Clock(0.05), tell=lambda _: None)
    there = set((home / ".dialekt" / "training").iterdir())
    with pytest.raises(trials.PrunedError):
        trials.train(stage, workbench, {"warmup_share": 0.2, "evaluations": 4}, watch)
    assert 0 < watch.points[-1].share < 1
    assert set((home / ".dialekt" / "training").iterdir()) == there


def test_a_default_that_takes_too_long_gets_a_limit(finished_project: Path, tmp_path: Path) -> None:
    """It is begun again with a part of the budget, every full trial has the same limit, and the recipe says so."""
    home = _slow_project(finished_project, tmp_path / "project")
    found = _search(home, 24.0, keep_models=True)
    assert found.study.full_minutes == 0.1
    assert found.study.unlimited_seconds is not None
    assert found.study.unlimited_seconds > 8.0
    assert found.study.trials[0].settings == {"time_limit_minutes": 0.1}
    assert all(one.settings["time_limit_minutes"] == 0.1 for one in found.study.done(Fidelity.FULL))
    assert found.project.config.training.time_limit_minutes == 0.1
    kept = {path.name for path in (home / ".dialekt" / "training").iterdir()}
    assert kept >= {one.key[:16] for one in found.study.done(Fidelity.FULL)}
    assert found.freed_bytes == 0


def test_short_probes_choose_what_is_trained_in_full(finished_project: Path, tmp_path: Path) -> None:
    """Where few full trainings fit, the default and others are probed, and the best probe is trained at full length."""
    home = _slow_project(finished_project, tmp_path / "project")
    found = _search(home, 480.0, tick=0.5)
    full, default, *probes, final = found.study.trials
    assert (full.fidelity, final.fidelity) == (Fidelity.FULL, Fidelity.FULL)
    assert {one.fidelity for one in (default, *probes)} == {Fidelity.PROBE}
    assert default.settings == {"time_limit_minutes": found.study.probe_minutes}
    assert final.point == max(probes, key=lambda one: one.score or 0.0).point
    assert set(final.settings) == set(probes[-1].settings) - {"time_limit_minutes"}
    assert {path.name for path in (home / ".dialekt" / "training").iterdir()}.isdisjoint(one.key[:16] for one in probes)
    assert found.study.spent_seconds <= 1.05 * 480


def test_a_budget_that_is_too_short_says_so(finished_project: Path, tmp_path: Path) -> None:
    """Not even the default is done: an error that names the budget; with more the same training goes on."""
    home = _slow_project(finished_project, tmp_path / "project")
    with pytest.raises(UsageError, match="a budget of 2 seconds ended before the default recipe was trained"):
        _search(home, 2.0)
    (folder,) = search_folders(home / ".dialekt")
    pending = read_study(folder, "").pending
    assert pending is not None
    assert pending.is_default
    assert list((home / ".dialekt" / "training").glob("*.partial"))


def test_two_searches_at_once_are_refused(finished_project: Path, tmp_path: Path) -> None:
    """A project has one writer."""
    home = _slow_project(finished_project, tmp_path / "project")
    with exclusive(home / ".dialekt"), pytest.raises(StorageError, match="another dialekt command is at work"):
        _search(home, 30.0)


def test_a_killed_search_loses_its_running_trial_at_most(finished_project: Path, tmp_path: Path) -> None:
    """Killed hard, it goes on with the very trial that it was in, and repeats none that had ended."""
    home = _slow_project(finished_project, tmp_path / "project")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sentence_transformers", "datasets", "optuna", "dialekt.training.stage"])
    code = f"from dialekt.cli import main; main(['train', '-q', '--budget', '10m', '-p', {str(home)!r}])"
    process = context.Process(target=exec, args=(code, {"__name__": "killed"}))
    process.start()
    deadline = time.monotonic() + 120
    while not _is_in_second_trial(home):
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    pending = read_study(search_folders(home / ".dialekt")[0], "").pending
    watcher = Watcher(stop_in=2)
    with pytest.raises(KeyboardInterrupt):
        _search(home, 600.0, watcher=watcher)
    assert {one.number for one in watcher.started} == {1, 2}
    assert pending is not None
    assert watcher.started[0].point == pending.point


def _is_in_second_trial(home: Path) -> bool:
    folders = search_folders(home / ".dialekt")
    if not folders:
        return False
    pending = read_study(folders[0], "").pending
    return pending is not None and pending.number == 1


def test_a_failed_trial_is_not_tried_again(
    finished_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails for a reason of its own is an error; the next search leaves it out and goes on."""
    home = _slow_project(finished_project, tmp_path / "project")
    real = trials.train

    def fail(stage: object, workbench: object, settings: dict[str, object], watch: object) -> object:
        if settings:
            raise RuntimeError("out of memory")
        return real(stage, workbench, settings, watch)  # type: ignore[arg-type]

    monkeypatch.setattr(trials, "train", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        _search(home, 40.0)
    study = read_study(search_folders(home / ".dialekt")[0], "")
    assert [(one.state, one.error) for one in study.trials[1:]] == [(TrialState.FAILED, "RuntimeError")]
    assert study.pending is None
    assert json.dumps(study.trials[1].settings)


@pytest.mark.parametrize(
    ("setting", "message"),
    [("cluster.on=ray", "a search runs on this machine"), ("training.method=adapter", "there is nothing to search")],
)
def test_what_cannot_be_searched_is_refused(finished_project: Path, setting: str, message: str) -> None:
    """A cluster would lose the hooks of a search, and an adapter searches itself."""
    project = open_project(finished_project, overrides=(setting,))
    with pytest.raises(ConfigError, match=message):
        search_recipes(project, budget_seconds=10, observer=Watcher())
