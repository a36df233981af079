"""/rerank and /predict score as the library does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from tests.serving.conftest import Served

QUERY = "how do i reset the password"
TEXTS = ["reset password in the account", "the pump leaks oil", "tea " * 90, "solar panel cost", ""]


def logits(folder: Path, pairs: list[tuple[str, str]] | list[str]) -> np.ndarray:
    """What the library says, one at a time."""
    model = CrossEncoder(str(folder), device="cpu", max_length=64)
    return np.array([model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in pairs])


def test_texts_come_back_best_first(served: Served, tiny_judge: Path) -> None:
    """Scores are sigmoids of the library's logits; the model is found by its kind."""
    expected = logits(tiny_judge, [(QUERY, text) for text in TEXTS])
    answer = served.post("/rerank", {"query": QUERY, "texts": TEXTS})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-dialekt-model"] == "judge"
    ranks = answer.json()
    assert [rank["index"] for rank in ranks] == np.argsort(-expected).tolist()
    scores = np.array([rank["score"] for rank in ranks])
    assert np.allclose(scores, 1 / (1 + np.exp(np.sort(-expected))), atol=1e-3)
    assert "text" not in ranks[0]


def test_raw_scores_and_texts_are_given_if_asked_for(served: Served, tiny_judge: Path) -> None:
    """Logits instead of sigmoids; POST / knows a re-ranker's request by its shape."""
    body = {"query": QUERY, "texts": TEXTS, "raw_scores": True, "return_text": True}
    for path in ("/rerank", "/"):
        ranks = served.post(path, body).json()
        expected = logits(tiny_judge, [(QUERY, rank["text"]) for rank in ranks])
        assert np.allclose([rank["score"] for rank in ranks], expected, atol=5e-3)
        assert all(rank["text"] == TEXTS[rank["index"]] for rank in ranks)


@pytest.mark.parametrize(
    ("inputs", "pairs"),
    [
        (["pump", "valve"], [("pump", "valve")]),
        ([["pump", "valve"], ["tea", "coffee"]], [("pump", "valve"), ("tea", "coffee")]),
    ],
)
def test_two_texts_are_a_pair(served: Served, tiny_classifier: Path, inputs: Any, pairs: list[tuple[str, str]]) -> None:
    """A flat list of two is one pair and gives one list of labels; a batch gives a list of lists."""
    expected = logits(tiny_classifier, pairs)
    chances = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    found = served.post("/predict", {"inputs": inputs, "model": "classes"}).json()
    rows = found if isinstance(inputs[0], list) else [found]
    for row, chance in zip(rows, chances, strict=True):
        assert np.allclose([prediction["score"] for prediction in row], np.sort(chance)[::-1], atol=1e-3)
        assert [prediction["label"] for prediction in row] == [f"LABEL_{place}" for place in np.argsort(-chance)]


def test_a_text_alone_is_classified(served: Served) -> None:
    """One string gives one list; a batch may mix texts and pairs."""
    one = served.post("/predict", {"inputs": "pump", "model": "classes"}).json()
    assert len(one) == 3
    assert sum(prediction["score"] for prediction in one) == pytest.approx(1.0, abs=1e-5)
    mixed = served.post("/predict", {"inputs": [["pump"], ["pump", "tea"]], "model": "classes"}).json()
    assert [row["label"] for row in mixed[0]] == [row["label"] for row in one]
    assert len(mixed) == 2
    raw = served.post("/predict", {"inputs": "pump", "model": "classes", "raw_scores": True}).json()
    assert [row["label"] for row in raw] == [row["label"] for row in one]


def test_a_re_ranker_predicts_too(served: Served) -> None:
    """With its one label and a sigmoid; POST / asks a scorer for predictions."""
    (found,) = served.post("/predict", {"inputs": ["pump", "valve"], "model": "judge"}).json()
    assert 0 < found["score"] < 1
    assert served.post("/", {"inputs": ["pump", "valve"], "model": "judge"}).json() == [found]


def test_info_and_metrics_know_scorers(served: Served) -> None:
    """Inputs of scorers are counted under te_predict_*."""
    served.post("/rerank", {"query": QUERY, "texts": TEXTS})
    lines = dict(
        line.rsplit(" ", 1) for line in served.client.get("/metrics").text.splitlines() if not line.startswith("#")
    )
    assert float(lines["te_predict_success"]) >= len(TEXTS)
