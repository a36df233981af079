"""`dialekt serve`: models behind one address that speaks TEI and OpenAI, and the project's index."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialekt.cli.options import JsonOption, ProjectOption, QuietOption, SetOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.cli.serve_sources import Served
    from dialekt.serving.index_service import IndexService
    from dialekt.serving.server import Tls
    from dialekt.serving.service import Service

TEI_DTYPES = {"float32": "fp32", "bfloat16": "bf16"}
LOADER_SECONDS = 2.0
PASSWORD_VARIABLE = "SSL_KEYFILE_PASSWORD"  # noqa: S105 - the name of a variable


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODELS",
            help="NAME=FOLDER, a folder or a Hub name each; none: the versions of this project's registry.",
        ),
    ] = None,
    *,
    model_id: Annotated[
        str | None, typer.Option("--model-id", envvar="MODEL_ID", help="TEI's way to name one model.")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="What a request gets that names none: champion, latest, base, or such as v3."),
    ] = None,
    hostname: Annotated[
        str | None, typer.Option("--hostname", help="Address to listen on [127.0.0.1]; 0.0.0.0: every network.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", envvar="PORT", help="Port to listen on [3000]; 0: a free one.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="auto (the fastest here), torch, onnx, onnx-int8, openvino or openvino-int8.",
        ),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", envvar="DTYPE", metavar="NAME", help="Of the torch engine: fp32 or bf16.")
    ] = None,
    max_concurrent_requests: Annotated[
        int | None,
        typer.Option(
            "--max-concurrent-requests",
            envvar="MAX_CONCURRENT_REQUESTS",
            help="Inputs that may wait or be computed at a time [512]; a request above it gets 429.",
        ),
    ] = None,
    max_batch_tokens: Annotated[
        int | None,
        typer.Option("--max-batch-tokens", envvar="MAX_BATCH_TOKENS", help="Most tokens in one batch [16384]."),
    ] = None,
    max_client_batch_size: Annotated[
        int | None,
        typer.Option(
            "--max-client-batch-size",
            envvar="MAX_CLIENT_BATCH_SIZE",
            help="Most inputs of one request on TEI's routes [32].",
        ),
    ] = None,
    payload_limit: Annotated[
        int | None,
        typer.Option("--payload-limit", envvar="PAYLOAD_LIMIT", help="Most bytes of a request [2000000]."),
    ] = None,
    auto_truncate: Annotated[
        bool | None,
        typer.Option(
            "--auto-truncate/--no-auto-truncate",
            envvar="AUTO_TRUNCATE",
            help="Cut inputs that are too long, or refuse them; a request may say otherwise.",
        ),
    ] = None,
    default_prompt: Annotated[
        str | None,
        typer.Option("--default-prompt", envvar="DEFAULT_PROMPT", help="Put before every input without a prompt."),
    ] = None,
    default_prompt_name: Annotated[
        str | None,
        typer.Option("--default-prompt-name", envvar="DEFAULT_PROMPT_NAME", help="The same, by its name: query."),
    ] = None,
    served_model_name: Annotated[
        str | None,
        typer.Option("--served-model-name", envvar="SERVED_MODEL_NAME", help="How requests name the model."),
    ] = None,
    tokenization_workers: Annotated[
        int | None,
        typer.Option("--tokenization-workers", envvar="TOKENIZATION_WORKERS", help="Threads that tokenise."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", help="Keys, separated by commas. Better in API_KEY: others see a command's words."),
    ] = None,
    api_keys_file: Annotated[
        Path | None, typer.Option("--api-keys-file", envvar="API_KEYS_FILE", help="A file with one key a line.")
    ] = None,
    cors_allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-allow-origin",
            envvar="CORS_ALLOW_ORIGIN",
            help="Only pages from there may call [any]; may be given many times.",
        ),
    ] = None,
    ssl_certfile: Annotated[
        Path | None, typer.Option("--ssl-certfile", envvar="SSL_CERTFILE", help="Certificate: speak HTTPS.")
    ] = None,
    ssl_keyfile: Annotated[
        Path | None,
        typer.Option("--ssl-keyfile", envvar="SSL_KEYFILE", help=f"Its key; a password goes into {PASSWORD_VARIABLE}."),
    ] = None,
    log_style: Annotated[str | None, typer.Option("--log-style", metavar="NAME", help="json or text.")] = None,
    project: ProjectOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Serve models to clients of Text Embeddings Inference and OpenAI until Ctrl-C or SIGTERM."""
    from dialekt.cli.serve_sources import open_served

    _require_extra()
    # Read when torch is loaded: threads that spin until the next layer keep tokenizer and event loop from their cores;
    # asleep they computed 25% more passages per second.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    named = [*(models or ()), *([model_id] if model_id else ())]
    flags = {
        "models": [_anchored(name) for name in named] or None,
        "version": version,
        "hostname": hostname,
        "port": port,
        "engine": engine,
        "dtype": TEI_DTYPES.get(dtype, dtype) if dtype else None,
        "max_concurrent_requests": max_concurrent_requests,
        "max_batch_tokens": max_batch_tokens,
        "max_client_batch_size": max_client_batch_size,
        "payload_limit": payload_limit,
        "auto_truncate": auto_truncate,
        "default_prompt": default_prompt,
        "default_prompt_name": default_prompt_name,
        "served_model_name": served_model_name,
        "tokenization_workers": tokenization_workers,
        "api_keys_file": str(api_keys_file.expanduser().resolve()) if api_keys_file else None,
        "cors_allow_origins": cors_allow_origin or None,
        "log_style": log_style,
    }
    screen = open_screen("serve", as_json=as_json, quiet=quiet)
    served = open_served(project, overrides=[*_overrides(flags), *(settings or ())])
    environment = dict(os.environ)
    if api_key:
        environment["API_KEY"] = api_key
        screen.messages.print("warning: other users of this machine can read --api-key; use API_KEY", style="yellow")
    _run(served, screen, environment=environment, tls=_tls(ssl_certfile, ssl_keyfile))


