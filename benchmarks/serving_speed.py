"""Serving speed: `dialekt serve`, a plain FastAPI server and infinity, same model, same load, side by side in one run.

    python -m benchmarks.serving_speed --seconds 4 --rounds 5 --infinity path/to/infinity/venv

Three loads: single short queries from 64 clients, the same at half of the slowest server's rate as an open loop, and
bulk, 32 passages of 128 tokens a request from 8 clients. The servers take turns, the order reversed every round, and
all of them are up all the time, so a machine that speeds up or slows down treats all alike. Every vector is compared
with the library's first. The generator runs on the same machine and takes its share of every server's time alike.

The last columns are a server's share of its engine without HTTP: the model alone, and the model with tokenising. Both
run in a process of their own between the turns, in batches as full as the server's were.

infinity needs older versions than ours, so it lives in a virtual environment of its own:
pip install "infinity_emb[server,torch,optimum]==0.0.78" with typer 0.12.5, click 8.1.8, "transformers<4.58", "numpy<2".
"""

import argparse
import base64
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.offline_engine import Offline, OfflineEngine, Task
from benchmarks.server_process import Command, Server, dialekt_command, free_port, servers
from numpy.typing import NDArray

from dialekt.config import EngineName
from dialekt.load.records import Pace, Plan, Protocol, Summary
from dialekt.load.rounds import run_round
from dialekt.load.statistics import ratio
from dialekt.load.targets import Access, fetch, find_target, make_body, make_requests
from dialekt.load.texts import Length, make_texts
from dialekt.models.base import fetch_model

