"""The connection to a Ray cluster: a running one, or one of this machine alone that lives as long as the command."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dialekt.cluster.division import divide
from dialekt.cluster.records import Division, Resources
from dialekt.config import ClusterConfig
from dialekt.errors import ClusterError, ConfigError, MissingExtraError

OBJECT_STORE_BYTES = (256 << 20, 2 << 30)
"""Of a cluster that is started here: a tenth of the memory, between these. What does not fit goes to the disk."""

LOGGERS = ("ray", "ray.data", "ray.train")
"""What goes wrong comes to us as an exception, and is in Ray's own files."""

TOLD_TO_WORKERS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables of this process that hold for the workers of every machine."""

OWN_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers run the installed package, not a copy of the working directory
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its notes on actors that may be restarted would come out on standard error
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class Cluster:
    """The workers of a Ray cluster. Connects when it is first asked, and ends what it started when it is closed."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self._division: Division | None = None
        self._is_ours = False

    @property
    def division(self) -> Division:
        """Return how the work is shared.

        Raises `MissingExtraError` without Ray, `ConfigError` for an address or workers that cannot be had.
        """
        if self._division is None:
            ray = import_ray()
            with quietly():
                if not ray.is_initialized():
                    self._connect(ray)
                self._division = divide(self._config, _resources(ray))
        return self._division

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._is_ours:
            with quietly():
                import_ray().shutdown()
        self._division, self._is_ours = None, False

    def _connect(self, ray: Any) -> None:
        address = self._config.address or os.environ.get("RAY_ADDRESS")
        if address and address.startswith("ray://"):
            raise ConfigError(
                f"cluster.address = {address!r}: work cannot be divided from outside the cluster",
                hint="run the command on a machine of the cluster: ray job submit -- dialekt train --on ray",
            )
        settings: dict[str, Any] = {"address": address} if address else self._own_cluster()
        environment = {name: os.environ[name] for name in TOLD_TO_WORKERS if name in os.environ}
        try:
            with own_environment(), _own_signals(), _no_output():
                ray.init(
                    **settings,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"env_vars": environment} if environment else None,
                )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = f"the Ray cluster at {address!r}" if address else "a Ray cluster of this machine"
            raise ClusterError(
                f"{where} cannot be had: {_first_line(error)}",
                hint="is it running? ray status; without an address one is started here: unset RAY_ADDRESS"
                if address
                else "is there room in /dev/shm and in the temporary folder?",
            ) from error
        self._is_ours = True
        _print_nothing()

    def _own_cluster(self) -> dict[str, Any]:
        least, most = OBJECT_STORE_BYTES
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        settings: dict[str, Any] = {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": min(most, max(least, memory // 10)),
        }
        if self._config.workers is not None:  # more than there are cores take turns
            wanted = self._config.workers * self._config.cpus_per_worker
            settings["num_cpus"] = max(os.cpu_count() or 1, -(-wanted // 1))
        return settings


def import_ray() -> Any:
    """Return the module. Raises `MissingExtraError`."""
    try:
        with own_environment():
            import ray
            import ray.data  # it sets up its own logging
    except ImportError as error:
        raise MissingExtraError("ray", needed_for="cluster.on = 'ray'") from error
    return ray


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the libraries' warnings about each other, and what Ray logs, off the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_ray()
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield


def _resources(ray: Any) -> Resources:
    found = ray.cluster_resources()
    machines = sum(bool(node["Alive"]) for node in ray.nodes())
    return Resources(machines, float(found.get("CPU", 0)), float(found.get("GPU", 0)))


@contextmanager
def own_environment() -> Iterator[None]:
    """Set what Ray reads from the environment while it starts, where the user has not."""
    missing = {name: value for name, value in OWN_SETTINGS.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our answers to Ctrl-C and SIGTERM: Ray puts one of its own in their place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _no_output() -> Iterator[None]:
    """Send what is written to the two standard streams, by compiled code too, nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        for number, former in kept.items():
            os.dup2(former, number)
            os.close(former)
        os.close(nowhere)


def _print_nothing() -> None:
    """Stop Ray from printing what its machines report: it goes to standard output, where our results are."""
    from ray._private import worker

    worker.print_to_stdstream = lambda *_, **__: None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
