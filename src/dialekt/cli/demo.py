"""`dialekt demo`: the whole journey on the docstrings of the Python libraries on this machine."""

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.cli.journeying import Walk
    from dialekt.flow.answers import Answers, Found

QUESTIONS = 3
TEXT_CHARACTERS = 66
MARKER = ".dialekt-demo"
SETTINGS = {
    "project.name": "Python docstrings",
    "corpus.path": "docstrings",
    "model.max_tokens": 128,
    "training.batch_size": 32,
    "training.learning_rate": 1e-4,
    "training.max_document_tokens": 64,
    "training.time_limit_minutes": 3.25,
}


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo project is made.")] = Path("demo-project"),
    limit: Annotated[int, typer.Option("--limit", min=100, help="Use at most this many docstrings.")] = 2_400,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove an earlier demo in that folder first.")] = False,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Teach MiniLM the language of the installed Python libraries, and prove it, in a few minutes and offline."""
    from dialekt.cli.journeying import walk_project
    from dialekt.cli.results import show_results
    from dialekt.flow.project import open_project
    from dialekt.flow.records import StageName

    screen = open_screen("demo", as_json=as_json, quiet=quiet)
    home = folder.expanduser().resolve()
    _prepare(screen, home, limit=limit, fresh=fresh)
    finished = walk_project(screen, open_project(home, overrides=settings or ()), until=StageName.REPORT)
    show_results(screen, finished)
    answers = chosen_answers(finished)
    show_answers(screen, finished, answers)
    screen.finish(finished.answer() | {"questions": [_answer(item) for item in answers]})


def _prepare(screen: Screen, home: Path, *, limit: int, fresh: bool) -> None:
    """Write the demo's project, unless it is there from before; never touch a folder that is no demo."""
    from dialekt.config import CONFIG_NAME
    from dialekt.errors import UsageError
    from dialekt.store.atomic import disk_errors

    mine = (home / MARKER).is_file()
    if home.exists() and any(home.iterdir()) and not mine:
        raise UsageError("the folder is not empty and no demo", path=home, hint="name another: dialekt demo FOLDER")
    if fresh and mine:
        with disk_errors(home):
            shutil.rmtree(home)
    if (home / CONFIG_NAME).is_file() and (home / MARKER).read_text(encoding="utf-8") == _marker(limit):
        return
    _write_project(screen, home, limit=limit)


def _write_project(screen: Screen, home: Path, *, limit: int) -> None:
    from dialekt.cli.template import render
    from dialekt.cli.watching import watch
    from dialekt.config import CONFIG_NAME
    from dialekt.corpus.docstrings import write_docstring_project
    from dialekt.store.atomic import disk_errors, write_atomic

    with disk_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    write_atomic(home / MARKER, "unfinished")
    screen.messages.print("reading the docstrings of the installed Python libraries …")
    with watch(screen) as observer:
        facts = write_docstring_project(
            home / "docstrings", limit=limit, progress=partial(observer.progressed, "docstrings")
        )
    libraries = ", ".join(sorted(facts.libraries))
    screen.messages.print(f"{facts.pairs:,} docstrings of {libraries}", style="dim")
    write_atomic(home / CONFIG_NAME, render(SETTINGS))
    write_atomic(home / MARKER, _marker(limit))


def _marker(limit: int) -> str:
    return f"dialekt demo of {limit:,} docstrings\n"


def chosen_answers(walk: "Walk") -> "list[Answers]":
    """Pick held-out queries that the tuned model answers first and the base does not; fewer if there are fewer."""
    from dialekt.evaluation.records import facts_from_json
    from dialekt.flow.answers import AnswerSources, read_answers
    from dialekt.flow.records import StageName

    changes = facts_from_json(walk.record(StageName.EVALUATION).facts)
    query_ids = [change.query_id for change in (*changes.wins, *reversed(changes.losses))]
    sources = AnswerSources(
        corpus=walk.record(StageName.CORPUS).folder,
        split=walk.record(StageName.PAIRS).folder,
        evaluation=walk.record(StageName.EVALUATION).folder,
        minimum_grade=walk.project.config.pairs.minimum_grade,
    )
    answers = [item for item in read_answers(sources, query_ids) if all(item.by_system.values())]
    return sorted(answers, key=_is_first_only_when_tuned, reverse=True)[:QUESTIONS]


def _is_first_only_when_tuned(answers: "Answers") -> bool:
    return answers.by_system["tuned"][0].relevant and not answers.by_system["base"][0].relevant


def show_answers(screen: Screen, walk: "Walk", answers: "list[Answers]") -> None:
    """Print what base and tuned find first, and say how these queries were chosen."""
    from dialekt.evaluation.records import facts_from_json
    from dialekt.flow.records import StageName

    gain = facts_from_json(walk.record(StageName.EVALUATION).facts).comparison("tuned", "base")
    counts = f" (of all: {gain.wins:,} better, {gain.losses:,} worse, {gain.ties:,} equal)" if gain else ""
    screen.results.print(f"\nHeld-out queries, chosen among those that tuning changed most{counts}:")
    for item in answers:
        screen.results.print(f"\n[bold]?[/] {_escaped(item.query, 76)}")
        for system, found in item.by_system.items():
            mark = "[green]✓[/]" if found[0].relevant else "[red]✗[/]"
            screen.results.print(f"  {system:<5} {mark} {_escaped(_shown(found[0]), TEXT_CHARACTERS)}")


def _shown(found: "Found") -> str:
    return f"{found.title}: {found.text}" if found.title else found.text


def _escaped(text: str, characters: int) -> str:
    from rich.markup import escape

    flat = " ".join(text.split())
    return escape(flat if len(flat) <= characters else flat[: characters - 1] + "…")


def _answer(answers: "Answers") -> dict[str, object]:
    by_system = {system: [found.document_id for found in ranked] for system, ranked in answers.by_system.items()}
    return {"query_id": answers.query_id, "query": answers.query, "first": by_system}
