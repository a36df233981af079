"""Artefacts on disk: looked up by key, verified, made in a partial folder, published by one rename."""

import errno
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from dialekt import __version__
from dialekt.errors import DialektError, StorageError
from dialekt.flow.facts import plain
from dialekt.flow.records import StageName
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, publish_folder
from dialekt.store.hashing import hash_json
from dialekt.store.manifest import (
    MANIFEST_NAME,
    Manifest,
    artefact_id,
    hash_files,
    read_manifest,
    verify_files,
    write_manifest,
)

KEY_DIGITS = 16
LITTLE_SPACE_BYTES = 1 << 20
LIBRARIES = ("torch", "transformers", "sentence-transformers", "numpy", "pyarrow", "bm25s", "ir-measures")


@dataclass(frozen=True)
class Recipe:
    """Everything that is known before a stage runs and that its result depends on."""

    stage: StageName
    version: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]

    @cached_property
    def key(self) -> str:
        """The hash of all of it: equal keys, equal artefacts."""
        return hash_json(
            {"stage": self.stage, "version": self.version, "settings": self.settings, "inputs": self.inputs}
        )


@dataclass(frozen=True, slots=True)
class Artefact:
    """A published folder and its manifest."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Lookup:
    """A verified artefact, or the reason why there is none. `resumable` when a partial folder was left behind."""

    artefact: Artefact | None
    reason: str
    resumable: bool = False


class ArtefactStore:
    """The artefacts of one project: `<root>/<stage>/<first digits of the key>/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, recipe: Recipe) -> Path:
        """Return where the artefact of a recipe lies, or will lie."""
        return self.root / recipe.stage / recipe.key[:KEY_DIGITS]

    def look_up(self, recipe: Recipe) -> Lookup:
        """Find the artefact of a recipe and verify every one of its files."""
        folder = self.folder(recipe)
        resumable = _partial(folder).is_dir()
        if not folder.is_dir():
            reason = "goes on where it was stopped" if resumable else self._explain(recipe)
            return Lookup(None, reason, resumable)
        try:
            manifest = read_manifest(folder)
        except StorageError as error:
            return Lookup(None, f"damaged: {error.message}", resumable)
        faults = ["the key differs"] if manifest.key != recipe.key else verify_files(folder, manifest)
        if faults:
            return Lookup(None, f"damaged: {', '.join(faults)}", resumable)
        return Lookup(Artefact(folder, manifest), "done before")

    def make(self, recipe: Recipe, write: Callable[[Path], object], *, seed: int) -> Artefact:
        """Run a stage into its partial folder, write the manifest and publish both by one rename."""
        final = self.folder(recipe)
        partial = _partial(final)
        finished = _finished_partial(partial, recipe)
        if finished is None:
            with _full_disk_said(final):
                partial.mkdir(parents=True, exist_ok=True)
                (partial / MANIFEST_NAME).unlink(missing_ok=True)
                started = time.monotonic()
                facts = write(partial)
                finished = _manifest(recipe, partial, facts, seconds=time.monotonic() - started, seed=seed)
                write_manifest(partial, finished)
        publish_folder(partial, final)
        self._remove_stale_partials(recipe.stage)
        return Artefact(final, finished)

    def remove(self, recipe: Recipe) -> None:
        """Remove the artefact of a recipe, and what a run of it that was stopped left behind."""
        for folder in (self.folder(recipe), _partial(self.folder(recipe))):
            shutil.rmtree(folder, ignore_errors=True)

    def latest(self, stage: StageName) -> Manifest | None:
        """Return the manifest of the youngest artefact of a stage, whatever its key."""
        manifests = []
        for path in (self.root / stage).glob(f"*/{MANIFEST_NAME}"):
            if path.parent.suffix == PARTIAL_SUFFIX:
                continue
            try:
                manifests.append(read_manifest(path.parent))
            except StorageError:
                continue  # damaged ones explain nothing
        return max(manifests, key=lambda manifest: manifest.created, default=None)

    def latest_folder(self, stage: StageName) -> Path | None:
        """Return the folder of the youngest artefact of a stage, whatever its key, and unverified."""
        manifest = self.latest(stage)
        return self.root / stage / manifest.key[:KEY_DIGITS] if manifest else None

    def _explain(self, recipe: Recipe) -> str:
        """Say what differs from the last time the stage ran."""
        last = self.latest(recipe.stage)
        if last is None:
            return "first run"
        changed = [
            f"{name} changed from {last.config.get(name)!r} to {value!r}"
            for name, value in recipe.settings.items()
            if last.config.get(name) != plain(value)
        ]
        changed += [f"{name} changed" for name, value in recipe.inputs.items() if last.inputs.get(name) != value]
        changed += [f"{name} is gone" for name in last.inputs if name not in recipe.inputs]
        if last.stage_version != recipe.version:
            changed.append("this version of dialekt does it differently")
        return ", ".join(changed[:3]) or "its artefact is gone"

    def _remove_stale_partials(self, stage: StageName) -> None:
        """Remove what older, never finished recipes of a stage left behind: they will not be asked for again soon."""
        for path in (self.root / stage).glob(f"*{PARTIAL_SUFFIX}"):
            shutil.rmtree(path, ignore_errors=True)


def _partial(final: Path) -> Path:
    return final.with_name(final.name + PARTIAL_SUFFIX)


def _finished_partial(partial: Path, recipe: Recipe) -> Manifest | None:
    """Return the manifest of a partial folder that was complete when its process was killed before the rename."""
    try:
        manifest = read_manifest(partial)
    except StorageError:
        return None
    sound = manifest.key == recipe.key and not verify_files(partial, manifest)
    return manifest if sound else None


@contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    """Turn whatever a library raises on a full disk into one clear error; leave every other error alone.

    Not every library keeps the system's error number: safetensors and torch raise errors of their own.
    """
    try:
        with disk_errors(folder):
            yield
    except DialektError:
        raise
    except Exception as error:
        if shutil.disk_usage(folder.parent).free < LITTLE_SPACE_BYTES:
            with disk_errors(folder):
                raise OSError(errno.ENOSPC, "No space left on device") from error
        raise


def _manifest(recipe: Recipe, folder: Path, facts: object, *, seconds: float, seed: int) -> Manifest:
    files = hash_files(folder)
    return Manifest(
        stage=recipe.stage,
        stage_version=recipe.version,
        key=recipe.key,
        id=artefact_id(recipe.key, files),
        config=plain(recipe.settings),
        inputs=dict(recipe.inputs),
        files=files,
        libraries=_library_versions(),
        seed=seed,
        facts=plain(facts),
        seconds=round(seconds, 3),
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _library_versions() -> dict[str, str]:
    versions = {"python": python_version(), "dialekt": __version__}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue  # run from a source tree that is not installed
    return versions
