"""A project's configuration and registry, or named models → what the server is to serve."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dialekt.config import Config, ModelConfig, SearchConfig, ServingConfig, load_config
from dialekt.errors import NotFoundError, StorageError, UsageError
from dialekt.evaluation.dev import DevInputs
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.project import Project, find_project, open_project
from dialekt.flow.records import StageName
from dialekt.index.catalogue import Catalogue
from dialekt.index.schema import FILE_NAME, open_database
from dialekt.models.encoders import plain_config
from dialekt.models.engines.choice import CalibrationMaterial
from dialekt.registry.versions import CHAMPION, resolve
from dialekt.serving.quality import calibration_material
from dialekt.serving.sources import BASE, FolderSource, RegistrySource, Source


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """Where the project's index is, how it is searched, and under which name its models are served."""

    folder: Path
    url: str | None = field(repr=False)
    search: SearchConfig
    model_name: str


@dataclass(frozen=True, slots=True)
class Served:
    """The settings of the server, and what it serves; `index` is None where there is none."""

    config: ServingConfig
    sources: tuple[Source, ...]
    index: ServedIndex | None = None


def open_served(folder: Path | None, *, overrides: Sequence[str] = ()) -> Served:
    """Read what is to be served: the models that the settings name, else the project's registry.

    Raises `NotFoundError` where neither is there, or no version is promoted.
    """
    project = _open(folder, overrides)
    config = project.config if project else load_config(None, overrides=overrides)
    if config.serving.models:
        named = _named(config)
        name = _free_name(config.project.name, named)
        index = _index(project, model_name=name) if project else None
        # the index's models beside those named
        rest = (_registry(project, name, default=project.config.serving.version),) if project and index else ()
        return Served(config.serving, (*named, *rest), index)
    if project is None:
        raise NotFoundError(
            "there is no model to serve: none was named, and there is no project here",
            hint="dialekt serve NAME=FOLDER, or --project PATH",
        )
    name = config.serving.served_model_name or config.project.name
    index = _index(project, model_name=name)
    return Served(config.serving, (_registry(project, name, default=_default(project, index)),), index)


def _index(project: Project, *, model_name: str) -> ServedIndex | None:
    """Return the project's index, whether anything in it is live yet or not."""
    config = project.config
    if not (config.index.path / FILE_NAME).is_file():
        return None
    return ServedIndex(config.index.path, config.index.url, config.search, model_name)


def _open(folder: Path | None, overrides: Sequence[str]) -> Project | None:
    """Return the project; None where there is none and none was named."""
    if folder is None:
        try:
            find_project(Path.cwd())
        except NotFoundError:
            return None
    return open_project(folder, overrides=overrides)


def _named(config: Config) -> tuple[Source, ...]:
    """Return named models; their prompts and limits are their own, not the project's."""
    serving = config.serving
    if serving.served_model_name and len(serving.models) > 1:
        raise UsageError(
            "serving.served_model_name names one model, and there are several", hint="write NAME=FOLDER for each"
        )
    model = plain_config(config.model)
    return tuple(_source(text, model, name=serving.served_model_name) for text in serving.models)


def _source(text: str, model: ModelConfig, *, name: str | None) -> FolderSource:
    label, _, location = text.rpartition("=")
    own = Path(location).name if Path(location).is_dir() else location
    return FolderSource(name or label or own, location, model)


def _default(project: Project, index: ServedIndex | None) -> str:
    """Return what a request gets that names no version; where nobody is champion, the model of the live release.

    Raises `NotFoundError`.
    """
    version = project.config.serving.version
    if version == BASE:
        return version
    try:
        resolve(project.config.registry.path, version)
    except NotFoundError as error:
        if version == CHAMPION and index is not None and (model := _live_model(index)):
            return model
        raise NotFoundError(error.message, hint=_way_out(version, error.hint)) from None
    return version


def _live_model(index: ServedIndex) -> str:
    """Return the model of the live release; empty where none is live."""
    database = open_database(index.folder)
    try:
        catalogue = Catalogue(database)
        return catalogue.release(live).model if (live := catalogue.live()) else ""
    finally:
        database.close()


def _free_name(name: str, named: Sequence[Source]) -> str:
    taken = {source.name for source in named}
    return f"{name}-index" if name in taken else name


def _registry(project: Project, name: str, *, default: str) -> RegistrySource:
    config = project.config
    return RegistrySource(
        name=name,
        registry=config.registry.path,
        default=default,
        model=config.model,
        material=cache(lambda: _material(project)),
    )


def _material(project: Project) -> CalibrationMaterial | None:
    """Return texts of the project's domain from its last run; None where there was none, or it is damaged.

    Nothing is verified: a server must start in seconds, and no vector depends on these texts.
    """
    store, config = ArtefactStore(project.artefacts), project.config
    corpus, pairs, vectors = map(store.latest_folder, (StageName.CORPUS, StageName.PAIRS, StageName.BASE_VECTORS))
    if corpus is None or pairs is None or vectors is None:
        return None
    inputs = DevInputs(corpus, pairs, vectors, minimum_grade=config.pairs.minimum_grade, seed=config.project.seed)
    try:
        return calibration_material(inputs)
    except StorageError:
        return None


def _way_out(version: str, hint: str) -> str:
    others = "--version latest or --version base" if version == CHAMPION else "--version base"
    return f"{hint}; or serve another: {others}"
