"""A release with all that answers its searches: the model of its queries, that of its documents, its vectors."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from dialekt.errors import ModelError
from dialekt.index.opened import OpenIndex
from dialekt.index.records import IndexVersion, Release
from dialekt.index.searching import Searcher
from dialekt.index.update.mixed import searched
from dialekt.models.contract import EncodingContract
from dialekt.models.engines.records import ModelKind
from dialekt.models.spaces import space_id
from dialekt.serving.applier import Applier
from dialekt.serving.embedding import DocumentEncoder
from dialekt.serving.freshening import Freshener
from dialekt.serving.records import Priority
from dialekt.serving.service import Service
from dialekt.serving.shelf import Slot


@dataclass(frozen=True, slots=True, eq=False)
class ServedRelease:
    """What a request takes once and answers from, so that its parts fit whatever goes live meanwhile."""

    release: Release
    version: IndexVersion
    searcher: Searcher
    queries: Slot
    documents: Slot
    encoder: DocumentEncoder
    applier: Applier
    contract: EncodingContract
    freshener: Freshener

    @property
    def name(self) -> str:
        """The release's id: r1, r2, ..."""
        return self.release.name

    async def let_go(self, service: Service) -> None:
        """Stop keeping the models in memory; requests in flight keep theirs."""
        self.encoder.stop()
        self.freshener.stop()
        await self.applier.stop()
        service.give_back(self.queries)
        service.give_back(self.documents)


async def load_release(
    opened: OpenIndex, service: Service, name: str, *, model_name: str, threads: Executor
) -> ServedRelease:
    """Load what a release needs and search once. The models stay in memory until `let_go`; `threads` apply the log.

    Raises `ModelError` where the model is not the one that the index was made with, and what opening the vectors
    raises.
    """
    release = await asyncio.to_thread(opened.catalogue.release, name)
    version = await asyncio.to_thread(opened.catalogue.version, release.index)
    queries = await service.take(f"{model_name}@{release.model}", (ModelKind.EMBEDDING,))
    held = [queries]
    try:
        documents = await service.take_documents(queries)
        held.append(documents)
        model_id = await asyncio.to_thread(service.model_id, queries)
        contract = _checked(release, version, queries, model_id=model_id)
        engine = await asyncio.to_thread(opened.engine, version.name)
        urgent = DocumentEncoder(service, documents, priority=Priority.QUERY)
        freshener = Freshener(opened, version, urgent, threads)
        searcher = Searcher(opened.documents, searched(engine, release, freshen=freshener), release.settings)
        await asyncio.to_thread(_warm_up, searcher, contract.dimension)
    except BaseException:
        for slot in held:
            service.give_back(slot)
        raise
    encoder = DocumentEncoder(service, documents)
    applier = Applier(lambda: opened.apply(version.name, encoder), threads)
    return ServedRelease(release, version, searcher, queries, documents, encoder, applier, contract, freshener)


def _checked(release: Release, version: IndexVersion, queries: Slot, *, model_id: str) -> EncodingContract:
    """Return the contract of a model that fits the vectors. Raises `ModelError`."""
    contract = queries.pipeline.servable.contract
    assert contract is not None  # the model is an embedding model
    if model_id != release.model_id or space_id(contract, model_id) != version.space:
        raise ModelError(
            f"the release {release.name} was made with another model than {queries.target.reference} is now",
            hint="prompts, limits or files have changed since: dialekt index migrate makes a release of what is there",
        )
    if contract.dimension != version.spec.dimension:
        raise ModelError(
            f"{queries.target.reference} makes vectors of {contract.dimension} dimensions, and the index "
            f"{version.name} has {version.spec.dimension}",
            hint="dialekt index migrate makes one that fits",
        )
    return contract


def _warm_up(searcher: Searcher, dimension: int) -> None:
    vector = np.zeros((1, dimension), dtype=np.float32)
    vector[0, 0] = 1.0
    searcher.search(vector, k=1)
