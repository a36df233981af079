"""What a model folder holds, read from its configuration alone."""

from pathlib import Path

from dialekt.models.engines.records import ModelKind
from dialekt.models.folders import read_json, read_modules

_SCORING = "ForSequenceClassification"


def detect_kind(folder: Path) -> ModelKind:
    """Return whether a folder holds an embedding model, a reranker (one label) or a classifier (several)."""
    config = read_json(read_modules(folder)[0].folder / "config.json") or read_json(folder / "config.json")
    if not any(str(name).endswith(_SCORING) for name in config.get("architectures") or ()):
        return ModelKind.EMBEDDING
    labels = len(config.get("id2label") or ()) or int(config.get("num_labels", 2))
    return ModelKind.RERANKER if labels == 1 else ModelKind.CLASSIFIER
