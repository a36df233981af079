"""The section on where the heavy work runs: this machine, or the workers of a Ray cluster."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section


class Place(StrEnum):
    """Where texts are encoded, negatives mined and models trained: in this process, or by a Ray cluster's workers."""

    LOCAL = "local"
    RAY = "ray"


class ClusterConfig(Section):
    """Where the heavy work runs. It changes how long a stage takes, never what comes out of it."""

    on: Place = Field(
        default=Place.LOCAL, description="ray: on the workers of a Ray cluster; one is started here if there is none"
    )
    address: str | None = Field(
        default=None, description="of a running Ray cluster; unset: RAY_ADDRESS, else a cluster of this machine alone"
    )
    workers: PositiveInt | None = Field(
        default=None, description="processes that share the work; unset: as many as the cluster's GPUs or CPUs allow"
    )
    cpus_per_worker: Annotated[float, Field(gt=0)] = Field(default=1, description="CPUs, and threads, of a worker")
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="GPUs of a worker; unset: 1 where the cluster has GPUs, else 0"
    )
