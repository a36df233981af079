"""Twenty migrations and rollbacks while two servers answer searches and take writes: what fails, what is lost.

    python benchmarks/index_migrations.py --switches 20 --engine lancedb

Two versions of one model whose vectors nobody can mistake for each other. Searchers know, for each version, with which
cosine the best document must come; every answer's release, model and score must agree. Writers add, change and remove
documents of their own and ask after each acknowledged write, at either server, whether it is there (or away).
Meanwhile `dialekt index migrate` and `rollback` run as commands of their own, and old releases are dropped.
"""

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.server_process import dialekt_command, free_port, start, stop
from benchmarks.stress_project import Versions, make_versions

from dialekt.index.opened import OpenIndex

DOCUMENTS, QUERIES, WRITERS, SEARCHERS = 400, 40, 2, 3
SAME_SCORE = 0.02
_WORDS = (
    "pump",
    "valve",
    "filter",
    "motor",
    "sensor",
    "alarm",
    "belt",
    "seal",
    "pipe",
    "grid",
    "cable",
    "panel",
    "roof",
)


@dataclass
class Record:
    """What was seen, by all threads."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    releases: set[tuple[str, str]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, text: str) -> None:
        """Note what is wrong."""
        with self.lock:
            self.faults.append(text)


class Client:
    """One connection to one server; connects again when the server closes it."""

    def __init__(self, port: int):
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Mapping[str, str], Any]:
        """Return status, headers and the JSON of an answer."""
        content = json.dumps(body).encode() if body is not None else None
        headers = {"content-type": "application/json"} if content else {}
        try:
            self._connection.request(method, path, content, headers)
            answer = self._connection.getresponse()
            data = answer.read()
        except (http.client.HTTPException, OSError):
            self._connection.close()
            raise
        return answer.status, dict(answer.getheaders()), json.loads(data) if data else None


def documents_of(seed: int) -> list[str]:
    """Return texts that differ from each other."""
    draw = random.Random(seed)
    return [" ".join(draw.sample(_WORDS, 5)) + f" {n} {draw.getrandbits(24):x}" for n in range(DOCUMENTS)]


def search_for_ever(
    port: int, queries: Sequence[str], truth: Mapping[str, Any], record: Record, end: threading.Event
) -> None:
    """Search, and hold every answer against what its release must say."""
    client, draw = Client(port), random.Random(port + threading.get_ident())
    while not end.is_set():
        row = draw.randrange(len(queries))
        started = time.perf_counter()
        try:
            status, headers, body = client.ask(
                "POST", "/search", {"query": queries[row], "k": 5, "filter": {"kind": "base"}, "return_text": False}
            )
        except (http.client.HTTPException, OSError) as error:
            record.fault(f"search: {type(error).__name__}")
            continue
        record.seconds.append(time.perf_counter() - started)
        record.counts[f"search {status}"] += 1
        if status != 200:
            record.fault(f"search: {status} {body}")
            continue
        named = (headers["x-dialekt-release"], headers["x-dialekt-model"])
        record.releases.add(named)
        best, expected = body["hits"][0], truth[named[1].partition("@")[2]][row]
        if (body["release"], body["model"]) != named or abs(best["score"] - expected) > SAME_SCORE:
            record.fault(
                f"search: {named}, body {body['release']} {body['model']}, {best['score']:.3f} not {expected:.3f}"
            )


def write_for_ever(ports: Sequence[int], name: str, record: Record, end: threading.Event) -> None:
    """Write documents of one's own, and ask either server after every acknowledged write."""
    clients, draw = [Client(port) for port in ports], random.Random(name)
    texts: dict[str, str] = {}
    while not end.is_set():
        document, text = f"{name}-{draw.randrange(12)}", f"{name} {draw.getrandbits(32):x}"
        remove = document in texts and draw.random() < 0.4
        method = "DELETE" if remove else "POST"
        body = {"ids": [document]} if remove else {
            "documents": [{"id": document, "text": text, "metadata": {"kind": name}}]
        }  # fmt: skip
        try:
            status, _, answer = draw.choice(clients).ask(method, "/documents", body)
        except (http.client.HTTPException, OSError) as error:
            record.fault(f"write: {type(error).__name__}")
            continue
        record.counts[f"write {status}"] += 1
        if status not in {200, 202}:
            record.fault(f"write: {status} {answer}")
            continue
        texts.pop(document, None)
        if not remove:
            texts[document] = text
        if status == 200:
            _check_own(draw.choice(clients), name, texts, record)


def _check_own(client: Client, name: str, texts: Mapping[str, str], record: Record) -> None:
    """Compare what a filtered search finds of one's own documents with what they are."""
    query = {"query": name, "k": 50, "filter": {"kind": name}, "exact": True}
    status, _, body = client.ask("POST", "/search", query)
    record.counts[f"check {status}"] += 1
    found = {hit["id"]: hit["text"] for hit in body["hits"]} if status == 200 else None
    if found != texts:
        missing = len(texts.keys() - (found or {}).keys())
        back = len((found or {}).keys() - texts.keys())
        record.fault(
            f"documents of {name} at {body.get('release')}: {missing} lost, {back} resurrected, status {status}"
        )


