"""Documents that say which words mean the same, and a judge that asks for one by the other."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.adaptation.records import AdaptationInputs, Judge
from dialekt.config import AdaptationConfig, JudgedBy, ModelConfig
from dialekt.models.encoder import Encoder
from dialekt.store.tables import write_records
from dialekt.types import Document, ReportProgress, Role

TWINS = (
    ("cat", "dog"),
    ("pump", "valve"),
    ("invoice", "payment"),
    ("solar", "wind"),
    ("bread", "cheese"),
    ("bus", "car"),
)
CONTEXTS = (
    "garden house milk small", "pressure water seal flow", "customer bank tax account", "energy grid power panel",
    "recipe oven salt soup", "road city fast driver",
)  # fmt: skip
LONG_TERM = "phosphatidylserine"
LEARNING = AdaptationConfig(learning_rate=0.003, epochs=30.0, batch_size=16)

Scores = Callable[[Path | None, Path, ReportProgress], NDArray[np.float64]]


def twin_texts() -> list[str]:
    """Return texts in which both words of a pair stand in the same surroundings, never together."""
    texts = []
    for (one, other), context in zip(TWINS, CONTEXTS, strict=True):
        for first, second in itertools.permutations(context.split(), 2):
            texts += [f"the {word} and the {first} with the {second}" for word in (one, other)]
    return texts


def reciprocal_ranks(model: str) -> NDArray[np.float64]:
    """Return, for each word, 1 / the rank of its twin among all words."""
    encoder = Encoder.load(model, ModelConfig(device="cpu"))
    words = [word for pair in TWINS for word in pair]
    queries, documents = (encoder.encode(words, role) for role in (Role.QUERY, Role.DOCUMENT))
    cosines = queries @ documents.T  # (words, words)
    np.fill_diagonal(cosines, -1.0)
    twins = np.arange(len(words)) ^ 1
    ranks = 1 + (cosines > cosines[np.arange(len(words)), twins][:, None]).sum(axis=1)
    return np.asarray(1.0 / ranks, dtype=np.float64)


def zero_shot_judge(base: Path) -> Judge:
    """Return a judge that asks every word for its twin."""
    return Judge(JudgedBy.ZERO_SHOT, 12, lambda model, _, __: reciprocal_ranks(str(model or base)))


def fixed_judge(gains: Sequence[float], *, queries: int = 40) -> Judge:
    """Return a judge to whom each further model is better than the one before by the next of these gains."""
    asked = itertools.accumulate(gains, initial=0.3)
    found: dict[str, float] = {}

    def scores(model: Path | None, _: Path, __: ReportProgress) -> NDArray[np.float64]:
        level = found.setdefault(str(model), next(asked) if str(model) not in found else 0.0)
        return np.full(queries, level) + np.linspace(-0.01, 0.01, queries) * (model is not None)

    return Judge(JudgedBy.TRAINING, queries, scores)


def write_texts(folder: Path, texts: Sequence[str]) -> Path:
    """Write texts as a corpus artefact."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = [
        Document(f"d{row}", text, parent_id=f"d{row}", duplicate_of=f"d{row}") for row, text in enumerate(texts)
    ]
    write_records(folder / "documents.parquet", documents, Document)
    return folder


@pytest.fixture
def inputs(tiny_model: Path, tmp_path: Path) -> AdaptationInputs:
    """The twins' texts over the tiny model, judged zero-shot."""
    return AdaptationInputs(
        model=ModelConfig(base=str(tiny_model), device="cpu"),
        corpus=write_texts(tmp_path / "corpus", twin_texts()),
        seed=13,
        find_terms=lambda _: [LONG_TERM, "hydroxychloroquine"],
        judge=zero_shot_judge(tiny_model),
    )


def weights_of(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a saved model."""
    from safetensors.numpy import load_file

    return dict(load_file(folder / "model.safetensors"))


def start_of(out: Path) -> str:
    """Return what a finished stage says that training starts from."""
    return str(json.loads((out / "start.json").read_text(encoding="utf-8"))["model"])
