"""Vectors in Qdrant: a collection per index version on a server, or its client's local mode in a folder.

Tested with qdrant-client 1.20: in local mode, and over REST against its routes with local mode behind them. Local mode
searches exactly and knows neither graphs nor quantisation: what a server makes of `hnsw_ef`, int8 and binary was not
measured here.
"""

import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Quantization
from dialekt.errors import ConfigError, StorageError
from dialekt.index.engines.checks import check_dimension
from dialekt.index.engines.codes import shorten
from dialekt.index.engines.incoming import each_once
from dialekt.index.engines.qdrant_connection import (
    CONFLICT,
    Connection,
    QdrantClient,
    UnexpectedResponse,
    models,
)
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSize, EngineSpec, Found, Rows, SearchSettings
from dialekt.types import Progress, ReportProgress, no_progress

HNSW_EF = {-2: 64, -1: 128, 0: 256, 1: 512, 2: 1_024}
LOCAL_ROWS = 20_000  # the client warns above it: it compares a query with every row, and filters in Python
REQUEST_BYTES = 8_000_000  # a server takes 32 MB; a number of a vector is some 12 characters
QUERIES_AT_ONCE = 100
FULL, SHORT = "full", "short"

_IDS = uuid.UUID("6d1b8a3e-6f0a-5d0e-9f0b-2f6f1f6d9a55")
_COLUMNS = ("id", "document_id", "hash", "space")


