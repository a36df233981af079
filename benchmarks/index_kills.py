"""kill -9 at random moments: of whoever builds, writes, switches, rolls back and drops.

    python benchmarks/index_kills.py --kills 200 --engine lancedb

A worker does all of that for ever on one index, and notes each write once it is acknowledged (durable and in the live
release's vectors). It is killed after a random time, again and again; the next worker goes on where it was. After each
kill the index is opened and everything is compared with the notes: a release is live and whole, every acknowledged
write is there, nothing that was removed has come back, and only the write that was under way may be either.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine
from dialekt.errors import NotFoundError
from dialekt.index import switching
from dialekt.index.building import fill
from dialekt.index.checks import check_rows
from dialekt.index.opened import OpenIndex
from dialekt.index.records import EngineSpec, State
from dialekt.index.schema import FILE_NAME
from dialekt.types import Document, Role

DIMENSION = 64
DOCUMENTS = 300
NOW = "2026-01-01T00:00:00+00:00"
BEGUN, DONE = "begun", "done"


def embed(texts: Sequence[str], _: Role) -> NDArray[np.float32]:
    """Return vectors that depend on the text, without a model: this is about what is kept, not what is found."""
    seeds = [zlib.crc32(text.encode()) for text in texts]
    vectors = np.stack([np.random.default_rng(seed).standard_normal(DIMENSION, dtype=np.float32) for seed in seeds])
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def first_text(name: str) -> str:
    """Return what a document says before anybody has written it."""
    return f"first text of {name}"


class Notes:
    """What was begun and what was acknowledged, in a file that survives the worker."""

    def __init__(self, path: Path):
        self._file = path.open("ab", buffering=0)

    def write(self, event: str, number: int, name: str, text: str | None) -> None:
        """Add a line; the system has it when this returns."""
        self._file.write((json.dumps([event, number, name, text]) + "\n").encode())


@dataclass
class Truth:
    """What must be there: the text of each document (None: removed), and what may be instead."""

    texts: dict[str, str | None] = field(default_factory=dict)
    open: dict[str, str | None] = field(default_factory=dict)
    writes: int = 0

    def allows(self, name: str, text: str | None) -> bool:
        """Whether a document may be in this state."""
        known = self.texts.get(name, first_text(name))
        return text == known or (name in self.open and text == self.open[name])


def read_truth(path: Path) -> Truth:
    """Read the notes of all workers; a write that was begun and not acknowledged may have happened or not."""
    truth = Truth()
    begun: dict[int, tuple[str, str | None]] = {}
    lines = path.read_bytes().splitlines() if path.exists() else []
    for line in lines:
        event, number, name, text = json.loads(line)
        if event == BEGUN:
            begun[number] = (name, text)
        else:
            begun.pop(number, None)
            truth.texts[name] = text
            truth.open.pop(name, None)
            truth.writes += 1
    truth.open = dict(begun.values())
    return truth


def settle(opened: OpenIndex, path: Path) -> None:
    """Note what became of writes that were under way when their worker was killed."""
    notes, lines = Notes(path), path.read_bytes().splitlines() if path.exists() else []
    begun: dict[int, str] = {}
    for line in lines:
        event, number, name, _ = json.loads(line)
        begun.pop(number, None)
        if event == BEGUN:
            begun[number] = name
    for number, name in begun.items():
        unit = opened.documents.read([name]).get(name)
        notes.write(DONE, number, name, unit.text if unit else None)


def work(folder: Path, spec: EngineSpec, url: str | None, seed: int) -> None:
    """Write, build, switch, roll back and drop until killed."""
    draw = random.Random(seed)
    opened = OpenIndex.open(folder / "index", url=url, create=True)
    notes = Notes(folder / "notes.ndjson")
    sys.stdout.write("open\n")
    sys.stdout.flush()
    _ensure_live(opened, spec)
    steps: tuple[Callable[[], None], ...] = (
        lambda: _write(opened, notes, draw),
        lambda: _migrate(opened, spec, draw),
        lambda: _back(opened),
        lambda: _drop_others(opened),
    )
    while True:
        for step in (steps[0], steps[0], steps[0], draw.choice(steps[1:])):
            step()


def _ensure_live(opened: OpenIndex, spec: EngineSpec) -> None:
    if not opened.catalogue.live():
        names = [f"d{n}" for n in range(DOCUMENTS)]
        opened.documents.write([Document(name, first_text(name)) for name in names])
        _go(opened, spec, "s0")


def _write(opened: OpenIndex, notes: Notes, draw: random.Random) -> None:
    """Write or remove a document, and wait until the live release has it."""
    number, name = draw.getrandbits(60), f"d{draw.randrange(DOCUMENTS)}"
    text = None if draw.random() < 0.4 else f"text {number}"
    notes.write(BEGUN, number, name, text)
    written = (
        opened.documents.write([], deleted=[name]) if text is None else opened.documents.write([Document(name, text)])
    )
    opened.apply(opened.catalogue.release(written.live).index, embed)
    notes.write(DONE, number, name, text)


def _migrate(opened: OpenIndex, spec: EngineSpec, draw: random.Random) -> None:
    unfinished = [release for release in opened.catalogue.releases() if release.state is State.BUILDING]
    if unfinished:
        _finish(opened, unfinished[0].name)
    else:
        _go(opened, spec, f"s{draw.randrange(1_000_000)}")


def _go(opened: OpenIndex, spec: EngineSpec, space: str) -> None:
    version = opened.catalogue.add_version(space, spec, created=NOW)
    _finish(opened, opened.catalogue.add_release(version.name, model="v1", model_id="m", created=NOW).name)


def _finish(opened: OpenIndex, name: str) -> None:
    """Fill, check and switch, from wherever an earlier worker was killed."""
    release = opened.catalogue.release(name)
    fill(opened, release.index, embed, chunk_documents=50)
    switching.catch_up(opened, release.index, embed)
    checked = check_rows(opened, release.index)
    assert checked.passed, checked.detail
    opened.catalogue.set_release_ready(name)
    switching.go_live(opened, name, embed, now=NOW)


def _back(opened: OpenIndex) -> None:
    try:
        switching.roll_back(opened, embed, now=NOW)
    except NotFoundError:
        return


def _drop_others(opened: OpenIndex) -> None:
    kept = {opened.catalogue.live(), opened.catalogue.previous()}
    for release in opened.catalogue.releases():
        if release.name not in kept:
            switching.drop(opened, release.name)


def faults(folder: Path, url: str | None) -> list[str]:
    """Compare the index with the notes; return what is wrong."""
    if not (folder / "index" / FILE_NAME).exists():
        return []  # killed before it began
    opened = OpenIndex.open(folder / "index", url=url)
    try:
        if not opened.catalogue.live():
            return [] if not opened.catalogue.history() else ["no release is live any more"]
        live = opened.catalogue.release("live")
        found = [] if live.state is State.READY else [f"the live release {live.name} is not whole"]
        truth = read_truth(folder / "notes.ndjson")
        engine = opened.engine(live.index)
        query = embed(["any query"], Role.QUERY)
        assert engine.search(query, 5, settings=live.settings)[0].ids
        opened.apply(live.index, embed)
        checked = check_rows(opened, live.index)
        found += [] if checked.passed else [f"live release: {checked.detail}"]
        names = list(truth.texts.keys() | truth.open.keys())
        stored = opened.documents.read(names)
        for name in names:
            unit = stored.get(name)
            if not truth.allows(name, unit.text if unit else None):
                found.append(f"{name} is {unit and unit.text!r}, acknowledged was {truth.texts.get(name)!r}")
        settle(opened, folder / "notes.ndjson")
        return found
    finally:
        opened.close()


def kill_again_and_again(folder: Path, engine: IndexEngine, url: str | None, *, kills: int, seed: int) -> int:
    """Run workers and kill each; print what was found, and return the number of faults."""
    draw, moments, wrong = random.Random(seed), Counter[str](), 0
    started = time.monotonic()
    for kill in range(kills):
        words = [sys.executable, __file__, "--work", str(folder), "--engine", engine.value, "--seed", str(seed + kill)]
        words += ["--url", url] if url else []
        worker = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()  # it has the index open
        time.sleep(draw.random() * 1.5)
        worker.kill()
        said = worker.communicate()[1].decode()
        if worker.returncode != -9:
            print(f"kill {kill}: the worker ended by itself: {said.strip().splitlines()[-1:]}")
            wrong += 1
        before = time.monotonic()
        found = faults(folder, url)
        moments["faulty" if found else "sound"] += 1
        wrong += len(found)
        for fault in found:
            print(f"kill {kill}: {fault}")
        if (kill + 1) % 20 == 0:
            print(f"{kill + 1} kills, {time.monotonic() - started:.0f} s, last check {time.monotonic() - before:.1f} s")
    opened = OpenIndex.open(folder / "index", url=url)
    switches, truth = len(opened.catalogue.history()), read_truth(folder / "notes.ndjson")
    opened.close()
    print(
        f"{engine.value}: {kills} kills, {moments['sound']} times sound; {truth.writes:,} acknowledged writes, "
        f"{switches} switches, {wrong} faults"
    )
    return wrong


def main() -> None:
    """Kill, or be the worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--engine", type=IndexEngine, default=IndexEngine.LANCEDB)
    parser.add_argument("--url", help="of PostgreSQL")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    spec = EngineSpec(arguments.engine, DIMENSION)
    if arguments.work:
        work(arguments.work, spec, arguments.url, arguments.seed)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sys.exit(
            kill_again_and_again(place, arguments.engine, arguments.url, kills=arguments.kills, seed=arguments.seed) > 0
        )


if __name__ == "__main__":
    main()
