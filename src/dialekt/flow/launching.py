"""A command that a launcher has started several times: one process does it, the others help it to train."""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from dialekt.training.launch import Launch


@contextmanager
def one_of_many(environment: MutableMapping[str, str] = os.environ) -> Iterator[bool]:
    """Yield whether this process is the one that does the command; the others have helped when they are told no.

    Raises `UsageError` for a launcher's variables that are not whole, `ClusterError` in a process whose leader is gone.
    """
    launch = Launch.read(environment)
    if launch is None:
        yield True
        return
    from dialekt.training.distributed import help_along, leading

    if launch.rank:
        help_along(launch)
        yield False
        return
    with leading(launch, environment):
        yield True
