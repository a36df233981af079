"""Pieces of work for a cluster's workers."""

import os
from collections.abc import Callable

from dialekt.errors import ModelError


def open_refusal() -> Callable[[int], int]:
    """Open work that does even numbers only, and says who did it."""

    def work(number: int) -> int:
        if number % 2:
            raise ModelError(f"{number} is odd", hint="take an even one")
        return os.getpid()

    return work
