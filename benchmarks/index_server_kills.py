"""kill -9 of a server that takes writes, at random moments: what was answered is there, what was removed stays away.

    python -m benchmarks.index_server_kills --kills 20 --engine lancedb

`dialekt serve` on an index with MiniLM; one writer adds, changes and removes its documents. The server is killed a
random time after it is ready, started again, and asked for the writer's documents by an exact search: they must be
those that were acknowledged, and only the request under way may have happened or not.
"""

import argparse
import http.client
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.index_migrations import Client, prepare
from benchmarks.server_process import Server, dialekt_command, free_port, start, stop

from dialekt.models.base import packaged_minilm

NAME, DOCUMENTS = "writer", 12
Texts = dict[str, str | None]


def write_until_killed(port: int, texts: Texts, draw: random.Random) -> tuple[Texts, int]:
    """Write until the connection breaks; return what the last request wanted, and how many were acknowledged."""
    client, acknowledged = Client(port), 0
    while True:
        document, text = f"{NAME}-{draw.randrange(DOCUMENTS)}", f"{NAME} {draw.getrandbits(32):x}"
        wanted = None if texts.get(document) and draw.random() < 0.4 else text
        try:
            if wanted is None:
                status, _, _ = client.ask("DELETE", "/documents", {"ids": [document]})
            else:
                row = {"id": document, "text": wanted, "metadata": {"kind": NAME}}
                status, _, _ = client.ask("POST", "/documents", {"documents": [row]})
        except (http.client.HTTPException, OSError, json.JSONDecodeError):
            return {document: wanted}, acknowledged
        assert status in {200, 202}, status
        texts[document] = wanted
        acknowledged += 1


def faults(port: int, texts: Texts, under_way: Texts) -> list[str]:
    """Compare what the server finds with what was acknowledged; settle what was under way."""
    query = {"query": NAME, "k": 50, "filter": {"kind": NAME}, "exact": True}
    status, _, body = Client(port).ask("POST", "/search", query)
    assert status == 200, body
    found = {hit["id"]: hit["text"] for hit in body["hits"]}
    for document, wanted in under_way.items():
        if found.get(document) == wanted:
            texts[document] = wanted
    expected = {document: text for document, text in texts.items() if text is not None}
    return [
        f"{document}: {found.get(document)!r}, acknowledged was {expected.get(document)!r}"
        for document in sorted(found.keys() | expected.keys())
        if found.get(document) != expected.get(document)
    ]


def started(project: Path, port: int) -> Server:
    """Start the server and wait until it answers searches."""
    words = ("--project", str(project), "--engine", "torch")
    server = start(dialekt_command(*words, port=port), port=port, log=project.parent / "server.log")
    while Client(port).ask("POST", "/search", {"query": "ready", "k": 1})[0] != 200:
        time.sleep(0.05)
    return server


def main() -> None:
    """Kill again and again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--engine", default="lancedb")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    model = packaged_minilm()
    assert model is not None, "install the demo extra"
    draw, texts, acknowledged, wrong = random.Random(arguments.seed), Texts(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        versions, _ = prepare(Path(name), model, arguments.engine)
        port = free_port()
        server = started(versions.project, port)
        for kill in range(arguments.kills):
            timer = threading.Timer(0.05 + draw.random() * 2, server.process.kill)
            timer.start()
            under_way, done = write_until_killed(port, texts, draw)
            timer.join()
            server.process.wait()
            acknowledged += done
            server = started(versions.project, port)
            found = faults(port, texts, under_way)
            wrong += len(found)
            for fault in found:
                print(f"kill {kill}: {fault}")
        stop(server)
    print(
        f"{arguments.engine}: {arguments.kills} kills of the server, {acknowledged} acknowledged writes, {wrong} faults"
    )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
