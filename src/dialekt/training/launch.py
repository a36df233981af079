"""What a launcher says to the processes that it starts to train together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dialekt.errors import UsageError


@dataclass(frozen=True, slots=True)
class Launch:
    """What a launcher says to a process: which of how many it is, on its machine too, and where they meet."""

    rank: int
    size: int
    local_rank: int
    address: str
    port: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self | None:
        """Return what torchrun or accelerate say, None where one process was started. Raises `UsageError`."""
        try:
            if int(environment.get("WORLD_SIZE", "1")) < 2:
                return None
            rank, size, local_rank, port = (
                int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
            )
            return cls(rank, size, local_rank, environment["MASTER_ADDR"], port)
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"WORLD_SIZE is set, but the launcher's variables are not whole: {error}",
                hint="start it with: torchrun --nproc-per-node 2 -m dialekt train",
            ) from None
