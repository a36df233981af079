"""A registry to fill: small model folders, and the records of how they were made and what was measured."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dialekt.registry.records import (
    ArtefactIds,
    Evidence,
    Forgetting,
    Gain,
    Lineage,
    Parity,
    Recipe,
    Setting,
    SystemResult,
    Version,
)
from dialekt.registry.versions import register
from dialekt.types import Interval

NOW = "2026-11-20T10:00:00+00:00"
AGREES = Parity(texts=7, min_cosine=1.0, max_abs_difference=0.0, passed=True)

MakeModel = Callable[..., Path]
MakeLineage = Callable[..., Lineage]
MakeEvidence = Callable[..., Evidence]
RegisterModel = Callable[..., Version]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Folder of a registry that does not exist yet."""
    return tmp_path / "registry"


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write a folder with the files of a model; `content` makes it another model."""

    def make(content: str = "weights") -> Path:
        folder = tmp_path / "trained" / content.replace(" ", "-")
        (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_text(content)
        (folder / "1_Pooling" / "config.json").write_text("{}")
        (folder / "README.md").write_text("a card")
        return folder

    return make


@pytest.fixture
def make_lineage() -> MakeLineage:
    """Describe how a model was made."""

    def make(*, training: str = "training-1", evaluation: str = "evaluation-1") -> Lineage:
        return Lineage(
            base_model="all-MiniLM-L6-v2",
            base_model_id="base-id",
            artefacts=ArtefactIds("corpus-1", "split-1", "pairs-1", "negatives-1", training, evaluation),
            config={"training": {"epochs": 2}, "corpus": {"path": "/home/someone/documents"}},
            code_version="0.1.0",
            libraries={"torch": "2.13.0"},
            seed=13,
            recipe=Recipe(
                queries=1_200,
                documents=5_000,
                pairs=1_800,
                hard_negatives=3_600,
                pairs_by_source={"qrels": 1_800},
                settings={"epochs": Setting(2, "1,800 pairs | few"), "matryoshka": Setting([384, 128])},
            ),
        )

    return make


@pytest.fixture
def make_evidence() -> MakeEvidence:
    """Describe what was measured: by default a proven gain, with all guards passed."""

    def make(
        *,
        low: float = 0.05,
        high: float = 0.15,
        tuned: float = 0.7,
        split: str = "split-1",
        compared: bool = True,
        leak_check_passed: bool = True,
        parity: Parity | None = AGREES,
        forgetting: Forgetting | None = None,
    ) -> Evidence:
        middle = (low + high) / 2
        rows = {"base": tuned - middle, "tuned": tuned, "tuned@128": tuned - 0.02}
        return Evidence(
            split=split,
            queries=400,
            documents=5_000,
            systems=tuple(
                SystemResult(
                    name,
                    128 if "@" in name else 384,
                    {"NDCG@10": Interval(value, value - 0.03, value + 0.03)},
                )
                for name, value in rows.items()
            ),
            gain=Gain("NDCG@10", middle, low, high, p_value=0.001) if compared else None,
            leak_check_passed=leak_check_passed,
            minimum_detectable_effect=0.021,
            recommendation="hybrid_tuned",
            recommendation_reason="It has the highest NDCG@10.",
            parity=parity,
            forgetting=forgetting,
        )

    return make


@pytest.fixture
def register_model(
    registry: Path, make_model: MakeModel, make_lineage: MakeLineage, make_evidence: MakeEvidence
) -> RegisterModel:
    """Register a model of its own content and evaluation; further arguments turn its evidence."""

    def make(content: str = "weights", **evidence: object) -> Version:
        lineage = make_lineage(training=f"training of {content}", evaluation=f"evaluation of {content}")
        return register(registry, make_model(content), lineage, make_evidence(**evidence), created=NOW)

    return make
