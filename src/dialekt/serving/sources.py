"""What can be asked for: model folders, and the versions of a registry under their names and aliases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from dialekt.config import ModelConfig
from dialekt.errors import InputError, NotFoundError, UnknownModelError
from dialekt.models.base import fetch_model
from dialekt.models.contract import read_contract
from dialekt.models.document_encoder import find_document_encoder, weights_bytes
from dialekt.models.encoders import plain_config
from dialekt.models.endpoint import is_endpoint, parse_endpoint
from dialekt.models.engines.choice import CalibrationMaterial
from dialekt.models.engines.kinds import detect_kind
from dialekt.models.engines.records import ModelKind
from dialekt.registry.champion import read_aliases
from dialekt.registry.records import Version
from dialekt.registry.versions import CHAMPION, LATEST, list_versions, load_version, resolve
from dialekt.serving.records import CatalogueRow

BASE = "base"


@dataclass(frozen=True, slots=True)
class Target:
    """One model that can be loaded; `version` is empty for a folder or Hub name.

    `encodes_documents` means the document encoder that a version brings along whose query side alone was tuned.
    """

    name: str
    version: str = ""
    encodes_documents: bool = False

    @property
    def reference(self) -> str:
        """How answers name it: `name`, or `name@v3`."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target's files are, and how they are to be read."""

    location: str
    model: ModelConfig

    def weights_bytes(self) -> int:
        """Return the bytes of the weights that will be in memory, none of an endpoint's; a Hub model is fetched."""
        if is_endpoint(self.location):
            return 0
        return weights_bytes(fetch_model(self.location, trust_remote_code=self.model.trust_remote_code))


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A model folder or a name on the Hub."""

    name: str
    location: str
    model: ModelConfig


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """A project's registry. `default` is what the bare name means: `champion`, `latest`, `base` or a version.

    `material` gives the domain's texts, by which engines are compared; None where there are none.
    """

    name: str
    registry: Path
    default: str
    model: ModelConfig
    material: Callable[[], CalibrationMaterial | None]


Source = FolderSource | RegistrySource


class Sources:
    """All sources of a server by name, in the order in which they were given."""

    def __init__(self, sources: Sequence[Source]):
        self._by_name: dict[str, Source] = {}
        for source in sources:
            if "@" in source.name or not source.name:
                raise InputError(
                    f"a model cannot be served as {source.name!r}",
                    hint="give it a name without '@': dialekt serve NAME=FOLDER",
                )
            if source.name in self._by_name:
                raise InputError(
                    f"two models are to be served as {source.name!r}", hint="dialekt serve ONE=FOLDER OTHER=FOLDER"
                )
            self._by_name[source.name] = source
        self._kinds = {source.name: _kind(source) for source in sources}

    @property
    def default_name(self) -> str:
        """The source that answers where a request names none."""
        return next(iter(self._by_name))

    def of_kind(self, kinds: Sequence[ModelKind]) -> str | None:
        """Return the first source whose models are of one of the kinds; any for no kind."""
        return next((name for name, kind in self._kinds.items() if not kinds or kind in kinds), None)

    def resolve(self, reference: str) -> Target:
        """Return what a reference means now: `name`, `name@v3`, `name@champion`, `name@latest` or `name@base`.

        Raises `UnknownModelError`. Nothing of the reference becomes part of a path.
        """
        name, at, version = reference.partition("@")
        source = None if at and not version else self._by_name.get(name)
        match source:
            case None:
                raise UnknownModelError(
                    f"the model {_shown(reference)} is not served here",
                    hint=f"served: {', '.join(self._by_name)}; GET /v1/models lists versions too",
                    param="model",
                )
            case FolderSource():
                if version:
                    raise UnknownModelError(
                        f"the model {name!r} has no versions", hint=f"ask for {name!r}", param="model"
                    )
                return Target(name)
            case RegistrySource():
                return self._registered(source, version or source.default)

    def _registered(self, source: RegistrySource, version: str) -> Target:
        if version == BASE:
            return Target(source.name, BASE)
        try:
            return Target(source.name, resolve(source.registry, version))
        except NotFoundError as error:
            raise UnknownModelError(
                f"the model {_shown(f'{source.name}@{version}')} is not served here",
                hint=f"{source.name}@{BASE} is the untuned model; GET /v1/models lists versions and aliases",
                param="model",
            ) from error

    def place(self, target: Target) -> Place:
        """Return where a target's files are. Raises `StorageError` for a damaged version."""
        place = self._place(target)
        if not target.encodes_documents:
            return place
        return replace(place, location=str(find_document_encoder(place.location, place.model)))

    def _place(self, target: Target) -> Place:
        source = self._by_name[target.name]
        match source:
            case FolderSource():
                return Place(source.location, source.model)
            case RegistrySource():
                if target.version == BASE:
                    return Place(source.model.base, source.model)
                version = load_version(source.registry, target.version)
                plain = plain_config(source.model)
                return Place(str(version.model), plain)  # a version's contract is its own, not the project's of today

    def material(self, target: Target) -> CalibrationMaterial | None:
        """Return the texts of a target's domain."""
        source = self._by_name[target.name]
        return source.material() if isinstance(source, RegistrySource) else None

    def rows(self, loaded: Sequence[Target]) -> list[CatalogueRow]:
        """Return everything that can be asked for. Reads the registry from disk."""
        return [row for source in self._by_name.values() for row in self._rows(source, set(loaded))]

    def _rows(self, source: Source, loaded: set[Target]) -> list[CatalogueRow]:
        match source:
            case FolderSource():
                return [self._folder_row(source, loaded=Target(source.name) in loaded)]
            case RegistrySource():
                return _registry_rows(source, loaded)

    def _folder_row(self, source: FolderSource, *, loaded: bool) -> CatalogueRow:
        kind = self._kinds[source.name]
        if kind is not ModelKind.EMBEDDING:
            return CatalogueRow(source.name, 0, kind, loaded=loaded)
        contract = read_contract(_folder(source))
        return CatalogueRow(
            source.name, 0, kind, base_model=contract.model, loaded=loaded, dimensions=contract.matryoshka_dimensions
        )


