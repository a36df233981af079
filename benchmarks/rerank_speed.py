"""Scoring with a cross-encoder: our Reranker, and the library called once per query and once for all, in one run.

    python benchmarks/rerank_speed.py --queries 40 --candidates 20 --rounds 3

Texts are paragraphs of the Python language reference, which every Python brings along: a query is a first line, its
candidates are paragraphs at random, so that lengths differ as they do in a corpus. One call per query is how
`mine_hard_negatives` of sentence-transformers rescores its candidates. All contenders have the same weights and the
same limit of tokens, and take turns, so a machine that speeds up or slows down treats all alike. Printed are pairs per
second, the ratio of every round to one call per query, and the largest difference of a logit to it.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from dialekt.config import Precision
from dialekt.models.machine import describe_machine
from dialekt.models.reranker import Reranker

Scores = NDArray[np.float32]
Contender = Callable[[], Scores]
MAX_TOKENS = 256


def make_candidates(queries: int, candidates: int) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """Return queries, documents and the pairs (queries * candidates, 2), query by query."""
    draw = random.Random(5)
    documents = sorted({part for text in topics.values() for part in text.split("\n\n") if len(part) >= 40})
    first_lines = [text.strip().partition("\n")[0] for text in draw.sample(documents, queries)]
    pairs = [(query, row) for query in range(queries) for row in draw.sample(range(len(documents)), candidates)]
    return first_lines, documents, np.array(pairs, dtype=np.int64)


def by_query(model: CrossEncoder, queries: list[str], documents: list[str], pairs: NDArray[np.int64]) -> Scores:
    """Call predict once per query."""
    parts = []
    for query in range(len(queries)):
        texts = [(queries[query], documents[row]) for row in pairs[pairs[:, 0] == query, 1].tolist()]
        parts.append(model.predict(texts, activation_fn=torch.nn.Identity(), show_progress_bar=False))
    return np.concatenate(parts)


def all_at_once(model: CrossEncoder, queries: list[str], documents: list[str], pairs: NDArray[np.int64]) -> Scores:
    """Call predict once; it sorts by characters and takes batches of 32."""
    texts = [(queries[query], documents[row]) for query, row in pairs.tolist()]
    return np.asarray(model.predict(texts, activation_fn=torch.nn.Identity(), show_progress_bar=False))


def compete(contenders: dict[str, Contender], rounds: int) -> tuple[dict[str, list[float]], dict[str, Scores]]:
    """Let all take turns after one round to warm up; return the seconds and the last scores."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    scores = {name: contender() for name, contender in contenders.items()}
    for _ in range(rounds):
        for name, contender in contenders.items():
            start = time.perf_counter()
            scores[name] = contender()
            seconds[name].append(time.perf_counter() - start)
    return seconds, scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="our Reranker against CrossEncoder.predict")
    parser.add_argument("--base", default="all-MiniLM-L6-v2", help="the cross-encoder has its size and a fresh head")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default=None)
    options = parser.parse_args()

    machine = describe_machine(options.device)
    material = make_candidates(options.queries, options.candidates)
    with tempfile.TemporaryDirectory() as folder:
        base = Reranker.untrained(options.base, device=options.device, max_tokens=MAX_TOKENS, seed=1)
        base.save(Path(folder))
        library = CrossEncoder(folder, device=machine.device, max_length=MAX_TOKENS)
        kinds = {"dialekt": None} | ({} if machine.precision is Precision.FP32 else {"dialekt fp32": Precision.FP32})
        ours = {
            name: Reranker.load(folder, device=options.device, max_tokens=MAX_TOKENS, precision=precision)
            for name, precision in kinds.items()
        }
        contenders: dict[str, Contender] = {
            "one call per query": lambda: by_query(library, *material),
            "one call for all": lambda: all_at_once(library, *material),
        }
        contenders |= {name: partial(reranker.score, *material) for name, reranker in ours.items()}
        seconds, scores = compete(contenders, options.rounds)

    print(f"{machine.device_name}, {machine.threads} threads, torch {torch.__version__}")
    print(f"{len(material[2]):,} pairs, {options.queries} queries; dialekt runs in {ours['dialekt'].precision}")
    reference, exact = seconds["one call per query"], scores["one call per query"]
    print(f"{'':20}{'pairs/s':>9}{'median ratio':>14}{'difference':>12}   ratio of each round")
    for name, taken in seconds.items():
        ratios = [theirs / mine for theirs, mine in zip(reference, taken, strict=True)]
        shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
        speed = len(exact) / statistics.median(taken)
        difference = float(np.abs(scores[name] - exact).max())
        print(f"{name:20}{speed:9,.0f}{statistics.median(ratios):14.2f}{difference:12.5f}   {shown}")


if __name__ == "__main__":
    main()