class QdrantEngine:
    """The rows of an index version, in a collection of its name."""

    def __init__(self, spec: EngineSpec, connection: Connection, collection: str):
        self._spec = spec
        self._connection = connection
        self._collection = collection
        self._gone = False

    @classmethod
    def open(cls, spec: EngineSpec, *, name: str, folder: Path, url: str | None) -> "QdrantEngine":
        """Open the collection of a version, making an empty one where there is none.

        `url` is http(s)://host:6333 of a server, with its key as the password; without one, local mode in the folder.
        Raises `StorageError` where another process has the folder open.
        """
        engine = cls(spec, Connection(folder=folder, url=url), name)
        try:
            engine._connection.run(engine._make_collection)
            if engine._connection.local:
                engine._connection.write_ahead(name)
        except BaseException:
            engine.close()
            raise
        return engine

    @property
    def efforts(self) -> tuple[int, ...]:
        """Steps of hnsw_ef, 0 in their midst; (0,) in local mode, which is exact."""
        return (0,) if self._connection.local else tuple(HNSW_EF)

    def load(self, rows: Rows) -> None:
        """Store rows in bulk. Raises `ConfigError` for more rows than local mode is made for."""
        if self._connection.local and self.count() + len(rows) > LOCAL_ROWS:
            raise ConfigError(
                f"Qdrant's local mode is made for up to {LOCAL_ROWS:,} rows",
                hint="run a Qdrant server and set DIALEKT_INDEX__URL, or take index.engine=lancedb",
            )
        self.upsert(rows)

    def upsert(self, rows: Rows) -> None:
        """Store rows; the next search finds them."""
        rows = each_once(rows, self._spec)
        step = max(1, REQUEST_BYTES // (12 * self._spec.dimension))
        for start in range(0, len(rows), step):
            points = self._points(rows.take(range(start, min(start + step, len(rows)))))
            self._connection.run(lambda client, points=points: client.upsert(self._collection, points, wait=True))  # type: ignore[misc]

    def delete(self, ids: Sequence[str]) -> None:
        """Remove units."""
        points = [point_id(unit) for unit in ids]
        if points:
            self._connection.run(lambda client: client.delete(self._collection, points, wait=True))

    def patch(self, ids: Sequence[str], tags: Sequence[tuple[str, ...]]) -> None:
        """Replace the tags of units."""
        units: dict[tuple[str, ...], list[str]] = {}
        for unit, row in zip(ids, tags, strict=True):
            units.setdefault(row, []).append(point_id(unit))
        changes = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload={"tags": list(row)}, filter=_these(points))
            )
            for row, points in units.items()
        ]
        if changes:
            self._connection.run(lambda client: client.batch_update_points(self._collection, changes, wait=True))

    def finish(self, *, progress: ReportProgress = no_progress) -> None:
        """Wait until the server has made its graphs. Raises `StorageError` where it cannot."""
        while not self._connection.local:
            found = self._connection.run(lambda client: client.get_collection(self._collection))
            total = found.points_count or 0
            progress(Progress("index", min(found.indexed_vectors_count or 0, total), total, note="Qdrant makes it"))
            match found.status:
                case models.CollectionStatus.GREEN:
                    return
                case models.CollectionStatus.RED:
                    raise StorageError(
                        f"the Qdrant server at {self._connection.place} could not index the collection",
                        hint="look into its log; a full disk or memory is the usual reason",
                    )
                case models.CollectionStatus.GREY:  # a server that was started again waits for a call
                    self._connection.run(
                        lambda client: client.update_collection(
                            self._collection, optimizers_config=models.OptimizersConfigDiff()
                        )
                    )
            time.sleep(0.5)

    def search(
        self, queries: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: Filter | None = None
    ) -> list[Found]:
        """Return the best units of every query."""
        check_dimension(queries, self._spec)
        requests = [self._request(query, limit, settings=settings, where=_condition(where)) for query in queries]
        found: list[Found] = []
        for start in range(0, len(requests), QUERIES_AT_ONCE):
            part = requests[start : start + QUERIES_AT_ONCE]
            answers = self._connection.run(
                lambda client, part=part: client.query_batch_points(self._collection, part)  # type: ignore[misc]
            )
            found += [_found(answer.points) for answer in answers]
        return found

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Rows:
        """Return the rows of those ids that are there."""
        points = [point_id(unit) for unit in ids]
        wanted = [FULL] if vectors else False
        return _rows(
            self._connection.run(
                lambda client: client.retrieve(self._collection, points, with_payload=True, with_vectors=wanted)
            )
        )

    def scan(self, *, vectors: bool = False, chunk_rows: int = 4_096) -> Iterator[Rows]:
        """Yield all rows in the order of their points."""
        wanted = [FULL] if vectors else False
        after = None
        while True:
            records, after = self._connection.run(
                lambda client, after=after: client.scroll(  # type: ignore[misc]
                    self._collection, limit=chunk_rows, offset=after, with_payload=True, with_vectors=wanted
                )
            )
            if records:
                yield _rows(records)
            if after is None:
                return

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._connection.run(lambda client: client.count(self._collection, exact=True)).count)

    def size(self) -> EngineSize:
        """Return the bytes of vectors and codes, reckoned from the number of rows: Qdrant does not tell."""
        full = 4 * self._spec.dimension
        stage = self._spec.first_stage
        rows = self.count()
        if stage is None:
            return EngineSize(rows * full, rows * full)
        code = stage.bytes_per_vector
        return EngineSize(int(rows * (full + 4 * stage.dimensions + code)), int(rows * code))

    def optimize(self) -> None:
        """Do nothing: a server tidies up by itself."""

    def close(self) -> None:
        """Let go of the server or the folder."""
        if not self._gone:
            self._connection.close()

    def drop(self) -> None:
        """Remove the collection, in local mode the folder too."""
        if not self._gone:
            self._connection.run(lambda client: client.delete_collection(self._collection))
            self._gone = True
            self._connection.remove()

    def _make_collection(self, client: QdrantClient) -> None:
        if not client.collection_exists(self._collection):
            try:
                client.create_collection(self._collection, vectors_config=_vectors(self._spec))
            except UnexpectedResponse as error:
                if error.status_code != CONFLICT:  # another process made it at the same time
                    raise
        if not self._connection.local:
            client.create_payload_index(self._collection, "tags", models.PayloadSchemaType.KEYWORD, wait=True)
        held: Any = client.get_collection(self._collection).config.params.vectors
        if held[FULL].size != self._spec.dimension:
            raise ConfigError(
                f"the collection {self._collection} in Qdrant has vectors of {held[FULL].size} dimensions, "
                f"not {self._spec.dimension}",
                hint="another index uses this name; give one of them a server of its own",
            )

    def _points(self, rows: Rows) -> models.Batch:
        columns = zip(rows.ids, rows.document_ids, rows.hashes, rows.spaces, strict=True)
        payloads = [
            {**dict(zip(_COLUMNS, row, strict=True)), "tags": list(tags)}
            for row, tags in zip(columns, rows.tags, strict=True)
        ]
        vectors = {FULL: rows.vectors.tolist()}
        if self._spec.first_stage:
            vectors[SHORT] = shorten(rows.vectors, self._spec.first_stage.dimensions).tolist()
        return models.Batch(ids=[point_id(unit) for unit in rows.ids], payloads=payloads, vectors=vectors)

    def _request(
        self, query: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: models.Filter | None
    ) -> models.QueryRequest:
        """Return the question of a query: by short vectors first where there are any, unless it is to be exact."""
        first, prefetch = self._spec.first_stage, None
        params = self._params(settings)
        if first and not settings.exact:
            prefetch = models.Prefetch(
                query=shorten(query[None], first.dimensions)[0].tolist(),
                using=SHORT,
                limit=math.ceil(limit * max(settings.oversampling, 1)),
                filter=where,
                params=params,
            )
        return models.QueryRequest(
            query=query.tolist(),
            using=FULL,
            limit=limit,
            filter=where,
            prefetch=prefetch,
            params=None if prefetch else params,
            with_payload=["id", "document_id", "space"],
        )

    def _params(self, settings: SearchSettings) -> models.SearchParams | None:
        """Return how hard to try; local mode, which is exact, knows no such thing."""
        if self._connection.local:
            return None
        step = min(max(settings.effort, min(HNSW_EF)), max(HNSW_EF))
        quantization = models.QuantizationSearchParams(rescore=False)  # the full vectors do that
        return models.SearchParams(exact=settings.exact, hnsw_ef=HNSW_EF[step], quantization=quantization)


