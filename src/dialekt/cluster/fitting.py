"""A training on the workers of a cluster: Ray Train starts them, and again when one dies; rank 0 leads.

The leader writes its checkpoints where a training of one process does, so that what Ray starts again, and the next
command, goes on from there. Ray Train keeps none of its own.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from dialekt.cluster.connection import Cluster, import_ray, own_environment, quietly
from dialekt.cluster.mapping import failed
from dialekt.cluster.records import Division
from dialekt.cluster.sharing import require_shared
from dialekt.errors import DialektError
from dialekt.types import Progress, ReportProgress

Facts = TypeVar("Facts")
Launch = TypeVar("Launch")
RESTARTS = 3
SECONDS_BETWEEN_LOOKS = 0.2
RUN_NAME = "ray"


@dataclass(frozen=True, slots=True)
class Parts(Generic[Launch, Facts]):
    """What the workers do, all of it picklable.

    Where there are several, `meet` is called in each with its rank, their number, its rank on its machine and that
    machine's address, and returns how they find each other. `lead` trains in one of them, with the others' help if it
    gets a launch; `help` is what the others do.
    """

    meet: Callable[[int, int, int, str], Launch]
    lead: Callable[[Launch | None, ReportProgress], Facts]
    help: Callable[[Launch], None]


@dataclass(frozen=True, slots=True)
class _End(Generic[Facts]):
    """How a training ended: with facts, with an error of ours, or because it was asked to stop."""

    facts: Facts | None
    error: DialektError | None


class _Line:
    """Between the leading worker and the command: how far it has come, and whether it is to stop."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._is_stopping = False

    def report(self, progress: Progress) -> bool:
        self._progress = progress
        return self._is_stopping

    def read(self) -> Progress | None:
        return self._progress

    def stop(self) -> None:
        self._is_stopping = True


@dataclass(frozen=True, slots=True)
class _Worker(Generic[Launch, Facts]):
    """What Ray Train runs in every worker."""

    parts: Parts[Launch, Facts]
    line: Any
    folder: Path

    def __call__(self) -> _End[Facts] | None:
        from ray import train

        context = train.get_context()
        rank, size = context.get_world_rank(), context.get_world_size()
        host = import_ray().util.get_node_ip_address()
        launch = self.parts.meet(rank, size, context.get_local_rank(), host) if size > 1 else None
        if launch is not None and rank > 0:
            self.parts.help(launch)
            return None
        try:
            require_shared(self.folder)
            return _End(self.parts.lead(launch, _Reporter(self.line)), None)
        except DialektError as error:
            return _End(None, error)
        except KeyboardInterrupt:
            return _End(None, None)


class _Reporter:
    """Tells the command how far the training has come, a few times a second, and hears whether it is to stop."""

    def __init__(self, line: Any) -> None:
        self._line = line
        self._last = float("-inf")
        self._has_stopped = False

    def __call__(self, progress: Progress) -> None:
        from dialekt.models.fitting import stop_training

        if time.monotonic() - self._last < SECONDS_BETWEEN_LOOKS:
            return
        self._last = time.monotonic()
        if import_ray().get(self._line.report.remote(progress)) and not self._has_stopped:
            self._has_stopped = True
            stop_training()


def fit(cluster: Cluster, parts: Parts[Launch, Facts], *, folder: Path, progress: ReportProgress) -> Facts:
    """Train on the cluster's workers and return the leader's facts. `folder` is where it writes, for all to see.

    Raises what the leader raises, `ClusterError` when the workers die too often, and KeyboardInterrupt after a
    checkpoint was saved, when the user or the system asked to stop.
    """
    ray = import_ray()
    with quietly():
        line = ray.remote(num_cpus=0)(_Line).remote()
        run = ray.remote(num_cpus=0, max_retries=0)(_run)
        ending = run.remote(_Worker(parts, line, folder), cluster.division, folder)
    try:
        end = _watch(ray, ending, line, progress)
    except ray.exceptions.RayError as error:
        raise failed(error) from error
    finally:
        shutil.rmtree(folder / RUN_NAME, ignore_errors=True)
    if end.error is not None:
        raise end.error
    if end.facts is None:
        raise KeyboardInterrupt
    facts: Facts = end.facts
    return facts


def _watch(ray: Any, ending: Any, line: Any, progress: ReportProgress) -> _End[Any]:
    """Wait for the end. The first Ctrl-C is passed on, so that the step is saved; a second one is not waited for."""
    try:
        while not ray.wait([ending], timeout=SECONDS_BETWEEN_LOOKS)[0]:
            if (latest := ray.get(line.read.remote())) is not None:
                progress(latest)
    except KeyboardInterrupt:
        ray.get(line.stop.remote())
    end: _End[Any] = ray.get(ending)
    return end


def _run(work: _Worker[Any, Any], division: Division, folder: Path) -> _End[Any]:
    """Train, in a task of its own: Ray Train waits where no Ctrl-C comes, and answers none itself."""
    from ray.exceptions import RayError
    from ray.train import TrainingFailedError

    with quietly(), own_environment():
        try:
            end: _End[Any] = _trainer(work, division, folder).fit().return_value
        except (RayError, TrainingFailedError) as error:
            return _End(None, failed(error))
    return end


def _trainer(work: _Worker[Any, Any], division: Division, folder: Path) -> Any:
    from ray import train
    from ray.train.torch import TorchTrainer

    resources = {"CPU": division.cpus_per_worker}
    if division.gpus_per_worker:
        resources["GPU"] = division.gpus_per_worker
    scaling = train.ScalingConfig(
        num_workers=division.workers, use_gpu=bool(division.gpus_per_worker), resources_per_worker=resources
    )
    run = train.RunConfig(
        name=f"{RUN_NAME}-{time.time_ns()}",
        storage_path=str(folder / RUN_NAME),
        failure_config=train.FailureConfig(max_failures=RESTARTS),
    )
    return TorchTrainer(work.__call__, scaling_config=scaling, run_config=run)
