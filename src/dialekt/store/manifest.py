"""The manifest of an artefact: what it was made from, what came out, and whether it still is what it was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dialekt.errors import StorageError
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_file, hash_json

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """`key` is the hash of what is known before a stage runs; `id` is the key with the hashes of what came out."""

    stage: str
    stage_version: int
    key: str
    id: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    files: Mapping[str, str]
    libraries: Mapping[str, str]
    seed: int
    facts: Mapping[str, Any]
    seconds: float
    created: str


def artefact_id(key: str, files: Mapping[str, str]) -> str:
    """Return the id of an artefact: its key together with the hashes of its files."""
    return hash_json({"key": key, "files": dict(files)})


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder but the manifest, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into its artefact's folder."""
    write_atomic(folder / MANIFEST_NAME, json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read a manifest; raise `StorageError` when it is missing or damaged."""
    path = folder / MANIFEST_NAME
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StorageError("the artefact has no manifest", path=folder, hint="run the stage again") from None
    except (ValueError, TypeError) as error:
        raise StorageError(f"the manifest is damaged: {error}", path=path, hint="run the stage again") from error


def verify_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return what is wrong with an artefact's files; an empty list means that all hash as recorded."""
    faults = []
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif hash_file(path) != expected:
            faults.append(f"{name} has changed")
    return faults
