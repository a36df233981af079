"""`dialekt export`: a registered model as a folder of its own, and how to run it elsewhere."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import open_screen
from dialekt.registry.records import Runtime


def export_model(
    version: Annotated[str, typer.Argument(help="A version such as v3, or 'champion' or 'latest'.")],
    out: Annotated[Path, typer.Argument(help="The new folder for the model.")],
    runtime: Annotated[
        Runtime | None,
        typer.Option("--for", help="Check that it can be run there, and print the exact command."),
    ] = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy a version's model to a folder that sentence-transformers, TEI and vLLM load, and say how to run it."""
    from dialekt.errors import UsageError
    from dialekt.flow.project import open_project
    from dialekt.models.adapter_export import fold, write_programs
    from dialekt.models.adapter_names import is_adapter_folder
    from dialekt.registry.deployment import instruct, prepare
    from dialekt.registry.versions import copy_model, load_version
    from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, publish_folder

    screen = open_screen("models.export", as_json=as_json, quiet=quiet)
    config = open_project(project, overrides=settings or ()).config
    found = load_version(config.registry.path, version)
    target = out.expanduser().resolve()
    if target.exists():
        raise UsageError("is there already", path=out, hint="name a new folder")
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    name = f"{config.project.name}-{found.name}"
    with disk_errors(target):
        try:
            trusted = config.model.trust_remote_code
            if not is_adapter_folder(found.model):
                copy_model(found.model, partial)
            elif runtime is not None:
                fold(found.model, partial, trust_remote_code=trusted)
            else:
                copy_model(found.model, partial)
                write_programs(partial)
            if runtime is not None:
                prepare(partial, runtime, trust_remote_code=trusted)
            publish_folder(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    screen.results.print(f"{found.name} → {target}", markup=False, soft_wrap=True)
    facts: dict[str, Any] = {"version": found.name, "content_id": found.content_id, "folder": str(target)}
    if runtime is not None:
        how = instruct(target, runtime, name=name)
        for line in (how.command, *how.notes):
            screen.results.print(line, markup=False, soft_wrap=True)
        facts |= {"runtime": runtime, "command": how.command, "notes": list(how.notes)}
    screen.finish(facts)
