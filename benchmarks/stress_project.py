"""A project with two versions of one model that nobody can mistake for each other, to change over between them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from dialekt.registry.aliases import promote, rollback
from dialekt.registry.records import ArtefactIds, Evidence, Lineage
from dialekt.registry.versions import register

NOISE = 1.5  # standard deviations of the weights that are changed
SAME, OTHER = 0.98, 0.95
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Versions:
    """The project's folder, and each version's vectors of the texts, from the library."""

    project: Path
    vectors: Mapping[str, Vectors]

    def change(self, *, back: bool) -> str:
        """Promote v2, or roll back to v1; return the champion's name."""
        registry, now = self.project / "registry", datetime.now(UTC).isoformat(timespec="seconds")
        if back:
            return rollback(registry, now=now).version
        return promote(registry, "v2", minimum_gain=0.0, override_reason="a test under load", now=now).version

    def judge(self, version: str, row: int, vector: Vectors) -> str:
        """Say what is wrong with a vector that is said to be of this version; empty: nothing."""
        if version not in self.vectors:
            return f"a version {version!r} that does not exist"
        cosines = {name: _cosine(vector, vectors[row]) for name, vectors in self.vectors.items()}
        if cosines[version] >= SAME:
            return ""
        return f"row {row}: the header says {version}, cosines are {cosines}"


def _cosine(one: Vectors, other: Vectors) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def make_versions(model: Path, folder: Path, texts: Sequence[str]) -> Versions:
    """Register a model as v1 and a copy with noise in its largest matrix as v2, and promote v1."""
    from sentence_transformers import SentenceTransformer

    project = folder / "project"
    registry = project / "registry"
    registry.mkdir(parents=True)
    (project / "dialekt.toml").write_text('[registry]\npath = "registry"\n', encoding="utf-8")
    changed = Path(shutil.copytree(model, folder / "changed"))
    _add_noise(changed / "model.safetensors")
    vectors = {}
    for number, place in enumerate((model, changed), start=1):
        version = register(registry, place, _lineage(model, number), _evidence(), created="2026-01-01T00:00:00+00:00")
        encoder = SentenceTransformer(str(place), device="cpu")
        vectors[version.name] = np.asarray(encoder.encode(list(texts), show_progress_bar=False), dtype=np.float32)
    first, second = vectors.values()
    assert max(_cosine(*pair) for pair in zip(first, second, strict=True)) < OTHER, "the versions are too much alike"
    promote(registry, "v1", minimum_gain=0.0, override_reason="a test under load", now="2026-01-01T00:00:00+00:00")
    return Versions(project, vectors)


def _add_noise(path: Path) -> None:
    weights = load_file(path)
    name = max(weights, key=lambda name: weights[name].size)  # the word embeddings
    values = weights[name]
    noise = np.random.default_rng(1).normal(0.0, NOISE * float(values.std()), values.shape)
    weights[name] = (values + noise).astype(values.dtype)
    path.unlink()
    save_file(weights, path, metadata={"format": "pt"})


def _lineage(model: Path, number: int) -> Lineage:
    artefacts = ArtefactIds("", "", "", "", f"training-{number}", f"evaluation-{number}")
    return Lineage(str(model), "base", artefacts, config={}, code_version="0", libraries={}, seed=number)


def _evidence() -> Evidence:
    return Evidence(split="test", queries=0, documents=0, systems=(), gain=None, leak_check_passed=True)
