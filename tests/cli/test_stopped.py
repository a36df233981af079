"""Stopped by Ctrl-C, by a request to end, or killed: finished work is kept and the next run goes on."""

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from dialekt.flow.journey import finished
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName

Dialekt = Callable[..., Any]
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def servers() -> multiprocessing.context.ForkServerContext:
    """Processes that have loaded torch already, so that each test does not wait for it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sentence_transformers", "datasets", "dialekt.training.stage"])
    return context


@pytest.fixture
def unfinished(finished_project: Path, tmp_path: Path) -> Path:
    """The finished project without anything that was made."""
    home = tmp_path / "project"
    shutil.copytree(finished_project, home, ignore=shutil.ignore_patterns(".dialekt", "registry", "report"))
    return home


def _start(servers: multiprocessing.context.ForkServerContext, home: Path) -> ForkServerProcess:
    """Start `dialekt run` in a process of its own that writes what it says to files."""
    code = f"""
import sys
sys.stdout, sys.stderr = open({str(home / "out")!r}, "w"), open({str(home / "err")!r}, "w")
from dialekt.cli import main
code = main(["run", "--project", {str(home)!r}])
sys.stdout.flush(), sys.stderr.flush()
sys.exit(code)
"""
    process = servers.Process(target=exec, args=(code, {"__name__": "stopped"}))
    process.start()
    return process


def _wait_for(process: ForkServerProcess, path: Path) -> None:
    """Wait until a stage has begun."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert process.is_alive(), "the run ended before the stage began"
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.002)


def _send(process: ForkServerProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(PATIENCE_SECONDS)


def test_killed_at_many_stages_and_still_done(
    servers: multiprocessing.context.ForkServerContext, unfinished: Path, finished_project: Path, dialekt: Dialekt
) -> None:
    """Killed hard in stage after stage, the journey ends with the very artefacts of an undisturbed one."""
    for stage in (StageName.CORPUS, StageName.BASE_VECTORS, StageName.TRAINING, StageName.EVALUATION):
        process = _start(servers, unfinished)
        _wait_for(process, unfinished / ".dialekt" / stage)
        _send(process, signal.SIGKILL)
    answer = dialekt("run", "--project", unfinished, "--json")
    assert answer.code == 0
    assert not list((unfinished / ".dialekt").rglob("*.partial"))
    undisturbed = {record.stage: record for record in finished(open_project(finished_project))}
    disturbed = {record.stage: record for record in finished(open_project(unfinished))}
    assert disturbed.keys() == undisturbed.keys()
    for stage in (StageName.CORPUS, StageName.PAIRS, StageName.BASE_VECTORS, StageName.NEGATIVES):
        assert disturbed[stage].id == undisturbed[stage].id


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_one_line_and_keeps_what_is_done(
    servers: multiprocessing.context.ForkServerContext, unfinished: Path, number: signal.Signals
) -> None:
    """Interrupted in training, the command says what is kept, exits with 130, and leaves no traceback."""
    process = _start(servers, unfinished)
    _wait_for(process, unfinished / ".dialekt" / "training")
    _send(process, number)
    assert process.exitcode == 130
    said = (unfinished / "err").read_text(encoding="utf-8")
    assert "error: stopped; every finished stage is kept" in said
    assert "Traceback" not in said
    done = [record.stage for record in finished(open_project(unfinished))]
    assert done[-1] is StageName.GENERAL
