"""What the commands on an index share: the project's documents, its models, an estimate, and a release to work on."""

import functools
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexConfig, IndexEngine, Quantization
from dialekt.errors import ConfigError, DialektError, StorageError, UsageError
from dialekt.flow import journey
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.clock import now
from dialekt.flow.index_models import Encoders, IndexedModel, check_first_stage, model_of
from dialekt.flow.project import Project
from dialekt.flow.records import Observer, StageName
from dialekt.flow.workers import Workers
from dialekt.index.building import Known, any_of, compare, vectors_of, vectors_of_matrix
from dialekt.index.documents import content_hash
from dialekt.index.importing import ImportFacts, import_corpus
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Embed, EngineSpec, FirstStage, IndexVersion, Release, State
from dialekt.models.vectors import load_vectors
from dialekt.store.language import read_language
from dialekt.store.lock import exclusive
from dialekt.store.tables import read_records
from dialekt.types import Document, ReportProgress, Role, no_progress

SPEED_SAMPLE = 64  # units that are embedded to say how long all will take
SAME_VECTOR = 0.999  # cosine from which a stored vector is taken for what the model would make again
PROBED_VECTORS = 8
ROW_OVERHEAD = 1.35  # what columns and indexes take beside the vectors
SERVERS = (IndexEngine.PGVECTOR, IndexEngine.QDRANT)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What making an index version will take. `seconds` is for embedding; `free_bytes` is None for a server's disk.

    `stored_bytes` are the vectors there are now, `new_bytes` what comes beside them until an old release is dropped.
    """

    units: int
    to_embed: int
    seconds: float
    stored_bytes: int
    new_bytes: int
    free_bytes: int | None


class IndexWorks:
    """An open index with the project that it is of."""

    def __init__(self, project: Project, opened: OpenIndex, *, progress: ReportProgress):
        self.project = project
        self.opened = opened
        self.catalogue = opened.catalogue
        self.encoders = Encoders(project.endpoint_vectors)
        self.workers = Workers(project.config.cluster)
        self.progress = progress

    @property
    def config(self) -> IndexConfig:
        """The section on the index."""
        return self.project.config.index

    def live(self) -> Release | None:
        """Return the live release, None where there is none."""
        name = self.catalogue.live()
        return self.catalogue.release(name) if name else None

    def model_of(self, release: Release) -> IndexedModel:
        """Return the model of a release. Raises `ModelError` when it is another one by now."""
        return model_of(self.project, release, space=self.catalogue.version(release.index).space)

    def embed(self, model: IndexedModel) -> Embed:
        """Return a model's encoder."""
        return self.encoders.embed(model)


@contextmanager
def open_works(
    project: Project, *, create: bool = False, progress: ReportProgress = no_progress
) -> Iterator[IndexWorks]:
    """Open the project's index for one command. Raises `NotFoundError` where there is none and none is to be made."""
    opened = OpenIndex.open(project.config.index.path, url=project.config.index.url, create=create)
    try:
        works = IndexWorks(project, opened, progress=progress)
        with closing(works.workers):
            yield works
    finally:
        opened.close()


@contextmanager
def at_work(works: IndexWorks) -> Iterator[None]:
    """Be the only command that changes versions and releases. Raises `StorageError` while another one does."""
    with exclusive(works.opened.folder):
        works.catalogue.announce("")  # of a command that was killed
        yield


def read_corpus(works: IndexWorks, observer: Observer) -> ImportFacts:
    """Bring what is new in the project's sources into the index."""
    records = journey.run(works.project, observer=observer, until=StageName.CORPUS)
    table = records[-1].folder / "documents.parquet"
    units, language = read_records(table, Document), read_language(table)
    return import_corpus(works.opened.database, units, language=language, progress=works.progress)


def wanted_spec(works: IndexWorks, model: IndexedModel, *, live: Release | None = None) -> EngineSpec:
    """Return what an index version of the configured kind is made of, for this model and this many documents.

    Where the kind is chosen here, that of a `live` release stays.

    Raises `ConfigError` for first-stage dimensions that the model was not trained for, or without a server's address.
    """
    config = works.config
    check_first_stage(model, config.first_stage_dimensions)
    engine = config.engine
    if engine is IndexEngine.AUTO:
        few = works.opened.documents.count() <= config.exact_rows
        engine = IndexEngine.EXACT if few else IndexEngine.LANCEDB
        engine = works.catalogue.version(live.index).spec.engine if live else engine
    if engine is IndexEngine.PGVECTOR and not config.url:
        raise ConfigError("index.url is not set", hint="export DIALEKT_INDEX__URL=postgresql://user@host/database")
    dimension = model.contract.dimension
    short = config.first_stage_dimensions or dimension
    plain = short == dimension and config.first_stage_quantization is Quantization.NONE
    first_stage = None if plain else FirstStage(short, config.first_stage_quantization)
    return EngineSpec(engine, dimension, first_stage)


