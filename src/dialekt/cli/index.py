"""`dialekt index`: vectors of all documents, and which release of them is live."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialekt.cli.index_advise import advise_index
from dialekt.cli.index_search import search_index
from dialekt.cli.index_update import update_index
from dialekt.cli.options import JsonOption, OnOption, ProjectOption, QuietOption, SetOption, with_place
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.flow.indexing import IndexWorks

app = typer.Typer(
    help="Build, search, migrate and roll back the vector index.", no_args_is_help=True, rich_markup_mode=None
)

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="A version such as v3, or champion, latest or base.", show_default="champion"),
]
OverrideOption = Annotated[
    str, typer.Option("--override", metavar="REASON", help="Go live although a check says no; this is recorded.")
]
ReleaseArgument = Annotated[str, typer.Argument(help="A release such as r2, or 'live'.")]
SwitchOption = Annotated[bool, typer.Option("--switch/--no-switch", help="Go live at the end, or only get ready.")]


@app.command("build")
def build_index(
    model: ModelOption = None,
    switch: SwitchOption = True,
    override: OverrideOption = "",
    on: OnOption = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the first release, or bring the live one's documents up to date.

    Only what is new or changed is embedded; killed, the same command goes on. `dialekt serve` then has POST /search.
    """
    from dialekt.flow import releasing

    screen = open_screen("index.build", as_json=as_json, quiet=quiet)
    _release(screen, releasing.build, project, with_place(settings, on), model=model, switch=switch, override=override)


