"""One request inside the server: its inputs, its results as they come, and whether anybody still waits for them."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import RequestError
from dialekt.serving.records import Outcome, Work


@dataclass(slots=True, eq=False)
class Job:
    """A request's work. Tokeniser and engine fill it in, one thread after the other; the event loop resolves it."""

    work: Work
    future: asyncio.Future[Outcome]
    arrived_at: float = field(default_factory=time.monotonic)
    given_up: bool = False
    tokens: tuple[int, ...] = ()
    tokenization_seconds: float = 0.0
    fault: RequestError | None = None
    _values: NDArray[np.float32] | None = None
    _matrices: list[NDArray[np.float32]] = field(default_factory=list)
    _waited: float = 0.0
    _computed: float = 0.0
    _missing: int = 0

    @property
    def deadline(self) -> float:
        """When nobody waits any more, on the clock of time.monotonic."""
        return self.arrived_at + self.work.deadline_seconds

    def is_wanted(self, now: float) -> bool:
        """Whether computing makes sense: no fault so far, a client that waits, and time left."""
        return not self.given_up and self.fault is None and now < self.deadline

    def expect(self, width: int, tokens: Sequence[int], *, seconds: float) -> None:
        """Make room for the results, once the inputs are tokenised."""
        self.tokens = tuple(tokens)
        self.tokenization_seconds = seconds
        self._missing = len(tokens)
        if self.work.token_level:
            self._matrices = [np.empty((0, 0), dtype=np.float32)] * len(tokens)
        else:
            self._values = np.empty((len(tokens), width), dtype=np.float32)

    def fill(self, place: int, values: NDArray[np.float32], *, waited: float, computed: float) -> None:
        """Take the result of one input: a vector, or a matrix for token-level work."""
        if self._values is None:
            self._matrices[place] = values
        else:
            self._values[place] = values
        self._waited += waited
        self._computed += computed
        self._missing -= 1

    @property
    def is_complete(self) -> bool:
        """Whether there is something to tell the client."""
        return self._missing == 0 or self.fault is not None

    def outcome(self) -> Outcome:
        """Return the results of all inputs."""
        inputs = max(1, len(self.tokens))
        values = self._values if self._values is not None else np.empty((0, 0), dtype=np.float32)
        return Outcome(
            values=values,
            token_values=tuple(self._matrices),
            tokens=self.tokens,
            tokenization_seconds=self.tokenization_seconds,
            queue_seconds=self._waited / inputs,
            inference_seconds=self._computed / inputs,
        )


def resolve(jobs: Iterable[Job]) -> None:
    """Tell the waiting clients. Runs in the event loop."""
    for job in jobs:
        if job.future.done():
            continue
        if job.fault is not None:
            job.future.set_exception(job.fault)
        else:
            job.future.set_result(job.outcome())
