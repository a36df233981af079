"""How many workers share the work: what the user says, else as many as the cluster holds."""

from dialekt.cluster.records import Division, Resources
from dialekt.config import ClusterConfig
from dialekt.errors import ConfigError


def divide(config: ClusterConfig, resources: Resources) -> Division:
    """Return the workers. Raises `ConfigError` where the cluster has not one.

    More workers than the cluster holds are no error: a cluster that grows starts machines for them.
    """
    gpus = config.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if resources.gpus >= 1 else 0.0
    fits = int(resources.gpus / gpus if gpus else resources.cpus / config.cpus_per_worker)
    if config.workers is None and fits < 1:
        raise ConfigError(
            f"the cluster has {resources.cpus:g} CPUs and {resources.gpus:g} GPUs: no room for one worker of "
            f"{config.cpus_per_worker:g} CPUs and {gpus:g} GPUs",
            hint="lower cluster.cpus_per_worker or cluster.gpus_per_worker, or set cluster.workers if it will grow",
        )
    what = f"{resources.gpus:g} GPUs" if gpus else f"{resources.cpus:g} CPUs"
    why = f"the cluster has {what}" if config.workers is None else "set"
    return Division(config.workers or fits, config.cpus_per_worker, gpus, resources.machines, why)
