"""How many workers there are."""

import pytest

from dialekt.cluster.division import divide
from dialekt.cluster.records import Resources
from dialekt.config import ClusterConfig
from dialekt.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "resources", "expected"),
    [
        ({}, Resources(1, cpus=2, gpus=0), (2, 1, 0, "the cluster has 2 CPUs")),
        ({}, Resources(2, cpus=64, gpus=8), (8, 1, 1, "the cluster has 8 GPUs")),
        ({"cpus_per_worker": 8}, Resources(2, cpus=64, gpus=0), (8, 8, 0, "the cluster has 64 CPUs")),
        ({"gpus_per_worker": 0}, Resources(2, cpus=16, gpus=8), (16, 1, 0, "the cluster has 16 CPUs")),
        ({"gpus_per_worker": 0.5}, Resources(1, cpus=16, gpus=2), (4, 1, 0.5, "the cluster has 2 GPUs")),
        ({"workers": 3}, Resources(1, cpus=1, gpus=0), (3, 1, 0, "set")),
    ],
)
def test_workers_are_as_many_as_the_cluster_holds(
    settings: dict[str, float], resources: Resources, expected: tuple[float, float, float, str]
) -> None:
    """GPUs count where there are any, else CPUs; what the user says holds, since a cluster may grow."""
    division = divide(ClusterConfig.model_validate(settings), resources)
    assert (division.workers, division.cpus_per_worker, division.gpus_per_worker, division.why) == expected


def test_no_room_for_one_worker_is_an_error() -> None:
    """A worker that fits nowhere is said at once, not waited for."""
    with pytest.raises(ConfigError, match="2 CPUs and 0 GPUs: no room for one worker of 4 CPUs"):
        divide(ClusterConfig(cpus_per_worker=4), Resources(1, cpus=2, gpus=0))
