"""One piece of work after another, on whichever worker is free: Ray Data over a pool of actors."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic

from dialekt.cluster.connection import Cluster, import_ray, quietly
from dialekt.cluster.records import Division
from dialekt.errors import ClusterError, DialektError
from dialekt.types import Item, Result

Open = Callable[[], Callable[[Item], Result]]

ITEMS_PER_WAVE = 1_024
"""Pieces that are handed over together, so that the texts of a large corpus are never all in Ray's memory."""


@dataclass(frozen=True, slots=True)
class _Answer(Generic[Result]):
    """What came of a piece of work: a result, or the error that ended it."""

    result: Result | None
    error: DialektError | None


class _Worker:
    """The actor. An error of ours is an answer, not a failure, so that Ray neither prints nor repeats it."""

    def __init__(self, opened: Any) -> None:
        self._open: Open[Any, Any] = import_ray().get(opened[0])
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, table: Any) -> Any:
        import pyarrow as pa

        answers = [pickle.dumps(self._answer(pickle.loads(item))) for item in table["item"].to_pylist()]  # noqa: S301
        return pa.table({"place": table["place"], "answer": pa.array(answers, pa.large_binary())})

    def _answer(self, item: object) -> _Answer[Any]:
        try:
            if self._work is None:
                self._work = self._open()
            return _Answer(self._work(item), None)
        except DialektError as error:
            return _Answer(None, error)


def work_on(cluster: Cluster, open_work: Open[Item, Result], items: Iterable[Item]) -> Iterator[tuple[int, Result]]:
    """Do every piece on some worker, and yield its place and result as it is done; every piece exactly once.

    A worker that dies is started again, and its piece given to whoever is free. `open_work`, items and results are
    pickled. Raises the error of a piece that cannot be done, `ClusterError` where the cluster fails.
    """
    rest, start = iter(items), 0
    while wave := list(islice(rest, ITEMS_PER_WAVE)):
        for place, answer in _wave(cluster, open_work, wave):
            if answer.error is not None:
                raise answer.error
            yield start + place, answer.result  # type: ignore[misc]
        start += len(wave)


def _wave(
    cluster: Cluster, open_work: Open[Item, Result], items: Sequence[Item]
) -> Iterator[tuple[int, _Answer[Result]]]:
    from ray.exceptions import RayError

    division = cluster.division
    try:
        with quietly():
            tables = _begin(division, open_work, items)
        while True:
            with quietly():
                table = next(tables, None)
            if table is None:
                return
            for place, answer in zip(table["place"].to_pylist(), table["answer"].to_pylist(), strict=True):
                yield place, pickle.loads(answer)  # noqa: S301 - from a worker of ours
    except RayError as error:
        raise failed(error) from error


def _begin(division: Division, open_work: Open[Item, Result], items: Sequence[Item]) -> Iterator[Any]:
    """Return the tables of answers, each as soon as it is there."""
    ray = import_ray()
    _silence(ray.data)
    rows = ray.data.from_arrow(list(_tables(items))).map_batches(
        _Worker,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(division.workers, len(items))),
        fn_constructor_args=([ray.put(open_work)],),
        num_cpus=division.cpus_per_worker,
        num_gpus=division.gpus_per_worker,
    )
    tables: Iterator[Any] = iter(rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    return tables


def _tables(items: Iterable[object]) -> Iterator[Any]:
    """Yield every piece as a table of its own, which Ray gives to one worker."""
    import pyarrow as pa

    for place, item in enumerate(items):
        yield pa.table({"place": [place], "item": pa.array([pickle.dumps(item)], pa.large_binary())})


def _silence(data: Any) -> None:
    """Turn off what Ray Data prints by itself."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.verbose_progress = False


def failed(error: Exception) -> ClusterError:
    """Return the error of a cluster that could not do the work."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
    return ClusterError(
        f"the cluster could not do the work: {lines[-1]}",
        hint="the workers' own logs tell more: /tmp/ray/session_latest/logs; the same command goes on from there",
    )