def _require_extra() -> None:
    """Raise `MissingExtraError` unless everything that the server is made of is installed."""
    from importlib.util import find_spec

    from dialekt.errors import MissingExtraError

    if any(find_spec(name) is None for name in ("httptools", "orjson", "prometheus_client", "starlette", "uvicorn")):
        raise MissingExtraError("serve", needed_for="dialekt serve")


def _run(served: "Served", screen: Screen, *, environment: Mapping[str, str], tls: "Tls | None") -> None:
    """Bind, load, listen, and end."""
    from dialekt import __version__
    from dialekt.cli.serve_panel import Panel
    from dialekt.config import LogStyle
    from dialekt.serving.access import Keys
    from dialekt.serving.app import create_app
    from dialekt.serving.journal import Journal, JournalEvent
    from dialekt.serving.server import Listener, Server, ServerOptions
    from dialekt.serving.service import make_service

    config = served.config
    keys = Keys.load(config.api_keys_file, environment)
    listener = Listener(config.hostname, config.port)
    style = config.log_style or (LogStyle.TEXT if sys.stderr.isatty() else LogStyle.JSON)
    journal = Journal(sys.stderr.buffer, style)
    try:
        service = make_service(config, served.sources, journal=journal)
        url = listener.url(tls=tls is not None)
        index = _index(served, service)
        panel = Panel(screen, service, url=url, keys=len(keys.digests), drawn=style is LogStyle.TEXT, index=index)
        options = ServerOptions(drain_seconds=config.drain_seconds, tls=tls, on_ready=panel.show)
        server = Server(create_app(service, keys=keys, index=index), index or service, journal, options)
        journal.note(JournalEvent.START, url=url, dialekt=__version__, keys=len(keys.digests))
        panel.announce(config.hostname)
        server.listen(listener)
    finally:
        journal.close()
        listener.close()
    if service.failure is not None:
        raise service.failure
    code = int(server.forced)
    _leave_loading_behind(code)
    if code:
        raise typer.Exit(code)


def _index(served: "Served", service: "Service") -> "IndexService | None":
    """Open the project's index, if it has one."""
    from dialekt.index.opened import OpenIndex
    from dialekt.serving.index_service import IndexService

    if served.index is None:
        return None
    opened = OpenIndex.open(served.index.folder, url=served.index.url)
    return IndexService(opened, service, served.index.search, model_name=served.index.model_name)


def _leave_loading_behind(code: int) -> None:
    """End the process now if it was stopped while it loads a model, which can take minutes and cannot be interrupted.

    What a loader writes is published by a rename, so nothing is lost but its work; and what the index's log holds, the
    next server applies.
    """
    from dialekt.serving.index_service import APPLIER_NAME
    from dialekt.serving.shelf import LOADER_NAME

    loaders = [thread for thread in threading.enumerate() if thread.name.startswith((LOADER_NAME, APPLIER_NAME))]
    for thread in loaders:
        thread.join(LOADER_SECONDS)
    if any(thread.is_alive() for thread in loaders):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tls(certificate: Path | None, key: Path | None) -> "Tls | None":
    from dialekt.errors import UsageError
    from dialekt.serving.server import Tls

    if certificate is None:
        if key is not None:
            raise UsageError("--ssl-keyfile needs --ssl-certfile", hint="give both")
        return None
    return Tls(certificate, key, os.environ.get(PASSWORD_VARIABLE))


def _anchored(name: str) -> str:
    """Make the folder of NAME=FOLDER absolute, seen from here and not from the project's folder."""
    label, equals, source = name.rpartition("=")
    folder = Path(source).expanduser()
    return label + equals + (str(folder.resolve()) if folder.is_dir() else source)


def _overrides(flags: Mapping[str, Any]) -> Iterator[str]:
    """Write flags as settings in TOML; JSON's numbers, truths, texts and lists are TOML's too."""
    for name, value in flags.items():
        if value is not None:
            yield f"serving.{name}={json.dumps(value, ensure_ascii=False)}"