def point_id(unit: str) -> str:
    """Return the id of a unit's point: Qdrant takes numbers and UUIDs only."""
    return str(uuid.uuid5(_IDS, unit))


def _vectors(spec: EngineSpec) -> dict[str, models.VectorParams]:
    """Return what a collection is to hold; vectors have length 1, so their dot product is the cosine.

    With a first stage the full vectors are only read by id: they need no graph, and their place is the disk.
    """
    dot = models.Distance.DOT
    stage = spec.first_stage
    if stage is None:
        return {FULL: models.VectorParams(size=spec.dimension, distance=dot)}
    return {
        FULL: models.VectorParams(
            size=spec.dimension, distance=dot, on_disk=True, hnsw_config=models.HnswConfigDiff(m=0)
        ),
        SHORT: models.VectorParams(
            size=stage.dimensions,
            distance=dot,
            on_disk=stage.quantization is not Quantization.NONE,
            quantization_config=_quantization(stage.quantization),
        ),
    }


def _quantization(kind: Quantization) -> models.ScalarQuantization | models.BinaryQuantization | None:
    match kind:
        case Quantization.NONE:
            return None
        case Quantization.INT8:
            scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
            return models.ScalarQuantization(scalar=scalar)
        case Quantization.BINARY:
            return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))


def _these(points: Sequence[str]) -> models.Filter:
    """Return a filter that only those of the points pass that are there."""
    return models.Filter(must=[models.HasIdCondition(has_id=list(points))])


def _condition(where: Filter | None) -> models.Filter | None:
    must: list[Any] = []
    must_not: list[Any] = []
    for one in where.conditions if where else ():
        tags = models.FieldCondition(key="tags", match=models.MatchAny(any=sorted(one.tags)))
        (must_not if one.negated else must).append(tags)
    return models.Filter(must=must, must_not=must_not) if must or must_not else None


def _found(points: Sequence[models.ScoredPoint]) -> Found:
    payloads: list[Mapping[str, Any]] = [point.payload or {} for point in points]
    return Found(
        tuple(payload["id"] for payload in payloads),
        tuple(payload["document_id"] for payload in payloads),
        tuple(payload["space"] for payload in payloads),
        np.array([point.score for point in points], dtype=np.float32),
    )


def _rows(records: Sequence[models.Record]) -> Rows:
    """Return points as rows, with their vectors where they were asked for."""
    payloads: list[Mapping[str, Any]] = [record.payload or {} for record in records]
    ids, documents, hashes, spaces = (tuple(payload[name] for payload in payloads) for name in _COLUMNS)
    vectors = np.zeros((len(records), 0), dtype=np.float32)
    held: list[Any] = [record.vector for record in records if record.vector]
    if held:
        vectors = np.array([vector[FULL] for vector in held], dtype=np.float32)
    return Rows(ids, documents, hashes, tuple(tuple(payload["tags"]) for payload in payloads), spaces, vectors)