def find_release(works: IndexWorks, model: IndexedModel, spec: EngineSpec) -> Release:
    """Return the release to work on: one of this kind that is there already, whole or unfinished, or a new one.

    A new one shares an index version of the same space and kind: a model whose query side alone was tuned needs no new
    vectors. Raises `UsageError` while a release of another kind is unfinished.
    """
    versions = {version.name: version for version in works.catalogue.versions()}
    for release in reversed(works.catalogue.releases()):
        version = versions[release.index]
        if release.model_id == model.model_id and (version.space, version.spec) == (model.space, spec):
            return release
    for release in works.catalogue.releases():
        if release.state is State.BUILDING:
            raise UsageError(
                f"{release.name} (model {release.model}) is unfinished",
                hint=f"go on with it: dialekt index migrate --model {release.model}; or remove it: "
                f"dialekt index drop {release.name}",
            )
    same = next((found for found in versions.values() if (found.space, found.spec) == (model.space, spec)), None)
    version = same or works.catalogue.add_version(model.space, spec, created=now())
    return works.catalogue.add_release(version.name, model=model.reference, model_id=model.model_id, created=now())


def known_vectors(works: IndexWorks, version: IndexVersion, embed: Embed) -> Known:
    """Return the vectors of the same space that other index versions and the journey's last run have.

    They are looked for when the first one is asked for.
    """

    @functools.cache
    def every() -> Known:
        same = [other for other in works.catalogue.versions() if other.space == version.space]
        others = []
        for other in same:
            with suppress(DialektError):  # what cannot be opened knows nothing
                others += [vectors_of(works.opened.engine(other.name), version.space)] if other != version else []
        stages = (StageName.TUNED_VECTORS, StageName.BASE_VECTORS)
        runs = (_journey_vectors(works.project, stage, embed) for stage in stages)
        return any_of(*others, *(known for known in runs if known is not None))

    def look_up(hashes: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        return every()(hashes)

    return look_up


def estimate(works: IndexWorks, version: IndexVersion, embed: Embed, known: Known, *, also: str = "") -> Estimate:
    """Say what filling an index version will take. Raises `StorageError` when the disk has not the room."""
    opened = works.opened
    difference = compare(opened.documents, opened.engine(version.name), spaces=(version.space, also))
    missing = difference.missing
    units = opened.documents.read(missing[:: max(1, len(missing) // SPEED_SAMPLE)][:SPEED_SAMPLE])
    hashes = {content_hash(unit): unit for unit in units.values()}
    there = known(list(hashes)) if hashes else {}
    new = [unit for content, unit in hashes.items() if content not in there]
    share = len(new) / len(hashes) if hashes else 0.0
    seconds = 0.0
    if new:
        embed([unit.content for unit in new[:4]], Role.DOCUMENT)  # the first call loads the model
        start = time.perf_counter()
        embed([unit.content for unit in new], Role.DOCUMENT)
        seconds = (time.perf_counter() - start) / len(new) * share * len(missing)
    new_bytes = int(len(missing) * _row_bytes(version.spec) * ROW_OVERHEAD)
    stored = sum(_disk_bytes(works, other) for other in works.catalogue.versions())
    on_server = version.spec.engine in SERVERS
    free = None if on_server and works.config.url else shutil.disk_usage(opened.folder).free
    if free is not None and new_bytes > free:
        raise StorageError(
            f"the new vectors take about {new_bytes / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: nothing changed",
            path=opened.folder,
            hint="drop an old release (dialekt index drop), free some space, or set index.path to another disk",
        )
    return Estimate(difference.kept + len(missing), round(share * len(missing)), seconds, stored, new_bytes, free)


def _disk_bytes(works: IndexWorks, version: IndexVersion) -> int:
    """Return the bytes of a version; 0 where its server cannot be asked."""
    try:
        return works.opened.engine(version.name).size().disk_bytes
    except DialektError:
        return 0


def _row_bytes(spec: EngineSpec) -> float:
    return 4 * spec.dimension + 200 + (spec.first_stage.bytes_per_vector if spec.first_stage else 2 * spec.dimension)


def _journey_vectors(project: Project, stage: StageName, embed: Embed) -> Known | None:
    """Return the document vectors of the last run if they are what this model makes, as a few of them show."""
    store = ArtefactStore(project.artefacts)
    folder, corpus = store.latest_folder(stage), store.latest_folder(StageName.CORPUS)
    if folder is None or corpus is None:
        return None
    try:
        vectors = load_vectors(folder)
        units = read_records(corpus / "documents.parquet", Document)
    except StorageError:
        return None
    if vectors.document_ids != [unit.id for unit in units] or not units:
        return None
    places = list(range(0, len(units), max(1, len(units) // PROBED_VECTORS)))[:PROBED_VECTORS]
    again = embed([units[place].content for place in places], Role.DOCUMENT)
    if again.shape[1] != vectors.document_vectors.shape[1]:
        return None
    cosines = np.einsum("ij,ij->i", again, vectors.document_vectors[places])  # (probed)
    if float(cosines.min()) < SAME_VECTOR:
        return None
    return vectors_of_matrix([content_hash(unit) for unit in units], vectors.document_vectors)
