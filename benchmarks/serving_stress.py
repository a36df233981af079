"""Stress: `dialekt serve` under more than it can do, under clients that misbehave, and while its model changes.

    python -m benchmarks.serving_stress --seconds 60
    python -m benchmarks.serving_stress --only overload --seconds 20

One server, started from a registry with two versions whose vectors cannot be mistaken for each other. Every test ends
with one line: passed or FAILED, and what was seen. The exit code is 1 when one failed.
"""

import argparse
import json
import random
import resource
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import orjson
import psutil
from benchmarks.server_process import Command, Server, dialekt_command, free_port, start, stop
from benchmarks.stress_clients import SLOW_CLIENTS, malformed_body, trickle
from benchmarks.stress_project import Versions, make_versions

from dialekt.load.generator import run_here
from dialekt.load.records import OK, Answer, Pace, Plan, Protocol, Tally, Target
from dialekt.load.statistics import status_name, summarise
from dialekt.load.targets import Access, fetch, find_target, frame_request, make_requests, parse_url
from dialekt.load.texts import Length, make_texts
from dialekt.models.base import fetch_model

MOST_GROWTH_MIB = 300.0
MALFORMED_REQUESTS = 10_000
CHANGES = 20
QUIET_PERCENT, QUIET_SECONDS = 20.0, 5.0
POST_ROUTES = (
    "/embed",
    "/embed_all",
    "/similarity",
    "/rerank",
    "/predict",
    "/tokenize",
    "/decode",
    "/",
    "/v1/embeddings",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one test."""

    passed: bool
    seen: str


@dataclass(slots=True)
class Stage:
    """The server under test; `server` is another process after a restart."""

    command: Command
    port: int
    log: Path
    versions: Versions
    texts: list[str]
    seconds: float
    server: Server = field(init=False)

    def start(self) -> None:
        """Start the server, or start it again."""
        self.server = start(self.command, port=self.port, log=self.log)

    @property
    def target(self) -> Target:
        """The server's route for embeddings."""
        return find_target(self.server.url, Protocol.TEI, Access())

    def plan(self, pace: Pace) -> Plan:
        """Return single short queries at this pace."""
        target = self.target
        return Plan(target, make_requests(target, self.texts, Access(), batch_size=1), 1, pace)

    def ask(self) -> float:
        """Send one request, see that it is answered, and return the seconds that it took."""
        begun = time.perf_counter()
        target = parse_url(self.server.url)
        reply = fetch(target, "/embed", body=orjson.dumps({"inputs": self.texts[0]}))
        return time.perf_counter() - begun if reply.status == OK else float("inf")

    def counter(self, name: str, label: str) -> float:
        """Return a counter of /metrics, 0 where it has not counted."""
        text = fetch(parse_url(self.server.url), "/metrics").body.decode()
        lines = [line for line in text.splitlines() if line.startswith(name) and label in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


class Memory:
    """Watches the resident memory of a process, in MiB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.samples: list[float] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take a sample five times a second."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                self.samples.append(self._process.memory_info().rss / 2**20)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def statuses(tally: Tally) -> dict[str, int]:
    """Count what came."""
    return dict(sorted(Counter(status_name(int(status)) for status in tally.status).items()))


def check_refusal(answer: Answer) -> str:
    """See that an answer is a 200 with a vector, or a 429 as the contract has it."""
    if answer.status == OK:
        return "" if answer.body.startswith(b"[[") else f"a 200 with {answer.body[:40]!r}"
    if answer.status != 429:
        return f"status {answer.status}"
    after = answer.headers.get("retry-after", "")
    body = json.loads(answer.body)
    good = after.isdigit() and int(after) >= 1 and body.get("error_type") == "Overloaded" and body.get("error")
    return "" if good else f"a 429 with Retry-After {after!r} and {answer.body[:200]!r}"


def overload(stage: Stage) -> Verdict:
    """Ten times what the server can do: bounded memory, only 200 and good 429, and quick again at once."""
    capacity = summarise(run_here(stage.plan(Pace(64, 5.0, warmup_seconds=2.0))), texts_per_request=1)
    memory = Memory(stage.server.process.pid)
    with memory.watching():
        time.sleep(1.0)
        before = max(memory.samples)
        rate = 10 * capacity.requests_per_second
        tally = run_here(stage.plan(Pace(1_000, stage.seconds, rate_per_second=rate)), check_refusal)
        after = stage.ask()
    growth, counts = max(memory.samples) - before, statuses(tally)
    sent = tally.status.size / tally.seconds
    passed = not tally.complaints and set(counts) <= {"200", "429"} and growth <= MOST_GROWTH_MIB and after <= 1.0
    seen = (
        f"can do {capacity.requests_per_second:,.0f}/s, {rate:,.0f}/s were due and {sent:,.0f}/s sent for "
        f"{tally.seconds:.0f} s: {counts}; memory {before:.0f} → {max(memory.samples):.0f} MiB; "
        f"the next request took {after * 1_000:.0f} ms; {_first(tally.complaints)}"
    )
    return Verdict(passed, seen)


def _first(complaints: tuple[str, ...]) -> str:
    return f"{len(complaints)} complaints, the first: {complaints[0]}" if complaints else "no complaints"


def slow_clients(stage: Stage) -> Verdict:
    """Hundreds of clients that send a byte now and then: the others notice nothing, and the slow ones are ended."""
    alone = summarise(run_here(stage.plan(Pace(16, 5.0, warmup_seconds=1.0))), texts_per_request=1)
    ended, stopping = [0], threading.Event()
    thread = threading.Thread(target=trickle, args=(stage.port, stopping, ended))
    thread.start()
    pace = Pace(16, stage.seconds, warmup_seconds=1.0)
    beside = summarise(run_here(stage.plan(pace)), texts_per_request=1)
    stopping.set()
    thread.join()
    passed = not beside.failures and beside.answered > 0.5 * alone.requests_per_second * stage.seconds
    long_enough = stage.seconds > 35
    passed = passed and (ended[0] > 0 or not long_enough)
    seen = (
        f"{alone.requests_per_second:,.0f}/s alone, {beside.requests_per_second:,.0f}/s beside {SLOW_CLIENTS} slow "
        f"clients, failures {dict(beside.failures)}; the server ended {ended[0]} of {SLOW_CLIENTS}"
        + ("" if long_enough else " (it waits 30 s: give --seconds 60)")
    )
    return Verdict(passed, seen)


def malformed(stage: Stage) -> Verdict:
    """Ten thousand malformed bodies on every route: each gets an answer, none of them a fault of the server."""
    draw = random.Random(11)
    target = stage.target
    frames = [
        frame_request(replace(target, path=draw.choice(POST_ROUTES)), malformed_body(draw), Access())
        for _ in range(MALFORMED_REQUESTS)
    ]

    def check(answer: Answer) -> str:
        if answer.status < 500:
            return ""
        return f"{answer.status} for {frames[answer.row][-200:]!r}: {answer.body[:200]!r}"

    pace = Pace(16, 600.0, requests=MALFORMED_REQUESTS)
    tally = run_here(Plan(target, tuple(frames), 1, pace), check)
    counts, alive = statuses(tally), stage.ask()
    passed = not tally.complaints and int(tally.status.min()) > 0 and tally.status.size == MALFORMED_REQUESTS
    return Verdict(passed and alive <= 1.0, f"{counts}; {_first(tally.complaints)}")


def disconnects(stage: Stage) -> Verdict:
    """Clients that leave while their request is computed: it is dropped, and the server is free again soon."""
    target = stage.target
    body = orjson.dumps({"inputs": make_texts(32, Length.PASSAGE, seed=8)})
    request = frame_request(target, body, Access())
    before = stage.counter("te_request_failure", 'err="dropped"')
    clients = []
    for _ in range(14):  # 14 × 32 inputs are below the limit of 512
        client = socket.create_connection(("127.0.0.1", stage.port), timeout=5)
        client.sendall(request)
        clients.append(client)
    time.sleep(0.15)
    for client in clients:
        client.close()
    begun, again = time.perf_counter(), stage.ask()
    dropped = stage.counter("te_request_failure", 'err="dropped"') - before
    process = psutil.Process(stage.server.process.pid)
    while (busy := process.cpu_percent(0.5)) > QUIET_PERCENT and time.perf_counter() - begun < QUIET_SECONDS:
        pass
    seconds, queued = time.perf_counter() - begun, stage.counter("te_queue_size", "")
    seen = f"{dropped:.0f} of 14 counted as dropped, a query behind them took {again:.2f} s"
    seen += f"; {busy:.0f}% of a core and {queued:.0f} in the queue after {seconds:.1f} s"
    return Verdict(dropped > 0 and queued == 0 and busy <= QUIET_PERCENT, seen)


def restart(stage: Stage) -> Verdict:
    """Killed without warning under load: it starts again on the same port and answers."""
    thread = threading.Timer(1.0, stage.server.kill)
    thread.start()
    run_here(stage.plan(Pace(16, 2.0)))
    thread.join()
    begun = time.perf_counter()
    stage.start()
    seconds, answered = time.perf_counter() - begun, stage.ask()
    return Verdict(answered < 5.0, f"ready {seconds:.1f} s after the kill, the first request took {answered:.2f} s")


def promotions(stage: Stage) -> Verdict:
    """Twenty promotions and rollbacks under load: no failed request, and every vector of the version it names."""
    seen_versions: Counter[str] = Counter()

    def check(answer: Answer) -> str:
        if answer.status != OK:
            return f"status {answer.status}: {answer.body[:200]!r}"
        version = answer.headers.get("x-dialekt-model", "").rpartition("@")[2]
        seen_versions[version] += 1
        return stage.versions.judge(version, answer.row, np.array(orjson.loads(answer.body)[0], dtype=np.float32))

    stopping, waits = threading.Event(), list[float]()
    thread = threading.Thread(target=_change, args=(stage, stopping, waits))
    plan = stage.plan(Pace(8, 600.0, requests=None))
    thread.start()
    tallies = []
    while thread.is_alive():
        tallies.append(run_here(replace(plan, pace=replace(plan.pace, seconds=2.0)), check))
        if tallies[-1].stopped:
            stopping.set()
    thread.join()
    complaints = tuple(complaint for tally in tallies for complaint in tally.complaints)
    failed = sum(int((tally.status != OK).sum()) for tally in tallies)
    requests = sum(tally.status.size for tally in tallies)
    passed = len(waits) == CHANGES and not complaints and failed == 0 and len(seen_versions) == 2
    slowest = f"slowest change {max(waits):.1f} s" if waits else "no change seen"
    seen = f"{len(waits)} changes, {slowest}; {requests:,} requests, {failed} failed, answers {dict(seen_versions)}"
    return Verdict(passed, f"{seen}; {_first(complaints)}")


def _change(stage: Stage, stopping: threading.Event, waits: list[float]) -> None:
    """Change the champion again and again, each time once the server answers with the one before."""
    for number in range(CHANGES):
        name, begun = stage.versions.change(back=number % 2 == 1), time.perf_counter()
        while _served(stage) != name:
            if stopping.wait(0.1) or time.perf_counter() - begun > 60:
                return
        waits.append(time.perf_counter() - begun)
        time.sleep(0.5)


def _served(stage: Stage) -> str:
    """Return the version that answers now."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=30)
    with suppress(OSError):
        body = orjson.dumps({"inputs": stage.texts[0]})
        connection.request("POST", "/embed", body=body, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return str(answer.headers.get("x-dialekt-model", "")).rpartition("@")[2]
    return ""


TESTS: dict[str, Callable[[Stage], Verdict]] = {
    "overload": overload,
    "slow-clients": slow_clients,
    "malformed": malformed,
    "disconnects": disconnects,
    "restart": restart,
    "promotions": promotions,
}


def main() -> None:
    """Start the server, run the tests and print their verdicts."""
    parser = argparse.ArgumentParser(description="dialekt serve under stress")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="folder or name")
    parser.add_argument("--engine", default="auto", help="of dialekt serve")
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload, and of slow clients")
    parser.add_argument("--only", choices=TESTS, action="append", help="run this test; may be given many times")
    options = parser.parse_args()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    texts = make_texts(64, Length.SHORT, seed=2)
    failed = False
    with tempfile.TemporaryDirectory(prefix="serving-stress-") as folder:
        place = Path(folder)
        versions = make_versions(fetch_model(options.model), place, texts)
        port = free_port()
        command = dialekt_command("--project", str(versions.project), "--engine", options.engine, port=port)
        stage = Stage(command, port, place / "server.log", versions, texts, options.seconds)
        stage.start()
        try:
            for name in options.only or TESTS:
                verdict = TESTS[name](stage)
                failed = failed or not verdict.passed
                print(f"{name:14}{'passed' if verdict.passed else 'FAILED'}  {verdict.seen}", flush=True)
        finally:
            stop(stage.server)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
