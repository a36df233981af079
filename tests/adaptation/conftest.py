"""Documents that say which words belong together, and a judge that asks for some by the others."""

import itertools
import json
import random
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

TOPICS = (
    "cat dog bird fish tree flower garden river", "pump valve pressure pipe leak seal water oil",
    "invoice payment refund bank card tax order customer", "solar wind panel battery energy grid power voltage",
    "bread milk cheese apple soup salt recipe bake", "train plane car bus bike road city motor",
)  # fmt: skip
QUERIES_PER_TOPIC = 8
LONG_TERM = "phosphatidylserine"
LEARNING = AdaptationConfig(learning_rate=0.003, epochs=30.0, batch_size=16)

Scores = Callable[[Path | None, Path, ReportProgress], NDArray[np.float64]]


def topic_texts() -> list[str]:
    """Return texts, each of random words of one topic."""
    draw = random.Random(3)
    return [" ".join(draw.sample(topic.split(), 5)) for topic in TOPICS for _ in range(30)]


def reciprocal_ranks(model: str) -> NDArray[np.float64]:
    """Return, for queries of three of a topic's words, 1 / the rank of the text with its other words (queries,)."""
    draw = random.Random(5)
    encoder = Encoder.load(model, ModelConfig(device="cpu"))
    halves = [(topic.split()[:4], topic.split()[4:]) for topic in TOPICS]
    texts = [" ".join(draw.sample(asked, 3)) for asked, _ in halves for _ in range(QUERIES_PER_TOPIC)]
    queries = encoder.encode(texts, Role.QUERY)
    documents = encoder.encode([" ".join(answer) for _, answer in halves], Role.DOCUMENT)
    cosines = queries @ documents.T  # (queries, topics)
    own = np.arange(len(texts)) // QUERIES_PER_TOPIC
    ranks = 1 + (cosines > cosines[np.arange(len(texts)), own][:, None]).sum(axis=1)
    return np.asarray(1.0 / ranks, dtype=np.float64)


def zero_shot_judge(base: Path) -> Judge:
    """Return a judge that asks every topic for its other words."""
    queries = QUERIES_PER_TOPIC * len(TOPICS)
    return Judge(JudgedBy.ZERO_SHOT, queries, lambda model, _, __: reciprocal_ranks(str(model or base)))


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
    """The topics' texts over the tiny model, judged zero-shot."""
    return AdaptationInputs(
        model=ModelConfig(base=str(tiny_model), device="cpu"),
        corpus=write_texts(tmp_path / "corpus", topic_texts()),
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
