"""`dialekt index search`: one search, from the command line."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.index.filters import Filter
    from dialekt.index.searching import Hit
    from dialekt.types import Document

SHOWN_CHARACTERS = 90


def search_index(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    *,
    k: Annotated[int, typer.Option("-k", help="Documents to show.", min=1, max=1_000)] = 10,
    where: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="FIELD=VALUE", help="Only documents with this metadata; may be repeated."),
    ] = None,
    hybrid: Annotated[bool, typer.Option("--hybrid", help="Join the ranking with that of BM25.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every vector.")] = False,
    release: Annotated[str, typer.Option("--release", help="Another release than the live one.")] = "live",
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Search the live release. For many searches run `dialekt serve`, which keeps the model loaded.

    Example: dialekt index search 'reset my password' -k 3 --filter lang=en --hybrid
    """
    from dataclasses import replace

    from dialekt.flow.facts import plain
    from dialekt.flow.indexing import open_works
    from dialekt.flow.project import open_project
    from dialekt.index.searching import Searcher
    from dialekt.index.update.mixed import searched
    from dialekt.types import Role

    screen = open_screen("index.search", as_json=as_json, quiet=quiet)
    conditions = _filter(where or ())
    with open_works(open_project(project, overrides=settings or ())) as works:
        found = works.catalogue.release(release)
        searcher = Searcher(works.opened.documents, searched(works.opened.engine(found.index), found), found.settings)
        vectors = works.embed(works.model_of(found))([query], Role.QUERY)
        started = time.perf_counter()
        tried = replace(found.settings, exact=True) if exact else None
        hits = searcher.search(vectors, k=k, where=conditions, settings=tried, texts=[query] if hybrid else None)[0]
        seconds = time.perf_counter() - started
        units = works.opened.documents.read([hit.unit_id for hit in hits])
        _show(screen, hits, units)
        screen.messages.print(f"{found.name}, model {found.model}: {seconds * 1e3:.1f} ms", style="dim")
        rows = [plain(hit) | {"title": units[hit.unit_id].title} for hit in hits if hit.unit_id in units]
        screen.finish({"release": found.name, "model": found.model, "milliseconds": seconds * 1e3, "hits": rows})


def _show(screen: Screen, hits: "list[Hit]", units: "dict[str, Document]") -> None:
    from rich.markup import escape

    if not hits:
        screen.results.print("nothing found")
    for rank, hit in enumerate(hits, start=1):
        unit = units.get(hit.unit_id)
        text = " ".join(unit.content.split())[:SHOWN_CHARACTERS] if unit else ""
        screen.results.print(f"{rank:>3}  {hit.score:.3f}  [bold]{escape(hit.document_id)}[/]", soft_wrap=True)
        screen.results.print(f"            {text}", style="dim", markup=False, soft_wrap=True)


def _filter(conditions: list[str] | tuple[()]) -> "Filter":
    """Read FIELD=VALUE conditions; those on one field are alternatives."""
    from dialekt.errors import UsageError
    from dialekt.index.filters import parse_filter

    fields: dict[str, list[str]] = {}
    for condition in conditions:
        field, equals, value = condition.partition("=")
        if not equals or not field:
            raise UsageError(f"--filter {condition!r} is not FIELD=VALUE", hint="for example: --filter lang=en")
        fields.setdefault(field, []).append(value)
    return parse_filter(fields)
