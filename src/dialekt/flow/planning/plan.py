"""`dialekt plan`: the project's corpus and settings, what this machine can do, and the arithmetic over both."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dialekt.config import Config, IndexEngine
from dialekt.errors import MissingExtraError, NotFoundError, UsageError
from dialekt.flow.index_models import BASE, IndexedModel, find_model
from dialekt.flow.planning.encoding import encoding_speed
from dialekt.flow.planning.losses import known_losses
from dialekt.flow.planning.material import ASSUMED_TOKENS, Material, material_of
from dialekt.flow.planning.rounds import Effort, Kept, default_folder
from dialekt.flow.planning.searching import search_speed
from dialekt.flow.project import Project
from dialekt.index.engines import lance
from dialekt.index.opened import OpenIndex
from dialekt.index.schema import FILE_NAME
from dialekt.planning.calibration import EncodingSpeed, SearchSpeed
from dialekt.planning.choices import Grounds, layouts_of, make_plan
from dialekt.planning.records import Basis, Input, Layout, Partitions, Plan, Workload
from dialekt.types import ReportProgress, no_progress

MEMORY_SHARE = 0.8  # of a machine's memory: what the index may take where nobody says
_MUCH = 0.5  # scatter of measurements from which intervals say little
_VERSION = re.compile(r"v\d+|base|champion|latest")
USUAL_EFFORT = Effort()
_IN_FILES = (IndexEngine.EXACT, IndexEngine.LANCEDB)
PARTITIONS = Partitions(
    least_rows=lance.MIN_INDEXED,
    rows_each=lance.PARTITION_ROWS,
    fewest=lance.MIN_PARTITIONS,
    fewest_read=lance.MIN_PROBES,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants to know. What is None comes from the project, this machine, or an assumption that is named.

    `allowed_loss` is a share of full search's quality.
    """

    queries_per_second: float
    latency_seconds: float
    documents: int | None = None
    changed_per_day: int = 0
    tokens_per_document: float | None = None
    machines: int = 1
    memory_bytes: int | None = None
    allowed_loss: float | None = None
    price: float | None = None
    searched_share: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Measuring:
    """How this machine is measured, and where that is kept."""

    kept: Kept = field(default_factory=lambda: Kept(default_folder()))
    effort: Effort = field(default_factory=lambda: USUAL_EFFORT)


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found out before anything is reckoned. `searched` is the share of LanceDB's partitions that is read."""

    model: IndexedModel
    material: Material
    encoding: EncodingSpeed
    units_per_document: float
    tokens_per_unit: float
    searched: Input


def plan_capacity(
    asked: Asked,
    config: Config,
    project: Project | None,
    *,
    measuring: Measuring | None = None,
    progress: ReportProgress = no_progress,
) -> Plan:
    """Measure what is not known of this machine yet, and plan every choice through.

    Raises `UsageError` without a number of documents and a corpus to count, `NotFoundError` for an unknown version,
    `ModelError`.
    """
    measuring = measuring or Measuring()
    _check(asked)
    found = _find(asked, config, project, measuring, progress)
    workload = _workload(asked, config, found)
    engine = _engine(config, workload.units)
    layouts = layouts_of(engine, found.model.contract.matryoshka_dimensions)
    speed = _speed_of(layouts, measuring, progress)
    grounds = Grounds(
        encoding=found.encoding,
        search=speed,
        shape=found.material.shape,
        partitions=_partitions(found.searched),
        originals=found.material.originals,
        originals_how=f"{found.material.originals:,.0f} bytes each, measured on {found.material.how}; a straight line",
        losses=known_losses(project, found.model, layouts),
        inputs=_inputs(asked, found, workload, speed),
        notes=_notes(engine, speed, workload),
        machine=_machine(found, engine),
    )
    return make_plan(workload, layouts, grounds)


def _check(asked: Asked) -> None:
    """Raise `UsageError` for what cannot be planned for."""
    for name, value, least in (
        ("--documents", asked.documents, 1),
        ("--machines", asked.machines, 1),
        ("--tokens-per-document", asked.tokens_per_document, 1),
        ("--memory-per-machine", asked.memory_bytes, 1),
    ):
        if value is not None and value < least:
            raise UsageError(f"{name} must be at least {least}", hint="leave it out to take what is there")
    for name, number in (("--queries-per-second", asked.queries_per_second), ("--latency-ms", asked.latency_seconds)):
        if number <= 0:
            raise UsageError(f"{name} must be more than 0", hint="give the rate and the time that people will see")
    if asked.searched_share is not None and not 0 < asked.searched_share <= 1:
        raise UsageError(
            f"--searched-share {asked.searched_share:g} is no share of the partitions", hint="0.25 reads one in four"
        )
    if asked.allowed_loss is not None and not 0 <= asked.allowed_loss < 1:
        raise UsageError(
            f"--allowed-loss {asked.allowed_loss:g} is no share of quality", hint="0.01 allows one in a hundred"
        )


