"""What is known of the workers that share a stage's work."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resources:
    """What a cluster has."""

    machines: int
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class Division:
    """By how many workers the work is shared, and what each of them has; `why` says where the number comes from."""

    workers: int
    cpus_per_worker: float
    gpus_per_worker: float
    machines: int
    why: str