PLAIN = "plain FastAPI"
BULK_SECONDS = 3  # times longer: a slow server takes seconds for one round of its clients
NAME = "bench"  # of the model at every server
ENGINES = tuple(EngineName)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of load."""

    name: str
    length: Length
    batch_size: int
    pace: Pace


@dataclass(frozen=True, slots=True)
class Contender:
    """A server and the protocol by which it is asked."""

    name: str
    server: Server
    protocol: Protocol


def commands(options: argparse.Namespace, model: Path, folder: Path) -> dict[str, tuple[Command, int]]:
    """Return how every server is started, and its port."""
    found = {PLAIN: _plain(model, free_port())}
    for engine in options.engines:
        port = free_port()
        found[f"dialekt {engine}"] = dialekt_command(f"{NAME}={model}", "--engine", engine, port=port), port
    if options.infinity is not None:
        found |= dict(_infinity(options.infinity.expanduser().absolute(), model, folder))
    return found


def _plain(model: Path, port: int) -> tuple[Command, int]:
    words = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.plain_server:make_app", "--port", str(port)]
    command = [*words, "--log-level", "warning", "--no-access-log"]
    return Command(command, "/health", {"MODEL": str(model)}, Path(__file__).parents[1]), port


def _infinity(venv: Path, model: Path, folder: Path) -> Iterator[tuple[str, tuple[Command, int]]]:
    """Yield infinity with torch in fp32 and bf16, and with its own export to ONNX.

    Its ONNX engine looks for a bare file name, which it only finds in its working directory, and pools by the first
    token unless told.
    """
    quiet = {"DO_NOT_TRACK": "1", "HF_HOME": str(folder / "infinity-home")}
    graph = folder / "infinity-onnx"
    export = [venv / "bin" / "optimum-cli", "export", "onnx", "--model", model, "--task", "feature-extraction"]
    command = [*map(str, export), "--library", "transformers", str(graph)]
    exported = subprocess.run(command, capture_output=True, text=True, check=False)
    kinds = [("torch", "torch", ["--dtype", "float32"], model), ("torch bf16", "torch", ["--dtype", "bfloat16"], model)]
    if exported.returncode == 0:
        kinds.append(("onnx", "optimum", ["--pooling-method", "mean"], graph))
    else:
        print(f"infinity onnx: left out: {exported.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    for name, engine, extra, place in kinds:
        port = free_port()
        words = [str(venv / "bin" / "infinity_emb"), "v2", "--model-id", ".", "--served-model-name", NAME]
        words += ["--engine", engine, "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", *extra]
        yield f"infinity {name}", (Command(words, "/health", quiet, place), port)


def contenders(running: Mapping[str, Server]) -> list[Contender]:
    """Return every server with its protocol; the first of ours with both."""
    found = []
    for name, server in running.items():
        protocol = Protocol.OPENAI if name.startswith("infinity") else Protocol.TEI
        found.append(Contender(name, server, protocol))
    ours = next((one for one in found if one.name.startswith("dialekt")), None)
    if ours:
        found.append(Contender(f"{ours.name} /v1", ours.server, Protocol.OPENAI))
    return found


def make_plan(contender: Contender, kind: Kind) -> Plan:
    """Return the load for one server; texts are the same for all."""
    target = find_target(contender.server.url, contender.protocol, Access(model=""))
    access = Access()
    texts = make_texts(max(4_096, 64 * kind.batch_size), kind.length, seed=3)
    requests = make_requests(target, texts, access, batch_size=kind.batch_size)
    return Plan(target, requests, kind.batch_size, kind.pace)


def cosine(contender: Contender, texts: Sequence[str], vectors: NDArray[np.float32]) -> float:
    """Return the smallest cosine of a server's vectors with the library's."""
    target = find_target(contender.server.url, contender.protocol, Access())
    reply = fetch(target, target.path, body=make_body(target, texts, Access()))
    found = read_vectors(reply.json(), contender.protocol)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(vectors, axis=1)
    return float(((found * vectors).sum(axis=1) / norms).min())


def read_vectors(answer: Any, protocol: Protocol) -> NDArray[np.float32]:
    """Return the vectors of an answer, base64 as OpenAI's client asks for."""
    if protocol is Protocol.TEI:
        return np.array(answer, dtype=np.float32)
    rows = [np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4") for row in answer["data"]]
    return np.stack(rows)


def compete(
    kind: Kind, plans: Mapping[str, Plan], engines: Mapping[str, OfflineEngine], rounds: int
) -> tuple[dict[str, list[Summary]], dict[str, list[Offline]]]:
    """Let all take turns; return the rounds of each server, and of each engine alone."""
    found: dict[str, list[Summary]] = {name: [] for name in plans}
    alone: dict[str, list[Offline]] = {name: [] for name in engines}
    for number in range(rounds):
        for name in list(plans)[:: -1 if number % 2 else 1]:
            turn = run_round(replace(plans[name], seed=number), workers=1)
            if turn.tally.stopped:
                sys.exit("stopped")
            found[name].append(turn.summary)
            if name in engines:
                fill = found[name][-1].batch_fill
                batch = min(max(round(fill.texts), 1), 512) if fill else 32
                alone[name].append(engines[name].run(Task(kind.length, batch, kind.pace.seconds / 2)))
    return found, alone


def print_results(kind: Kind, found: Mapping[str, list[Summary]], alone: Mapping[str, list[Offline]]) -> None:
    """Print medians over rounds, ratios to the plain server with intervals, and shares of the engine alone."""
    print(f"\n{kind.name}")
    print(
        f"{'':24}{'texts/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'fill':>7}{'errors':>8}   "
        f"{'÷ plain (95%)':24}{'p99 ÷ plain':13}{'of model':>9}{'of engine':>10}"
    )
    plain = found[PLAIN]
    for name, rounds in found.items():
        speed = statistics.median(one.texts_per_second for one in rounds)
        errors = sum(sum(one.failures.values()) + one.unsent for one in rounds)
        fills = [one.batch_fill.texts for one in rounds if one.batch_fill]
        faster = ratio("texts/s", [one.texts_per_second for one in rounds], [one.texts_per_second for one in plain])
        later = ratio("p99", _latencies(rounds, "p99"), _latencies(plain, "p99"))
        shown = "–" if faster is None else f"{faster.value:.2f}"
        shown += f" ({faster.low:.2f} to {faster.high:.2f})" if faster and faster.low and faster.high else ""
        shares = ["", ""]
        if alone.get(name):
            shares = [
                f"{speed / statistics.median(one.model for one in alone[name]):.0%}",
                f"{speed / statistics.median(one.whole for one in alone[name]):.0%}",
            ]
        print(
            f"{name:24}{speed:9,.0f}{statistics.median(_latencies(rounds, 'p50')):9.1f}"
            f"{statistics.median(_latencies(rounds, 'p99')):9.1f}{statistics.fmean(fills) if fills else 0:7.1f}"
            f"{errors:8,}   {shown:24}{later.value if later else 0:<13.2f}{shares[0]:>9}{shares[1]:>10}"
        )


def _latencies(rounds: Sequence[Summary], name: str) -> list[float]:
    return [getattr(one.latency_ms, name, 0.0) for one in rounds]


def load_engines(options: argparse.Namespace, names: Sequence[str], model: Path) -> dict[str, OfflineEngine]:
    """Load the engines whose servers run, for their speed without a server."""
    chosen = {f"dialekt {engine}": engine for engine in options.engines}
    return {name: OfflineEngine(model, engine) for name, engine in chosen.items() if name in names}


def measure(options: argparse.Namespace, running: Mapping[str, Server], model: Path) -> None:
    """Check the vectors of all, then measure every kind of load."""
    from sentence_transformers import SentenceTransformer

    texts = make_texts(16, Length.MIXED, seed=5)
    exact = np.asarray(SentenceTransformer(str(model), device="cpu").encode(texts, show_progress_bar=False))
    racing = contenders(running)
    for contender in racing:
        print(f"{contender.name:24}smallest cosine to the library {cosine(contender, texts, exact):.5f}")
    engines = load_engines(options, list(running), model)
    for name, engine in engines.items():
        print(f"{name:24}{engine.name}")
    closed = Pace(64, options.seconds, warmup_seconds=1.0)
    kinds = [
        Kind("single short queries, 64 clients", Length.SHORT, 1, closed),
        Kind(
            "bulk: 32 passages of 128 tokens, 8 clients",
            Length.PASSAGE,
            32,
            replace(closed, connections=8, seconds=BULK_SECONDS * options.seconds),
        ),
    ]
    for kind in kinds:
        plans = {contender.name: make_plan(contender, kind) for contender in racing}
        found, alone = compete(kind, plans, engines, options.rounds)
        print_results(kind, found, alone)
        if kind.batch_size == 1:
            slowest = min(statistics.median(one.texts_per_second for one in rounds) for rounds in found.values())
            pace = replace(closed, connections=1_000, rate_per_second=slowest / 2)
            paced = replace(kind, name=f"single short queries, {slowest / 2:,.0f} a second at random times", pace=pace)
            plans = {contender.name: make_plan(contender, paced) for contender in racing}
            print_results(paced, compete(paced, plans, {}, options.rounds)[0], {})


def main() -> None:
    """Start the servers, measure and print."""
    parser = argparse.ArgumentParser(description="dialekt serve against a plain FastAPI server and infinity")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="folder or name")
    parser.add_argument("--engines", nargs="*", type=EngineName, default=ENGINES, help="of dialekt serve")
    parser.add_argument("--infinity", type=Path, help="virtual environment with infinity_emb")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = fetch_model(options.model)
    with tempfile.TemporaryDirectory(prefix="serving-speed-") as folder:
        started = commands(options, model, Path(folder))
        with servers(started, Path(folder)) as running:
            if PLAIN not in running:
                sys.exit("the plain server, to which all are compared, did not start")
            measure(options, running, model)


if __name__ == "__main__":
    main()
