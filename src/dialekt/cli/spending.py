"""Asks before money is spent: what an LLM would cost, before its first call, whatever command leads there."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dialekt.cli.screen import Screen
from dialekt.errors import UsageError

if TYPE_CHECKING:
    from dialekt.flow.project import Project
    from dialekt.flow.records import StageName, StageRecord
    from dialekt.synthesis.records import CostEstimate

HINT = "add --yes to dialekt pairs synthesize, or --set synthesis.confirm=false to any command"


def confirm_spending(screen: Screen, project: "Project", *, until: "StageName") -> None:
    """Walk up to the made queries, estimate their cost, and ask; say nothing when no LLM call is to be made.

    Raises `UsageError` when the answer is no, or nobody is there to answer.
    """
    from dialekt.flow.journey import plan
    from dialekt.flow.records import Action, StageName
    from dialekt.synthesis.llm_queries import uses_llm

    stages = list(StageName)
    config = project.config.synthesis
    if not config.confirm or not uses_llm(config) or stages.index(until) < stages.index(StageName.SYNTHESIS):
        return
    planned = plan(project, until=StageName.SYNTHESIS)
    if planned[-1].action is Action.SKIP:
        return
    found = _estimate(screen, project, before=planned[-2].stage)
    if found.calls:
        _ask(found)


def _estimate(screen: Screen, project: "Project", *, before: "StageName") -> "CostEstimate":
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.journey import run
    from dialekt.flow.records import StageName
    from dialekt.synthesis.cost import estimate
    from dialekt.synthesis.records import ANSWERS_NAME, SynthesisInputs

    with watch(screen) as observer:
        folders = _folders(run(project, observer=HeedingObserver(observer), until=before))
    split = folders.get(StageName.SPLIT)
    inputs = SynthesisInputs(
        corpus=folders[StageName.CORPUS] / "documents.parquet",
        queries=split and split / "queries.parquet",
        seed=project.config.project.seed,
        answers=project.artefacts / ANSWERS_NAME,
    )
    return estimate(project.config.synthesis, inputs)


def _folders(records: "tuple[StageRecord, ...]") -> "dict[StageName, Path]":
    return {record.stage: record.folder for record in records}


def _ask(found: "CostEstimate") -> None:
    tokens = f"{found.input_tokens:,} tokens in, {found.output_tokens:,} out"
    cost = f", cost about {found.cost:,.2f}" if found.cost else ", no price is set"
    kept = f" ({found.answered:,} more are answered already)" if found.answered else ""
    said = f"{found.calls:,} calls to the LLM{kept}: about {tokens}{cost}"
    if not sys.stdin.isatty():
        raise UsageError(f"{said}; nobody is there to confirm it", hint=HINT)
    if not typer.confirm(f"{said}. Go on?", err=True):
        raise UsageError("not confirmed: the LLM was asked nothing", hint="lower synthesis.max_documents, set a budget")
