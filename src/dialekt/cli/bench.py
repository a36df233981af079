"""`dialekt bench`: how fast a server is, ours or any other that speaks TEI or OpenAI."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialekt.cli.bench_results import Load, Measurement, answer, describe, measurement, remarks, table
from dialekt.cli.options import JsonOption, QuietOption
from dialekt.cli.screen import Screen, open_screen

if TYPE_CHECKING:
    from dialekt.load.records import Plan, Protocol

CLOSED_CONNECTIONS, OPEN_CONNECTIONS = 64, 1_000
TEXTS = 4_096
FEWEST_REQUESTS = 64

app = typer.Typer(help="Measure servers.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Measure servers."""


@app.command("serve", short_help="Load a TEI or OpenAI server and print rates and latencies.")
def bench_serve(
    url: Annotated[str, typer.Argument(help="The server, such as http://127.0.0.1:3000.")],
    *,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="URL", help="Another server; both take turns under equal load.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency", "-c", min=1, help="Clients at a time [64]; with --rate: most connections [1000]."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.01, help="Requests a second at random times, whatever the server does."),
    ] = None,
    duration: Annotated[float, typer.Option("--duration", "-d", min=0.1, help="Seconds of measurement.")] = 10.0,
    requests: Annotated[
        int | None, typer.Option("--requests", "-n", min=1, help="End earlier, after so many requests.")
    ] = None,
    warmup: Annotated[float, typer.Option("--warmup", min=0.0, help="Seconds of load before the measurement.")] = 2.0,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", min=1, help="Texts in one request.")] = 1,
    length: Annotated[
        str, typer.Option("--length", help="short (8 to 16 tokens), passage (128), mixed, or a number of tokens.")
    ] = "short",
    texts: Annotated[
        Path | None,
        typer.Option("--texts", metavar="FILE", help="Send these texts, one a line, in place of made ones."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="tei or openai; unset: the server is asked.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The model to ask for; unset: the server's first.")] = "",
    encoding: Annotated[
        str, typer.Option("--encoding", help="Format of OpenAI vectors; base64 is what OpenAI's client asks for.")
    ] = "base64",
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", metavar="NAME", help="Environment variable that holds the API key.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="Turns that the duration is cut into [1; 5 with --compare].")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that send.")] = 1,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for an answer.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of texts and arrival times.")] = 0,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts too.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Load a server that speaks TEI or OpenAI; print requests and texts a second, latencies, errors and batch fill.

    Closed loop: so many clients, each of which sends when its answer has come. Open loop, with --rate: requests come
    as people's do, and latency counts from the moment a request was to be sent.

    Examples:

      dialekt bench serve http://127.0.0.1:3000

      dialekt bench serve http://127.0.0.1:3000 --rate 500 --length mixed

      dialekt bench serve http://127.0.0.1:3000 --compare http://127.0.0.1:8080 --batch-size 32 --length passage
    """
    _check_installed()
    from dialekt.load.records import Pace
    from dialekt.load.rounds import run_rounds
    from dialekt.load.targets import Access

    screen = open_screen("bench.serve", as_json=as_json, quiet=quiet)
    turns = rounds or (5 if compare else 1)
    pace = Pace(
        connections=concurrency or (OPEN_CONNECTIONS if rate else CLOSED_CONNECTIONS),
        seconds=duration / turns,
        warmup_seconds=warmup,
        rate_per_second=rate,
        requests=None if requests is None else max(requests // turns, 1),
        timeout_seconds=timeout,
    )
    load = Load(
        texts=_texts(texts, length, batch_size=batch_size, seed=seed),
        batch_size=batch_size,
        length=str(texts or length),
        access=Access(_key(api_key_env), model, encoding),
        protocol=_protocol(protocol),
        pace=pace,
        seed=seed,
    )
    plans = [_plan(one, load) for one in ([url, compare] if compare else [url])]

    def say(line: str) -> None:
        screen.messages.print(line, style="dim", markup=False, soft_wrap=True)

    say(describe(load))
    found = run_rounds(plans, rounds=turns, workers=workers, say=say)
    _finish(screen, load, measurement(plans, found), html)


def _check_installed() -> None:
    """Raise `MissingExtraError` where what sends and reads requests is not installed."""
    from importlib.util import find_spec

    from dialekt.errors import MissingExtraError

    if any(find_spec(name) is None for name in ("httptools", "orjson")):
        raise MissingExtraError("serve", needed_for="dialekt bench serve")


def _plan(url: str, load: Load) -> "Plan":
    """Find out what a server speaks, see that it answers one request, and make the whole load."""
    from dialekt.load.records import Plan
    from dialekt.load.targets import find_target, make_requests, try_once

    target = find_target(url, load.protocol, load.access)
    try_once(target, load.texts[: load.batch_size], load.access)
    requests = make_requests(target, load.texts, load.access, batch_size=load.batch_size)
    return Plan(target, requests, load.batch_size, load.pace, load.seed)


def _texts(path: Path | None, length: str, *, batch_size: int, seed: int) -> list[str]:
    """Return the texts of all requests; those of a short file come again until they fill one."""
    from dialekt.load.texts import make_texts, parse_length, read_texts

    chosen = parse_length(length)
    if path is None:
        return make_texts(max(TEXTS, FEWEST_REQUESTS * batch_size), chosen, seed=seed)
    texts = read_texts(path)
    return texts * -(-batch_size // len(texts))


def _key(variable: str | None) -> str:
    from dialekt.errors import UsageError

    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"--api-key-env: the environment has no {variable}", hint=f"export {variable}=…")
    return key


def _protocol(word: str | None) -> "Protocol | None":
    from dialekt.errors import UsageError
    from dialekt.load.records import Protocol

    if word is None:
        return None
    try:
        return Protocol(word)
    except ValueError:
        raise UsageError(f"--protocol {word!r} is no protocol", hint=f"choose one of {', '.join(Protocol)}") from None


def _finish(screen: Screen, load: Load, measured: Measurement, html: Path | None) -> None:
    """Print what was measured; write the page and the JSON where they are asked for."""
    screen.results.print(table(measured))
    for line in remarks(measured):
        screen.results.print(line, markup=False, soft_wrap=True)
    if html is not None:
        from dialekt.cli.bench_page import write_page

        write_page(html, load, measured)
        screen.results.print(f"wrote {html}", markup=False, soft_wrap=True)
    screen.finish(answer(load, measured))
