"""Permits: how many inputs may be inside the server at a time, whatever requests they came in."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dialekt.errors import OverloadedError

_LONGEST_RETRY_SECONDS = 30
_MEMORY_SECONDS = 1.0  # over which the rate of finished inputs is remembered
_LATER = "retry later, or start the server with a higher --max-concurrent-requests"
_FEWER = "send fewer inputs per request, or start the server with a higher --max-concurrent-requests"


class Permits:
    """Counts inputs in flight. Belongs to the event loop: no locks."""

    def __init__(self, limit: int):
        self.limit = limit
        self.in_flight = 0
        self._rate = 0.0  # inputs finished per second, a moving mean
        self._since = time.monotonic()
        self._finished = 0

    @contextmanager
    def take(self, inputs: int) -> Iterator[None]:
        """Hold a permit per input; raise `OverloadedError` for all of them when there are too few."""
        if self.in_flight + inputs > self.limit:
            raise self._refusal(inputs)
        self.in_flight += inputs
        try:
            yield
        finally:
            self.in_flight -= inputs
            self._count(inputs)

    def _count(self, inputs: int) -> None:
        """Follow the rate at which inputs leave, so that a refusal can say when there will be room."""
        self._finished += inputs
        elapsed = time.monotonic() - self._since
        if elapsed < 0.5:
            return
        share = min(1.0, elapsed / _MEMORY_SECONDS) if self._rate else 1.0
        self._rate += share * (self._finished / elapsed - self._rate)
        self._since, self._finished = time.monotonic(), 0

    def check(self) -> None:
        """Raise `OverloadedError` where not even one permit is left."""
        if self.in_flight >= self.limit:
            raise self._overloaded(f"{self.in_flight} of {self.limit} inputs are in flight", _LATER)

    def _refusal(self, inputs: int) -> OverloadedError:
        if inputs > self.limit:
            message = f"the request has {inputs} inputs, the limit is {self.limit} in flight"
            return self._overloaded(message, _FEWER)
        message = f"{self.in_flight} of {self.limit} inputs are in flight, the request has {inputs} more"
        return self._overloaded(message, _LATER)

    def _overloaded(self, message: str, hint: str) -> OverloadedError:
        wait = math.ceil(self.in_flight / self._rate) if self._rate else 1
        return OverloadedError(message, hint=hint, retry_after_seconds=min(max(1, wait), _LONGEST_RETRY_SECONDS))
