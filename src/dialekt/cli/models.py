"""`dialekt models`: registered versions, and which of them is the champion."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialekt.cli.export import export_model
from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen

if TYPE_CHECKING:
    from dialekt.flow.project import Project
    from dialekt.registry.records import Promotion, Version

app = typer.Typer(
    help="List, show, promote, roll back and export registered models.", no_args_is_help=True, rich_markup_mode=None
)

VersionArgument = Annotated[str, typer.Argument(help="A version such as v3, or 'champion' or 'latest'.")]


@app.command("list")
def list_models(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """List all versions with their measured gain; the champion is marked."""
    from rich.table import Table

    from dialekt.registry.champion import read_aliases
    from dialekt.registry.versions import list_versions

    screen = open_screen("models.list", as_json=as_json, quiet=quiet)
    registry = _open(project, settings).config.registry.path
    versions, champion = list_versions(registry), read_aliases(registry).champion
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("version", "created", "NDCG@10", "tuned − base", "base model"):
        table.add_column(title, no_wrap=title != "base model")
    for version in versions:
        mark = f"[bold green]{version.name}[/] champion" if version.name == champion else version.name
        created = version.created[:16].replace("T", " ")
        table.add_row(mark, created, *_scores(version), Path(version.lineage.base_model).name)
    screen.results.print(table if versions else "no version yet; dialekt run trains and registers one")
    screen.finish({"champion": champion or None, "versions": [_answer(version) for version in versions]})


@app.command("show")
def show_model(
    version: VersionArgument = "latest",
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show where a version came from, what was measured, and what the promotion gate says."""
    from dialekt.registry.aliases import judge_version
    from dialekt.registry.versions import load_version

    screen = open_screen("models.show", as_json=as_json, quiet=quiet)
    config = _open(project, settings).config.registry
    found = load_version(config.path, version, check_files=False)
    verdict = judge_version(config.path, found, minimum_gain=config.minimum_gain)
    value, gain = _scores(found)
    lines = {
        "version": found.name,
        "created": found.created,
        "base model": found.lineage.base_model,
        "trained on": f"{found.lineage.recipe.pairs:,} pairs of {found.lineage.recipe.queries:,} queries",
        "NDCG@10": f"{value} on {found.evidence.queries:,} held-out queries",
        "tuned − base": gain,
        "deploy": found.evidence.recommendation,
        "dialekt": found.lineage.code_version,
        "content id": found.content_id[:16],
        "model": str(found.model),
        "promotable": "yes" if verdict.promotable else f"no: {'; '.join(verdict.reasons)}",
    }
    for name, text in lines.items():
        screen.results.print(f"{name:<13}{text}", markup=False, soft_wrap=True)
    facts = _answer(found) | {"lineage": _plain(found.lineage), "evidence": _plain(found.evidence)}
    screen.finish(facts | {"promotable": verdict.promotable, "reasons": list(verdict.reasons)})


@app.command("promote")
def promote_model(
    version: VersionArgument,
    override: Annotated[
        str | None,
        typer.Option("--override", metavar="REASON", help="Promote although the gate says no; this is recorded."),
    ] = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a version the champion; refused with exit code 3 when the evidence does not hold."""
    from dialekt.flow.clock import now
    from dialekt.index.schema import FILE_NAME as INDEX_FILE
    from dialekt.registry.aliases import promote

    screen = open_screen("models.promote", as_json=as_json, quiet=quiet)
    opened = _open(project, settings).config
    registry, minimum = opened.registry.path, opened.registry.minimum_gain
    done = promote(registry, version, minimum_gain=minimum, override_reason=override, now=now())
    screen.results.print(_said(done))
    for reason in done.overridden:
        screen.results.print(f"overruled: {reason}", markup=False, soft_wrap=True)
    has_index = (opened.index.path / INDEX_FILE).is_file()
    step = "dialekt index migrate" if has_index else "dialekt index build, or dialekt serve"
    screen.messages.print(f"Next: {step}", style="dim")
    screen.finish(_plain(done))


@app.command("rollback")
def roll_back(
    project: ProjectOption = None, settings: SetOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Make the champion before the present one the champion again."""
    from dialekt.flow.clock import now
    from dialekt.registry.aliases import rollback

    screen = open_screen("models.rollback", as_json=as_json, quiet=quiet)
    done = rollback(_open(project, settings).config.registry.path, now=now())
    screen.results.print(_said(done))
    screen.finish(_plain(done))


app.command("export")(export_model)


def _open(folder: Path | None, overrides: list[str] | None) -> "Project":
    from dialekt.flow.project import open_project

    return open_project(folder, overrides=overrides or ())


def _scores(version: "Version") -> tuple[str, str]:
    """Return NDCG@10 and the gain over the base, as the list shows them."""
    measured, gain = version.evidence.value_of("tuned"), version.evidence.gain
    value = f"{measured.value:.3f}" if measured else "–"
    return value, f"{gain.difference:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" if gain else "–"


def _said(promotion: "Promotion") -> str:
    before = f" (before: {promotion.previous})" if promotion.previous else ""
    return f"[bold]{promotion.version}[/] is the champion{before}"


def _answer(version: "Version") -> dict[str, Any]:
    evidence = version.evidence
    return {
        "version": version.name,
        "created": version.created,
        "content_id": version.content_id,
        "base_model": version.lineage.base_model,
        "model": str(version.model),
        "queries": evidence.queries,
        "gain": _plain(evidence.gain),
        "recommendation": evidence.recommendation,
    }


def _plain(value: object) -> Any:
    from dialekt.flow.facts import plain

    return plain(value)
