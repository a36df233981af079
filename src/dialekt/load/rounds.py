"""Whole measurements: one or several processes, one server or two in turns."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from types import FrameType

from dialekt.load.generator import STOP_SIGNALS, run_here
from dialekt.load.records import BatchFill, Plan, Summary, Tally
from dialekt.load.statistics import batch_fill, combine, summarise
from dialekt.load.targets import read_batches

START_SECONDS = 60.0
Said = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of one server."""

    tally: Tally
    summary: Summary
    fill: BatchFill | None


def run_rounds(plans: Sequence[Plan], *, rounds: int, workers: int, say: Said) -> list[list[Round]]:
    """Let the servers take turns, the order reversed every time; return the rounds of each plan.

    A machine that speeds up or slows down so treats all alike. Ctrl-C ends after what has been measured: of several
    servers only rounds that all have had are returned.
    """
    found: list[list[Round]] = [[] for _ in plans]
    for number in range(rounds):
        order = list(range(len(plans)))[:: -1 if number % 2 else 1]
        for place in order:
            say(f"round {number + 1} of {rounds}: {plans[place].target.url}")
            found[place].append(run_round(replace(plans[place], seed=plans[place].seed + number), workers=workers))
            if found[place][-1].tally.stopped:
                whole = min(len(one) for one in found)
                return [one[:whole] for one in found] if len(plans) > 1 else found
    return found


def run_round(plan: Plan, *, workers: int) -> Round:
    """Send one load, and see how full the server's batches were meanwhile."""
    before = read_batches(plan.target)
    tally = run_here(plan) if workers == 1 else run_workers(plan, workers)
    after = None if tally.stopped else read_batches(plan.target)
    fill = batch_fill(before, after, most_tokens=plan.target.batch_tokens)
    return Round(tally, summarise(tally, texts_per_request=plan.texts_per_request, fill=fill), fill)


def split_plan(plan: Plan, workers: int) -> list[Plan]:
    """Share connections, rate and number of requests out to processes; together they send the plan."""
    pace = plan.pace
    parts = []
    for number in range(workers):
        share = replace(
            pace,
            connections=max(_part(pace.connections, workers, number), 1),
            rate_per_second=None if pace.rate_per_second is None else pace.rate_per_second / workers,
            requests=None if pace.requests is None else max(_part(pace.requests, workers, number), 1),
        )
        parts.append(replace(plan, pace=share, seed=plan.seed * workers + number))
    return parts


def _part(total: int, workers: int, number: int) -> int:
    return total // workers + (number < total % workers)


def run_workers(plan: Plan, workers: int) -> Tally:
    """Send the load from several processes that begin at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    processes: list[BaseProcess] = []
    ends: list[Connection[Tally, Tally]] = []
    for part in split_plan(plan, workers):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(part, barrier, sender), daemon=True)
        process.start()
        sender.close()
        processes.append(process)
        ends.append(receiver)
    return combine(_collect(processes, ends), together=True)


def _collect(processes: Sequence[BaseProcess], ends: "Sequence[Connection[Tally, Tally]]") -> list[Tally]:
    """Wait for all; a request to end goes on to the workers, which then answer with what they have."""

    def pass_on(_number: int, _frame: FrameType | None) -> None:
        for process in processes:
            if process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)

    former = {number: signal.signal(number, pass_on) for number in STOP_SIGNALS}
    try:
        tallies = [end.recv() for end in ends]
        for process in processes:
            process.join()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    return tallies


def _work(plan: Plan, barrier: Barrier, sender: "Connection[Tally, Tally]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    barrier.wait(START_SECONDS)
    sender.send(run_here(plan))