@app.command("migrate")
def migrate_index(
    model: ModelOption = None,
    switch: SwitchOption = True,
    override: OverrideOption = "",
    on: OnOption = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build a release of another model or kind beside the live one, check it, and switch without downtime.

    Writes that arrive meanwhile are taken in. The old release stays for `dialekt index rollback` until it is dropped.
    """
    from dialekt.flow import releasing

    screen = open_screen("index.migrate", as_json=as_json, quiet=quiet)
    _release(
        screen, releasing.migrate, project, with_place(settings, on), model=model, switch=switch, override=override
    )


@app.command("rollback")
def roll_back_index(
    reason: Annotated[str, typer.Option("--reason", help="Why; this is recorded.")] = "",
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go back to the release before the live one, with everything that was written since."""
    from dialekt.flow.facts import plain
    from dialekt.flow.releasing import roll_back

    screen = open_screen("index.rollback", as_json=as_json, quiet=quiet)
    with _opened(project, settings) as works:
        entry = roll_back(works, reason=reason)
        screen.results.print(f"[bold]{entry.release}[/] is live (before: {entry.previous})")
        screen.finish(plain(entry))


@app.command("list")
def list_releases(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """List all releases; the live one is marked, and the one that a rollback goes back to."""
    from rich.table import Table

    screen = open_screen("index.list", as_json=as_json, quiet=quiet)
    with _opened(project, settings) as works:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
        for title in ("release", "model", "vectors", "rows", "on disk", "created"):
            table.add_column(title, no_wrap=True, justify="right" if title in {"rows", "on disk"} else "left")
        rows = [release_answer(works, release) for release in works.catalogue.releases()]
        for row in rows:
            mark = f"[bold green]{row['release']}[/] live" if row["live"] else str(row["release"])
            mark += " (rollback)" if row["rollback"] else "" if row["state"] == "ready" else f" {row['state']}"
            vectors = f"{row['index']} {row['engine']} {row['first_stage']}".strip()
            there = not row["fault"]
            size, count = (f"{row['disk_bytes'] / 1e6:,.1f} MB", f"{row['rows']:,}") if there else ("?", "?")
            table.add_row(mark, str(row["model"]), vectors, count, size, str(row["created"])[:16].replace("T", " "))
        screen.results.print(table if rows else "no release yet; dialekt index build makes one")
        for row in rows:
            if row["fault"]:
                screen.messages.print(f"{row['release']}: {row['fault']}", markup=False, soft_wrap=True)
        screen.finish({"live": works.catalogue.live() or None, "releases": rows})


@app.command("show")
def show_release(
    release: ReleaseArgument = "live",
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what a release is made of, what its checks measured, and the history of what was live."""
    from dialekt.flow.facts import plain

    screen = open_screen("index.show", as_json=as_json, quiet=quiet)
    with _opened(project, settings) as works:
        found = works.catalogue.release(release)
        answer = release_answer(works, found)
        for name, value in answer.items():
            screen.results.print(f"{name.replace('_', ' '):<16}{value}", markup=False, soft_wrap=True)
        for name, check in found.facts.get("checks", {}).items():
            screen.results.print(f"{'✓' if check['passed'] else '✗'} {name:<14}{check['detail']}", soft_wrap=True)
        history = works.catalogue.history()
        for entry in history:
            why = f": {entry.reason}" if entry.reason else ""
            screen.results.print(f"{entry.at}  {entry.kind.value} to {entry.release}{why}", markup=False)
        screen.finish(answer | {"facts": plain(found.facts), "history": [plain(entry) for entry in history]})


@app.command("verify")
def verify_release(
    release: ReleaseArgument = "live",
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a release's rows with the documents, and its vectors with its model; exit code 3 when they differ."""
    from dialekt.cli.index_results import show_checks
    from dialekt.errors import GateError
    from dialekt.flow.facts import plain
    from dialekt.flow.releasing import verify

    screen = open_screen("index.verify", as_json=as_json, quiet=quiet)
    with _opened(project, settings) as works:
        checks = verify(works, works.catalogue.release(release))
        show_checks(screen, checks)
        screen.finish({"checks": [plain(check) for check in checks]})
        if failed := [check.name for check in checks if not check.passed]:
            raise GateError(
                f"{release}: {' and '.join(failed)} do not hold", hint="dialekt index build repairs the live release"
            )


@app.command("drop")
def drop_release(
    release: Annotated[str, typer.Argument(help="A release such as r2 that is not live.")],
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Remove a release and, unless another release uses them, its vectors. The live one cannot be removed."""
    from dialekt.flow.releasing import drop

    screen = open_screen("index.drop", as_json=as_json, quiet=quiet)
    with _opened(project, settings) as works:
        version = drop(works, release)
        screen.results.print(f"removed {release}" + (f" and the vectors of {version}" if version else ""))
        screen.finish({"release": release, "index": version or None})


app.command("search")(search_index)
app.command("advise")(advise_index)
app.command("update")(update_index)


def release_answer(works: "IndexWorks", release: Any) -> dict[str, Any]:
    """Return what lists and `--json` say of a release."""
    from dialekt.errors import DialektError

    version = works.catalogue.version(release.index)
    stage = version.spec.first_stage
    rows: int | None = None
    size: int | None = None
    fault = ""
    try:
        engine = works.opened.engine(version.name)
        rows, size = engine.count(), engine.size().disk_bytes
    except DialektError as error:  # its server is away: the others are listed all the same
        fault = error.message
    return {
        "release": release.name,
        "live": release.name == works.catalogue.live(),
        "rollback": release.name == works.catalogue.previous(),
        "state": release.state.value,
        "model": release.model,
        "index": version.name,
        "engine": version.spec.engine.value,
        "first_stage": f"{stage.dimensions} {stage.quantization.value}" if stage else "",
        "dimension": version.spec.dimension,
        "rows": rows,
        "disk_bytes": size,
        "fault": fault,
        "created": release.created,
    }


@contextmanager
def _opened(folder: Path | None, overrides: list[str] | None) -> "Iterator[IndexWorks]":
    """Open the project's index for one command."""
    from dialekt.flow.indexing import open_works
    from dialekt.flow.project import open_project

    with open_works(open_project(folder, overrides=overrides or ())) as works:
        yield works


def _release(
    screen: Screen, make: Any, folder: Path | None, overrides: list[str] | None, *, model: str | None, switch: bool,
    override: str,
) -> None:  # fmt: skip
    """Make a release, drawing what it does, and print what came of it."""
    from functools import partial

    from dialekt.cli.index_results import answer, show_estimate, show_release_facts
    from dialekt.cli.stopping import HeedingObserver
    from dialekt.cli.watching import watch
    from dialekt.flow.indexing import open_works
    from dialekt.flow.project import open_project
    from dialekt.flow.releasing import Wishes

    opened = open_project(folder, overrides=overrides or ())
    with watch(screen) as plain_observer:
        observer = HeedingObserver(plain_observer)
        with open_works(opened, create=True, progress=partial(observer.progressed, "index")) as works:
            wishes = Wishes(model, switch=switch, override=override, announce=partial(show_estimate, screen))
            facts = make(works, wishes, observer=observer)
    show_release_facts(screen, facts)
    screen.finish(answer(facts))
