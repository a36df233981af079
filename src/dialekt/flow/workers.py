"""Who does the heavy work of a stage: this process, or the workers of a cluster. The results are the same."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.config import ClusterConfig, ModelConfig, Place
from dialekt.flow.facts import plain
from dialekt.types import Item, Progress, ReportProgress, Result, one_by_one

if TYPE_CHECKING:
    from dialekt.cluster.connection import Cluster
    from dialekt.models.vectors import EmbedParts


class Workers:
    """The workers that a project's configuration names; nothing is started before there is something to do."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self._cluster: Cluster | None = None

    @property
    def are_elsewhere(self) -> bool:
        """Whether the work is done by a cluster."""
        return self._config.on is Place.RAY

    @property
    def cluster(self) -> "Cluster":
        """The cluster; raises what connecting to it raises once it is asked for its workers."""
        from dialekt.cluster.connection import Cluster

        if self._cluster is None:
            self._cluster = Cluster(self._config)
        return self._cluster

    def join(self, progress: ReportProgress) -> int:
        """Connect to the workers, if they are elsewhere, and return how many there are."""
        if not self.are_elsewhere:
            return 1
        progress(Progress("connecting to the cluster", 0))
        return self.cluster.division.workers

    def embed_parts(self, name: str, config: ModelConfig) -> "EmbedParts":
        """Return who encodes parts with the model of this name or folder."""
        from dialekt.models.adapter_names import is_adapter_folder
        from dialekt.models.endpoint import is_endpoint
        from dialekt.models.vectors import embed_here

        # what an endpoint answers is kept in a file here, and asking it from more machines makes it no faster
        if not self.are_elsewhere or is_endpoint(name) or is_adapter_folder(Path(name)):
            return embed_here
        from dialekt.cluster.embedding import embedder

        return embedder(self.cluster, name, config)

    def divide(
        self, open_work: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Do pieces of work, and yield the place and the result of each as it is done."""
        if not self.are_elsewhere:
            return one_by_one(open_work, items)
        from dialekt.cluster.mapping import work_on

        return work_on(self.cluster, open_work, items)

    def recorded(self, facts: object) -> object:
        """Return a stage's facts with how its work was shared, where it was."""
        return plain(facts) | {"cluster": plain(self.cluster.division)} if self.are_elsewhere else facts

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None
