"""Immutable version folders: registry/models/v1, v2, ... each a model and the record of how it came to be."""

import difflib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dialekt.errors import NotFoundError, StorageError
from dialekt.registry.champion import read_aliases
from dialekt.registry.records import Evidence, Lineage, Version
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, publish_folder, write_atomic
from dialekt.store.hashing import hash_json
from dialekt.store.lock import exclusive
from dialekt.store.manifest import hash_files

RECORD_NAME = "version.json"
CARD_NAME = "README.md"
SCHEMA = 1
CHAMPION = "champion"
LATEST = "latest"
LOCK_TIMEOUT_SECONDS = 60.0
READ_ONLY = 0o444
VERSION_NAME = re.compile(r"v([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class _Record:
    """The file beside the model: a version without its place on disk."""

    schema: int
    name: str
    content_id: str
    created: str
    lineage: Lineage
    evidence: Evidence
    files: Mapping[str, str]


_RECORD = TypeAdapter(_Record)


@dataclass(frozen=True, slots=True)
class Registration:
    """A version and whether it was there before."""

    version: Version
    already_registered: bool


def register(registry: Path, model_folder: Path, lineage: Lineage, evidence: Evidence, *, created: str) -> Version:
    """Copy a model into the registry as its next version, or return the version that already holds it.

    The same model content with the same evaluation is the same version; it appears whole or not at all.
    Raises `StorageError` for a full disk, an empty model folder, or while another command holds the registry.
    """
    with workspace(registry) as partial:
        copy_model(model_folder, partial / "model")
        return admit(registry, partial, lineage, evidence, created=created).version


@contextmanager
def hold(registry: Path) -> Iterator[None]:
    """Hold the registry's lock, waiting for a command that is about to end."""
    with disk_errors(registry), exclusive(registry, timeout_seconds=LOCK_TIMEOUT_SECONDS):
        yield


@contextmanager
def workspace(registry: Path) -> Iterator[Path]:
    """Hold the registry's lock and give an empty folder to build a version in; sweep up after kills."""
    with hold(registry):
        models = registry / "models"
        models.mkdir(exist_ok=True)
        for leftover in models.glob(f".*{PARTIAL_SUFFIX}"):
            shutil.rmtree(leftover)
        partial = models / f".next{PARTIAL_SUFFIX}"
        partial.mkdir()
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def copy_model(source: Path, target: Path) -> None:
    """Copy a model's files; links are followed, so that the version depends on nothing outside itself."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    if not files:
        raise StorageError("there is no model in this folder", path=source, hint="train first: dialekt run")
    for file in files:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def admit(registry: Path, partial: Path, lineage: Lineage, evidence: Evidence, *, created: str) -> Registration:
    """Make the model in a workspace the next version, unless an intact version has the same content."""
    files = hash_files(partial / "model")
    identity = content_id(files)
    for version in readable_versions(registry):
        same_evaluation = version.lineage.artefacts.evaluation == lineage.artefacts.evaluation
        if version.content_id == identity and same_evaluation and not verify(version):
            return Registration(version, already_registered=True)
    name = _next_name(registry)
    record = _Record(SCHEMA, name, identity, created, lineage, evidence, files)
    write_atomic(partial / RECORD_NAME, json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n")
    for file in partial.rglob("*"):
        if file.is_file():
            file.chmod(READ_ONLY)
    final = registry / "models" / name
    publish_folder(partial, final)
    return Registration(_read_version(final), already_registered=False)


def content_id(files: Mapping[str, str]) -> str:
    """Return the identity of a model: the hash of its files' hashes, its card left out."""
    return hash_json({name: digest for name, digest in files.items() if name != CARD_NAME})


def _next_name(registry: Path) -> str:
    """Count on from the highest name ever used, so that the log never means another model by an old name."""
    aliases = read_aliases(registry)
    names = [path.name for path in _folders(registry)] + [entry.version for entry in aliases.history]
    return f"v{max((_number(name) for name in names), default=0) + 1}"


def _number(name: str) -> int:
    match = VERSION_NAME.fullmatch(name)
    return int(match.group(1)) if match else 0


def _folders(registry: Path) -> list[Path]:
    folders = [path for path in (registry / "models").glob("v*") if path.is_dir() and _number(path.name)]
    return sorted(folders, key=lambda path: _number(path.name))


def list_versions(registry: Path) -> list[Version]:
    """Return all versions, oldest first. Raises `StorageError` for one whose record is damaged."""
    return [_read_version(folder) for folder in _folders(registry)]


def readable_versions(registry: Path) -> Iterator[Version]:
    """Yield the versions whose records can be read, oldest first: a damaged one must not keep a new one out."""
    for folder in _folders(registry):
        with suppress(StorageError):
            yield _read_version(folder)


def _read_version(folder: Path) -> Version:
    path = folder / RECORD_NAME
    hint = "restore the folder from a backup, or remove it and register the model again: dialekt run"
    try:
        record = _RECORD.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise StorageError("the version has no record", path=path, hint=hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StorageError(f"the record is damaged: {where}: {first['msg']}", path=path, hint=hint) from None
    if record.schema != SCHEMA:
        raise StorageError(
            f"the record has schema {record.schema}, expected {SCHEMA}", path=path, hint="upgrade dialekt"
        )
    return Version(
        folder.name, record.content_id, record.created, record.lineage, record.evidence, record.files, folder
    )


def verify(version: Version) -> tuple[str, ...]:
    """Return what is wrong with a version's files; nothing means that each is as it was registered."""
    found = hash_files(version.model)
    faults = [f"{name} is missing" for name in version.files if name not in found]
    for name, digest in found.items():
        if name not in version.files:
            faults.append(f"{name} was added")
        elif version.files[name] != digest:
            faults.append(f"{name} has changed")
    return tuple(sorted(faults))


def load_version(registry: Path, name: str, *, check_files: bool = True) -> Version:
    """Return a version by its name or by an alias: `v3`, `champion`, `latest`.

    Raises `NotFoundError` that names the nearest, and `StorageError` when the version's files are not intact.
    """
    version = _read_version(registry / "models" / resolve(registry, name))
    faults = verify(version) if check_files else ()
    if faults:
        raise StorageError(
            f"version {version.name} is damaged: {'; '.join(faults[:3])}",
            path=version.folder,
            hint="restore the folder from a backup, or register the model again: dialekt run",
        )
    return version


def resolve(registry: Path, name: str) -> str:
    """Return the version that a name or alias stands for."""
    names = [path.name for path in _folders(registry)]
    if name in names:
        return name
    if not names:
        raise NotFoundError("no model is registered yet", path=registry, hint="dialekt run trains and registers one")
    if name == LATEST:
        return names[-1]
    if name == CHAMPION:
        return _champion(registry, names)
    near = difflib.get_close_matches(name, [*names, CHAMPION, LATEST], n=1, cutoff=0.0)[0]
    raise NotFoundError(f"there is no version {name!r}", hint=f"did you mean {near!r}? dialekt models list shows all")


def _champion(registry: Path, names: list[str]) -> str:
    champion = read_aliases(registry).champion
    if not champion:
        raise NotFoundError("no version was promoted yet", hint=f"dialekt models promote {names[-1]}")
    if champion not in names:
        raise NotFoundError(
            f"the champion {champion!r} is not in the registry any more",
            path=registry,
            hint="restore its folder, or dialekt models rollback",
        )
    return champion


def find_registered(registry: Path, lineage: Lineage) -> Version | None:
    """Return the intact version of the same training and evaluation, None when there is none."""
    for version in readable_versions(registry):
        recorded, wanted = version.lineage.artefacts, lineage.artefacts
        same = (recorded.training, recorded.evaluation) == (wanted.training, wanted.evaluation)
        if same and not verify(version):
            return version
    return None
