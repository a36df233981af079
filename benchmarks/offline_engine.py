"""An engine without a server, in a process of its own as a server's is: how many texts a second it can do."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dialekt.config import EngineName, ModelConfig
from dialekt.load.texts import Length, make_texts

START_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Task:
    """Run texts of this length in batches of so many, for so many seconds."""

    length: Length
    batch: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Offline:
    """Texts per second: of the model alone, and with tokenising."""

    model: float
    whole: float


class OfflineEngine:
    """A process that has loaded an engine. `name` says which it is, and its precision."""

    def __init__(self, model: Path, engine: EngineName) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe: Connection[Any, Any]
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end, model, engine), daemon=True)
        self._process.start()
        end.close()
        self.name: str = self._pipe.recv()

    def run(self, task: Task) -> Offline:
        """Measure once."""
        self._pipe.send(task)
        found: Offline = self._pipe.recv()
        return found


def _serve(pipe: "Connection[Any, Any]", model: Path, engine: EngineName) -> None:
    from dialekt.models.engines.loading import load_servable

    config = ModelConfig(base=str(model))
    servable = load_servable(str(model), model=config, engine=engine, dtype=None, cache=None, material=None)
    pipe.send(f"{servable.engine.name} {servable.engine.precision}")
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(_measure(servable, task))


def _measure(servable: Any, task: Task) -> Offline:
    from dialekt.models.engines.records import ModelInput, TokenizeOptions

    inputs = [ModelInput(text) for text in make_texts(max(task.batch, 512), task.length, seed=4)]
    groups = [inputs[start : start + task.batch] for start in range(0, len(inputs) - task.batch + 1, task.batch)]
    rows = [servable.tokenizer.encode(group, TokenizeOptions()) for group in groups]
    lanes = servable.engine.lanes

    def run(lane: int, *, tokenises: bool) -> int:
        """Compute batches until the time is up, as one lane of the engine; return how many texts."""
        servable.engine.run(rows[lane % len(rows)])
        end, done = time.perf_counter() + task.seconds / 2, 0
        while time.perf_counter() < end:
            place = (done // task.batch + lane) % len(groups)
            tokens = servable.tokenizer.encode(groups[place], TokenizeOptions()) if tokenises else rows[place]
            servable.engine.run(tokens)
            done += task.batch
        return done

    def rate(*, tokenises: bool) -> float:
        begun = time.perf_counter()
        with ThreadPoolExecutor(lanes) as threads:
            done = sum(threads.map(partial(run, tokenises=tokenises), range(lanes)))
        return done / (time.perf_counter() - begun)

    return Offline(rate(tokenises=False), rate(tokenises=True))