def _folder(source: FolderSource) -> Path:
    return fetch_model(source.location, trust_remote_code=source.model.trust_remote_code)


def _kind(source: Source) -> ModelKind:
    match source:
        case FolderSource():
            return detect_kind(_folder(source))
        case RegistrySource():
            return ModelKind.EMBEDDING


def _registry_rows(source: RegistrySource, loaded: set[Target]) -> list[CatalogueRow]:
    versions = list_versions(source.registry)
    champion = read_aliases(source.registry).champion
    rows = [_version_row(source, version, _aliases(version, versions, champion), loaded) for version in versions]
    base = Target(source.name, BASE)
    row = CatalogueRow(
        base.reference, 0, ModelKind.EMBEDDING, base_model=_shown_base(source.model.base), loaded=base in loaded
    )
    meant = source.default
    meant = {CHAMPION: champion, LATEST: versions[-1].name if versions else ""}.get(meant, meant)
    named = [found for found in (*rows, row) if found.id == f"{source.name}@{meant}"]
    bare = [
        CatalogueRow(
            source.name, found.created, found.kind, aliases=(found.id,), base_model=found.base_model,
            loaded=found.loaded, dimensions=found.dimensions,
        )
        for found in named
    ]  # fmt: skip
    return [*bare, *rows, row]


def _version_row(
    source: RegistrySource, version: Version, aliases: tuple[str, ...], loaded: set[Target]
) -> CatalogueRow:
    target, base = Target(source.name, version.name), version.lineage.base_model
    return CatalogueRow(
        id=target.reference,
        created=int(datetime.fromisoformat(version.created).timestamp()),
        kind=ModelKind.EMBEDDING,
        aliases=tuple(f"{source.name}@{alias}" for alias in aliases),
        base_model=_shown_base(base if is_endpoint(base) else Path(base).name),
        loaded=target in loaded,
        dimensions=read_contract(version.model).matryoshka_dimensions,
    )


def _aliases(version: Version, versions: Sequence[Version], champion: str) -> tuple[str, ...]:
    is_latest, is_champion = version is versions[-1], version.name == champion
    return tuple(alias for alias, true in ((CHAMPION, is_champion), (LATEST, is_latest)) if true)


def _shown_base(name: str) -> str:
    """Return how a base model is called: of an endpoint its name, since the address is the operator's business."""
    if not is_endpoint(name):
        return name
    return parse_endpoint(name).model or "endpoint"


def _shown(reference: str) -> str:
    """Return what a client asked for, at a length that fits an error."""
    return repr(reference if len(reference) <= 100 else reference[:100] + "…")
