"""`dialekt pairs logs`: search logs → graded judgments, with a data report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen
from dialekt.errors import UsageError

if TYPE_CHECKING:
    from dialekt.config import Config
    from dialekt.logs.records import LogsFacts


def logs(
    project: ProjectOption = None,
    settings: SetOption = None,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="PATH", help="Without a project: a file, folder, glob or URL of the log."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Without a project: a new folder for the result.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="PATH", help="Without a project: the documents that still exist."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Show this many pairs per rule, with texts.")] = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn search logs into graded answers and print what every rule left.

    Inside a project, or anywhere:

    dialekt pairs logs --log 'exports/*.ndjson.gz' --out judged

    dialekt pairs logs --log clicks.tsv --out judged --set logs.document_column=sku
    """
    screen = open_screen("pairs-logs", as_json=as_json, quiet=quiet)
    wanted = [*(settings or []), *([f"logs.examples={examples}"] if examples else [])]
    if log:
        _judge_files(screen, log, wanted, out=out, corpus=corpus)
        return
    if out or corpus:
        raise UsageError("--out and --corpus go with --log", hint="inside a project, both are in dialekt.toml")
    _walk(screen, project, wanted)


def _walk(screen: Screen, project: Path | None, settings: Sequence[str]) -> None:
    """Walk the project's journey up to the logs stage and print its report."""
    from dialekt.cli.journeying import walk
    from dialekt.cli.log_report import show_log_report
    from dialekt.flow.records import StageName

    finished = walk(screen, project, settings, until=StageName.LOGS)
    record = finished.record(StageName.LOGS)
    report = _report(record.folder)
    show_log_report(screen.results, record.facts, report)
    screen.results.print("\nNext: dialekt pairs")
    screen.finish(finished.answer() | {"report": report})


def _judge_files(
    screen: Screen, log: Sequence[str], settings: Sequence[str], *, out: Path | None, corpus: Path | None
) -> None:
    """Judge a log without a project; the folder appears whole or not at all."""
    import tempfile

    from dialekt.cli.log_report import show_log_report
    from dialekt.config import load_config
    from dialekt.flow.facts import plain
    from dialekt.logs.export import write_beir
    from dialekt.store.atomic import disk_errors, publish_folder

    if out is None:
        raise UsageError("--log needs --out", hint="name a new folder for the result: --out judged")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{str(out)!r} is there already", hint="name a new folder, or remove this one")
    paths = ", ".join(f'"{path}"' for path in log)
    config = load_config(None, overrides=[*settings, f"logs.path=[{paths}]"])
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            partial = Path(folder) / "judged"
            partial.mkdir()
            facts = plain(_judge(screen, config, partial, corpus=corpus))
            write_beir(partial)
            publish_folder(partial, out)
    report = _report(out)
    show_log_report(screen.results, facts, report)
    screen.results.print(f"\nWritten to {out}", markup=False, soft_wrap=True)
    screen.finish({"folder": str(out), "facts": facts, "report": report})


def _judge(screen: Screen, config: "Config", folder: Path, *, corpus: Path | None) -> "LogsFacts":
    from functools import partial

    from dialekt.cli.watching import watch
    from dialekt.logs.export import known_documents
    from dialekt.logs.records import LogsInputs
    from dialekt.logs.stage import run

    inputs = LogsInputs(
        cleaning=config.cleaning,
        corpus=known_documents(corpus, folder.parent) if corpus else None,
        dev_share=config.split.dev_share,
        test_share=config.split.test_share,
        seed=config.project.seed,
    )
    with watch(screen) as observer:
        return run(config.logs, inputs, folder, progress=partial(observer.progressed, "logs"))


def _report(folder: Path) -> dict[str, Any]:
    import json

    from dialekt.logs.records import REPORT_NAME

    report: dict[str, Any] = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    return report
