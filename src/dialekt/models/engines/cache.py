"""The engine cache: graphs of models and choices of engines, kept on the machine that made them."""

import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dialekt.config import EngineName
from dialekt.errors import StorageError
from dialekt.models.engines.lanes import cpu_count
from dialekt.models.engines.records import EngineChoice, EngineTrial
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, publish_folder, write_atomic
from dialekt.store.hashing import hash_json
from dialekt.store.lock import exclusive
from dialekt.store.manifest import MANIFEST_NAME, hash_files

_FORMAT = 1
_LIBRARIES = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "dialekt")
_BUILD_TIMEOUT_SECONDS = 1_800.0
_UNUSED_DAYS = 30


@dataclass(frozen=True, slots=True)
class EngineCache:
    """The part of the cache that belongs to one model; `folder` carries the hash of its files and contract."""

    folder: Path

    def graph(self, kind: str, key: str, build: Callable[[Path], None]) -> Path:
        """Return the folder with a graph, built by `build(folder)` unless an undamaged one is there.

        One process builds, others wait for it. Raises `StorageError`, and what `build` raises.
        """
        final = self.folder / f"{kind}-{key[:16]}"
        if not _is_whole(final):
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            with disk_errors(self.folder), exclusive(self.folder, timeout_seconds=_BUILD_TIMEOUT_SECONDS):
                if not _is_whole(final):
                    self._forget_unused()
                    _build(final, build)
        with suppress(OSError):  # a cache that came with an image may be read-only
            os.utime(self.folder)
        return final

    def read_choice(self, key: str) -> EngineChoice | None:
        """Return the choice made under this key; None when there is none or it is damaged."""
        try:
            content = json.loads(self._choice_path(key).read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["key"] != key:
                return None
            trials = tuple(
                EngineTrial(**{**trial, "engine": EngineName(trial["engine"])}) for trial in content["trials"]
            )
            return EngineChoice(EngineName(content["engine"]), measured=True, from_cache=True, trials=trials)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_choice(self, key: str, choice: EngineChoice) -> None:
        """Keep a choice for the next start; where nothing can be written, the next start measures again."""
        content = {
            "format": _FORMAT,
            "key": key,
            "engine": choice.engine,
            "trials": [asdict(trial) for trial in choice.trials],
        }
        with suppress(StorageError):
            write_atomic(self._choice_path(key), json.dumps(content, indent=2) + "\n")

    def _choice_path(self, key: str) -> Path:
        return self.folder / f"choice-{key[:16]}.json"

    def _forget_unused(self) -> None:
        """Remove what belongs to models that nobody has served for a month."""
        oldest = time.time() - _UNUSED_DAYS * 86_400
        for other in self.folder.parent.iterdir():
            if other != self.folder and other.is_dir() and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)


def open_cache(root: Path | None, model_key: str) -> EngineCache:
    """Return a model's part of the cache below `root`, or below the user's cache folder."""
    return EngineCache((root or default_root()) / model_key[:32])


def default_root() -> Path:
    """Return $XDG_CACHE_HOME/dialekt/engines, or the same in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dialekt" / "engines"


def library_versions() -> dict[str, str]:
    """Return the versions of what builds and runs graphs; empty for what is not installed."""
    return {name: _version(name) for name in _LIBRARIES}


def machine_key() -> dict[str, str | int]:
    """Return what decides which engine is fastest: processor, cores, libraries."""
    return {"processor": _processor(), "cores": cpu_count(), **library_versions()}


def _build(final: Path, build: Callable[[Path], None]) -> None:
    partial = final.with_name(f"{final.name}{PARTIAL_SUFFIX}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        build(partial)
        content = {"format": _FORMAT, "files": hash_files(partial)}
        write_atomic(partial / MANIFEST_NAME, json.dumps(content, indent=2) + "\n")
        publish_folder(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether a graph's folder holds just the files that its builder wrote."""
    try:
        content = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        return bool(content == {"format": _FORMAT, "files": hash_files(folder)})
    except (OSError, ValueError):
        return False


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Return the processor's name and instruction sets, as Linux tells them; elsewhere the platform's word."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features", "CPU part")
    lines = path.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    return hash_json(sorted(line for line in lines if line.startswith(wanted)))
