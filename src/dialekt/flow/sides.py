"""What it costs to tune the query side alone: the same base, tuned on both sides, on the same test queries."""

from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.config import TunedSide
from dialekt.errors import StorageError
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.store.manifest import MANIFEST_NAME, read_manifest

if TYPE_CHECKING:
    from dialekt.registry.records import Version
    from dialekt.report.records import FullTuning


def full_tuning(workbench: Workbench) -> "FullTuning | None":
    """Compare a model whose query side was tuned with the latest version that was tuned on both sides.

    None where both sides were tuned, and where there is no such version of the same base and test queries whose
    evaluation is still in the project.
    """
    from dialekt.evaluation.comparison import Settings
    from dialekt.evaluation.paired import compare_tuned
    from dialekt.registry.versions import readable_versions
    from dialekt.report.records import FullTuning

    config = workbench.config
    if config.training.side is TunedSide.BOTH:
        return None
    settings = Settings(config.evaluation.confidence, config.evaluation.resamples, config.project.seed)
    own = workbench.folder(StageName.EVALUATION)
    for version in reversed([*readable_versions(config.registry.path)]):
        measured = _evaluation_of(workbench, version) if _is_full(workbench, version) else None
        found = compare_tuned(own, measured, settings) if measured else None
        if found is not None:
            return FullTuning(version.name, found)
    return None


def _is_full(workbench: Workbench, version: "Version") -> bool:
    """Whether a version is the same base, tuned on both sides and measured on the same judgments."""
    side = version.lineage.config.get("training", {}).get("side", TunedSide.BOTH.value)
    same_base = version.lineage.base_model_id == workbench.base_model_id
    return bool(side == TunedSide.BOTH and same_base and version.evidence.split == workbench.held_out_id)


def _evaluation_of(workbench: Workbench, version: "Version") -> Path | None:
    for path in (workbench.store.root / StageName.EVALUATION).glob(f"*/{MANIFEST_NAME}"):
        try:
            manifest = read_manifest(path.parent)
        except StorageError:
            continue  # a damaged one can show nothing
        if manifest.id == version.lineage.artefacts.evaluation:
            return path.parent
    return None
