"""`dialekt init`: a project folder with a commented dialekt.toml."""

from pathlib import Path
from typing import Annotated

import typer

from dialekt.cli.options import JsonOption, QuietOption
from dialekt.cli.screen import open_screen


def init(
    folder: Annotated[Path, typer.Argument(help="Where the project lives; made if need be.")] = Path(),
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="The documents: BEIR folder, file of rows, or folder of files."),
    ] = None,
    judgments: Annotated[
        Path | None, typer.Option("--judgments", help="Judgments or pairs; unset: they lie in the corpus folder.")
    ] = None,
    logs: Annotated[
        list[str] | None,
        typer.Option("--logs", help="Search logs: a file, folder, glob or URL; may be given many times."),
    ] = None,
    synthesize: Annotated[
        bool, typer.Option("--synthesize", help="Make queries from the documents, without any network.")
    ] = False,
    base: Annotated[str | None, typer.Option("--base", help="The base model: a folder or a Hugging Face name.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a commented dialekt.toml, and say what to type next."""
    from dialekt.cli.template import render
    from dialekt.config import CONFIG_NAME
    from dialekt.errors import UsageError
    from dialekt.store.atomic import write_atomic

    screen = open_screen("init", as_json=as_json, quiet=quiet)
    home = folder.expanduser().resolve()
    target = home / CONFIG_NAME
    if target.exists():
        raise UsageError("there is a project already", path=target, hint="edit the file, or choose another folder")
    chosen = {
        "project.name": home.name or "project",
        "corpus.path": _path_value(corpus, home),
        "judgments.path": _path_value(judgments, home),
        "logs.path": tuple(_log_value(name, home) for name in logs) if logs else None,
        "synthesis.generators": ("local",) if synthesize else None,
        "model.base": _base_value(base, home),
    }
    write_atomic(target, render({name: value for name, value in chosen.items() if value is not None}))
    known = corpus or judgments or logs
    step = "dialekt diagnose" if known else "set corpus.path in dialekt.toml, then: dialekt diagnose"
    there = "" if home == Path.cwd() else f"cd {folder} && "
    screen.results.print(f"wrote {target}", soft_wrap=True, markup=False)
    screen.results.print(f"Next: {there if known else ''}{step} (worth it?), dialekt run", soft_wrap=True, markup=False)
    screen.finish({"config": str(target), "next": step})


def _path_value(path: Path | None, home: Path) -> str | None:
    """Return a path as the project's file says it: relative where it lies inside the project."""
    from dialekt.errors import InputError

    if path is None:
        return None
    found = path.expanduser().resolve()
    if not found.exists():
        raise InputError("there is no such file or folder", path=path, hint="check the path")
    return found.relative_to(home).as_posix() if found.is_relative_to(home) else found.as_posix()


def _log_value(name: str, home: Path) -> str:
    """Return a log's path as the project's file says it; a glob or a URL is a text like any other."""
    return _path_value(Path(name), home) or name if Path(name).expanduser().exists() else name


def _base_value(base: str | None, home: Path) -> str | None:
    """Return a model's name as it is, and a model's folder as a path that holds from everywhere."""
    if base is None or not Path(base).expanduser().is_dir():
        return base
    return _path_value(Path(base), home)