def _find(
    asked: Asked, config: Config, project: Project | None, measuring: Measuring, progress: ReportProgress
) -> _Found:
    model = _model(asked.model, config, project)
    limit = model.contract.max_tokens
    material = material_of(project, tokens=asked.tokens_per_document, max_tokens=limit)
    encoding = encoding_speed(
        model, config.serving, material.sample, measuring.kept, effort=measuring.effort, progress=progress
    )
    searched = _searched(asked.searched_share, project)
    if material.units:
        each = material.units / material.documents
        return _Found(model, material, encoding, each, encoding.document_tokens, searched)
    tokens = asked.tokens_per_document or ASSUMED_TOKENS
    each = math.ceil(tokens / limit)
    return _Found(model, material, encoding, each, tokens / each, searched)


def _searched(share: float | None, project: Project | None) -> Input:
    """Return the share of LanceDB's partitions that searches read: as given, as the live release's, else the default.

    The live release's was tuned to `index.target` when it was built.
    """
    name, option = "share of partitions searched", "--searched-share"
    if share is not None:
        return Input(name, share, Basis.GIVEN, "as given", option)
    tuned = _tuned_share(project) if project else None
    if tuned is not None:
        return Input(name, tuned, Basis.MEASURED, "tuned to index.target for the live release", option)
    return Input(name, PARTITIONS.read_share, Basis.ASSUMED, "the default; a build tunes it to index.target", option)