def command(project: Path, *words: str) -> float:
    """Run `dialekt index`; return its seconds."""
    started = time.monotonic()
    words = (sys.executable, "-m", "dialekt", "index", *words, "--project", str(project), "--json")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words[3:])}: {done.stdout[-600:]} {done.stderr[-600:]}")
    return time.monotonic() - started


def expected_scores(versions: Versions, queries: int) -> dict[str, list[float]]:
    """Return, per version, the cosine of each query's best document."""
    scores = {}
    for name, vectors in versions.vectors.items():
        scaled = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores[name] = (scaled[:queries] @ scaled[queries:].T).max(axis=1).tolist()
    return scores


def prepare(folder: Path, model: Path, engine: str) -> tuple[Versions, list[str]]:
    """Make a project with two versions, documents, and a first release."""
    texts = documents_of(1)
    queries = [" ".join(text.split()[:3]) + f" {row}" for row, text in enumerate(texts[:QUERIES])]
    versions = make_versions(model, folder, [*queries, *texts])
    rows = [
        json.dumps({"_id": f"base-{n}", "text": text, "metadata": {"kind": "base"}}) for n, text in enumerate(texts)
    ]
    (versions.project / "corpus.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = f'[corpus]\npath = "corpus.jsonl"\n\n[registry]\npath = "registry"\n\n[index]\nengine = "{engine}"\n'
    (versions.project / "dialekt.toml").write_text(settings, encoding="utf-8")
    command(versions.project, "build", "--model", "v1")
    return versions, queries


def change_releases(project: Path, switches: int, record: Record) -> list[float]:
    """Migrate, roll back and drop, in turn; return the seconds of each switch."""
    seconds = []
    for number in range(switches):
        if number % 2:
            seconds.append(command(project, "rollback"))
        else:
            words = ("--model", "v2", "--override", "a test under load")
            seconds.append(command(project, "migrate", *words))
        _follow_check(project, record)
        if number % 6 == 5:
            opened = OpenIndex.open(project / "index")
            others = [
                release.name for release in opened.catalogue.releases() if release.name != opened.catalogue.live()
            ]
            opened.close()
            for name in others:
                command(project, "drop", name)
        print(f"switch {number + 1}: {seconds[-1]:.1f} s, {dict(record.counts)}, {len(record.faults)} faults")
    return seconds


def _follow_check(project: Path, record: Record) -> None:
    """A second after a switch every server must answer from the new release."""
    time.sleep(1.0)
    opened = OpenIndex.open(project / "index")
    live, servers = opened.catalogue.live(), opened.catalogue.servers()
    opened.close()
    record.counts["servers followed within 1 s"] += sum(server.release == live for server in servers)
    for server in servers:
        if server.release != live:
            record.fault(f"a server answers from {server.release} a second after {live} went live")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--engine", default="lancedb")
    parser.add_argument("--model", type=Path, help="model folder; unset: the packaged all-MiniLM-L6-v2")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    model = arguments.model or _packaged()
    record, end = Record(), threading.Event()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        versions, queries = prepare(Path(name), model, arguments.engine)
        truth = expected_scores(versions, len(queries))
        ports = [free_port(), free_port()]
        for port in ports:
            words = ("--project", str(versions.project), "--engine", "torch")
            server = start(dialekt_command(*words, port=port), port=port, log=Path(name) / f"{port}.log")
            stack.callback(stop, server)
        threads = [
            threading.Thread(target=search_for_ever, args=(ports[n % 2], queries, truth, record, end))
            for n in range(SEARCHERS)
        ]
        threads += [
            threading.Thread(target=write_for_ever, args=(ports, f"writer{n}", record, end)) for n in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        try:
            seconds = change_releases(versions.project, arguments.switches, record)
        finally:
            end.set()
            for thread in threads:
                thread.join()
        command(versions.project, "verify")
    _say(record, seconds)
    sys.exit(bool(record.faults))


def _say(record: Record, seconds: Sequence[float]) -> None:
    for fault in record.faults[:10]:
        print(f"fault: {fault}")
    quantiles = statistics.quantiles(record.seconds, n=1000)
    print(
        f"{len(seconds)} switches (median {statistics.median(seconds):.1f} s a command), {dict(record.counts)}; search"
        f" p50 {quantiles[499] * 1e3:.0f} ms, p99 {quantiles[989] * 1e3:.0f} ms, slowest"
        f" {max(record.seconds) * 1e3:.0f} ms; "
        f"{len(record.releases)} releases answered; {len(record.faults)} faults"
    )


def _packaged() -> Path:
    from dialekt.models.base import packaged_minilm

    folder = packaged_minilm()
    assert folder is not None, "install the demo extra"
    return folder


if __name__ == "__main__":
    main()