def _tuned_share(project: Project) -> float | None:
    """Return the share that the live release reads; None where there is none, or it has another engine."""
    folder = project.config.index.path
    if not (folder / FILE_NAME).is_file():
        return None
    opened = OpenIndex.open(folder)
    try:
        live = opened.catalogue.live()
        release = opened.catalogue.release(live) if live else None
        if release is None or opened.catalogue.version(release.index).spec.engine is not IndexEngine.LANCEDB:
            return None
        partitions = max(PARTITIONS.fewest, opened.documents.count() // PARTITIONS.rows_each)
        return min(1.0, release.settings.effort / partitions) if release.settings.effort else None
    finally:
        opened.close()


def _partitions(searched: Input) -> Partitions:
    """Return how LanceDB reads its partitions; only the default has a least number of them."""
    fewest = PARTITIONS.fewest_read if searched.basis is Basis.ASSUMED else 1
    return replace(PARTITIONS, read_share=searched.value, fewest_read=fewest)


def _model(name: str | None, config: Config, project: Project | None) -> IndexedModel:
    """Return the champion, a version, or a model by folder or name; the base model where nothing else is there."""
    if project is not None and (name is None or _VERSION.fullmatch(name)):
        try:
            return find_model(project, name)
        except NotFoundError:
            if name is not None:
                raise
            return find_model(project, BASE)
    base = config.model.model_copy(update={} if name is None else {"base": name})
    plain = config.model_copy(update={"model": base})
    return find_model(Project(Path.cwd(), plain), BASE)


def _workload(asked: Asked, config: Config, found: _Found) -> Workload:
    documents = asked.documents or found.material.documents
    if not documents:
        raise UsageError(
            "how many documents?", hint="dialekt plan --documents 10M, or run it in a project with a corpus"
        )
    own = asked.documents is None
    units = found.material.units if own else math.ceil(documents * found.units_per_document)
    return Workload(
        documents=documents,
        units=units,
        tokens_per_unit=found.tokens_per_unit,
        queries_per_second=asked.queries_per_second,
        latency_seconds=asked.latency_seconds,
        changed_per_day=asked.changed_per_day,
        embedding_machines=asked.machines,
        memory_bytes=asked.memory_bytes or int(MEMORY_SHARE * found.encoding.memory_bytes),
        allowed_loss=1 - config.index.target if asked.allowed_loss is None else asked.allowed_loss,
        price=asked.price,
    )


def _engine(config: Config, units: int) -> IndexEngine:
    """Return the engine that an index of so many units would have, as `dialekt index build` chooses it."""
    if config.index.engine is not IndexEngine.AUTO:
        return config.index.engine
    return IndexEngine.EXACT if units <= config.index.exact_rows else IndexEngine.LANCEDB


def _speed_of(layouts: tuple[Layout, ...], measuring: Measuring, progress: ReportProgress) -> SearchSpeed | None:
    """Return how fast the engine is here; None for an engine on a server, and for one that is not installed."""
    if layouts[0].engine not in _IN_FILES:
        return None
    try:
        return search_speed(layouts, PARTITIONS, measuring.kept, effort=measuring.effort, progress=progress)
    except MissingExtraError:
        return None


def _inputs(asked: Asked, found: _Found, workload: Workload, speed: SearchSpeed | None) -> tuple[Input, ...]:
    encoding, material = found.encoding, found.material
    lengths = Basis.MEASURED if material.units else Basis.GIVEN if asked.tokens_per_document else Basis.ASSUMED
    where = material.how if material.units else "as given" if asked.tokens_per_document else "no corpus was read"
    own = asked.memory_bytes is None
    memory = f"{MEMORY_SHARE:.0%} of this machine's {encoding.memory_bytes / 1e9:.1f} GB" if own else "as given"
    when = f"{encoding.measured_at}, {encoding.device}"
    found_inputs = [
        Input("tokens per document or chunk", workload.tokens_per_unit, lengths, where, "--tokens-per-document"),
        Input("documents or chunks per document", found.units_per_document, lengths, where, "--tokens-per-document"),
        Input("tokens per query", encoding.query_tokens, *_queries(material)),
        Input("tokens embedded per second", encoding.documents.value, Basis.MEASURED, f"{when}, {encoding.precision}"),
        Input(
            "ms of the machine per query embedded", encoding.query.value * 1_000, Basis.MEASURED,
            f"{encoding.serving_engine}, batches as the server's; dialekt serve may choose a faster engine",
            "--set serving.engine=NAME",
        ),
        Input("GB for the index on one machine", workload.memory_bytes / 1e9, Basis.ASSUMED if own else Basis.GIVEN,
              memory, "--memory-per-machine"),
    ]  # fmt: skip
    model = Input("GB of the model beside it", encoding.model_bytes / 1e9, Basis.MEASURED, encoding.serving_engine)
    found_inputs.append(model)
    if speed is not None:
        how = f"{speed.measured_at}, indexes of up to {speed.largest:,} made vectors"
        found_inputs.append(Input("rows stored per second", speed.load.value, Basis.MEASURED, how))
    if speed is not None and speed.engine is IndexEngine.LANCEDB:
        found_inputs.append(found.searched)
    return tuple(found_inputs)


def _queries(material: Material) -> tuple[Basis, str]:
    return (Basis.MEASURED, "the project's queries") if material.units else (Basis.ASSUMED, "made queries")


def _notes(engine: IndexEngine, speed: SearchSpeed | None, workload: Workload) -> tuple[str, ...]:
    notes = []
    if speed is None and engine in _IN_FILES:
        notes.append("LanceDB is not installed, so its search was not measured: pip install 'dialekt[index]'")
    elif speed is None:
        notes.append(f"{engine.value} runs on a server, which was not measured; load test it with dialekt bench serve")
    if speed is not None and speed.scatter > _MUCH:
        notes.append(
            f"measurements of search scattered up to {1 + speed.scatter:.1f}-fold: the machine was busy; "
            "try --measure-again when it is not"
        )
    if engine is IndexEngine.QDRANT:
        notes.append("Qdrant's bytes are from its documentation: no server was at hand to hold them against")
    if speed is not None and workload.units > 10 * speed.largest:
        times = workload.units / speed.largest
        notes.append(
            f"search was measured on up to {speed.largest:,} rows and is drawn out {times:,.0f}-fold: "
            "a model, to be measured again on a part of the real corpus"
        )
    return tuple(notes)


def _machine(found: _Found, engine: IndexEngine) -> Mapping[str, str]:
    encoding = found.encoding
    return {
        "model": found.model.reference if found.model.reference != BASE else found.model.contract.model,
        "dimensions": ", ".join(map(str, found.model.contract.matryoshka_dimensions)),
        "engine": engine.value,
        "device": encoding.device,
        "cores": str(encoding.cores),
        "memory_gb": f"{encoding.memory_bytes / 1e9:.1f}",
        "measured_at": encoding.measured_at,
    }
