"""Our training step against the stock sentence-transformers Trainer, side by side in one run.

    python benchmarks/training_speed.py                       # speed: interleaved rounds of a few steps
    python benchmarks/training_speed.py --quality 3000        # and held-out NDCG@10 of both after as many pairs

Both sides train the same model on the same pairs with the same batch size, learning rate and lengths, and with
in-batch negatives only. The stock side is what its quick start shows: MultipleNegativesRankingLoss, default arguments.
The text is docstrings of installed libraries, or any BEIR folder (`--beir`).
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import PrinterCallback

from dialekt.config import ModelConfig, Precision
from dialekt.corpus.docstrings import write_docstring_project
from dialekt.models.base import resolve_model
from dialekt.models.encoder import Encoder
from dialekt.models.machine import fastest_precision
from dialekt.store.rows import read_rows
from dialekt.training.batches import plan_steps
from dialekt.training.derive import TEXTS_PER_PIECE, Recipe
from dialekt.training.examples import Examples, build_examples
from dialekt.training.lazy_embedding import make_lazy
from dialekt.training.objective import Objective
from dialekt.training.preparing import prepare_model
from dialekt.training.trainer import ExampleSource, PairTrainer, PlannedSteps, RankingStep
from dialekt.types import Document, Pair, Query

MODEL = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Texts:
    """Training pairs as texts, and held-out queries with the row of their document."""

    train: list[tuple[str, str]]
    test: list[tuple[str, int]]
    documents: list[str]


@dataclass(frozen=True)
class Settings:
    """The recipe that both sides follow."""

    batch_size: int
    learning_rate: float
    max_query_tokens: int
    max_document_tokens: int
    seed: int = 7


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, help="a BEIR folder; default: docstrings of installed libraries")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="steps of each side per round")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--max-document-tokens", type=int, default=128)
    parser.add_argument("--quality", type=int, default=0, help="also train both on this many pairs and compare NDCG@10")
    arguments = parser.parse_args()
    settings = Settings(arguments.batch_size, 5e-5, 64, arguments.max_document_tokens)
    texts = read_texts(arguments.beir)
    precision = fastest_precision("cpu")
    print(f"{len(texts.train)} training pairs; threads {torch.get_num_threads()}; precision {precision.value}")
    compare_speed(texts, settings, precision=precision, rounds=arguments.rounds, steps=arguments.steps)
    if arguments.quality:
        compare_quality(texts, settings, precision=precision, pairs=arguments.quality)


def compare_speed(texts: Texts, settings: Settings, *, precision: Precision, rounds: int, steps: int) -> None:
    """Train a few steps with each side in turn and print pairs per second and their ratio."""
    sample = texts.train[: settings.batch_size * steps]
    stock, ours = [], []
    for _ in range(rounds):
        stock.append(len(sample) / stock_seconds(sample, settings)[0])
        ours.append(len(sample) / our_seconds(sample, settings, precision=precision)[0])
    limit = pairs_at_matrix_limit(sample, settings, precision=precision)
    ratios = [own / peer for own, peer in zip(ours, stock, strict=True)]
    print(f"stock trainer      {statistics.median(stock):7.1f} pairs/s   ({min(stock):.1f} to {max(stock):.1f})")
    print(f"dialekt            {statistics.median(ours):7.1f} pairs/s   ({min(ours):.1f} to {max(ours):.1f})")
    print(f"ratio              {statistics.median(ratios):7.2f}           ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"matrix limit       {limit:7.1f} pairs/s   we reach {statistics.median(ours) / limit:.0%} of it")


def compare_quality(texts: Texts, settings: Settings, *, precision: Precision, pairs: int) -> None:
    """Train both sides on the same pairs and print held-out NDCG@10 with the interval of the difference."""
    sample = texts.train[:pairs]
    _, stock = stock_seconds(sample, settings)
    _, ours = our_seconds(sample, settings, precision=precision)
    base = SentenceTransformer(str(resolve_model(MODEL)), device="cpu")
    scores = {name: ndcg(model, texts) for name, model in (("base", base), ("stock", stock), ("dialekt", ours))}
    for name, values in scores.items():
        print(f"NDCG@10 {name:8s} {values.mean():.4f}")
    difference = scores["dialekt"] - scores["stock"]
    mean, half = difference.mean(), 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    print(f"dialekt - stock  {mean:+.4f}  95% interval {mean - half:+.4f} to {mean + half:+.4f}")


def stock_seconds(pairs: Sequence[tuple[str, str]], settings: Settings) -> tuple[float, SentenceTransformer]:
    """Train one pass with the stock trainer; return its seconds and the model."""
    model = SentenceTransformer(str(resolve_model(MODEL)), device="cpu")
    model.max_seq_length = settings.max_document_tokens
    with tempfile.TemporaryDirectory() as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=_arguments(folder, settings, batch_size=settings.batch_size, steps=-1),
            train_dataset=Dataset.from_dict({"anchor": [q for q, _ in pairs], "positive": [d for _, d in pairs]}),
            loss=MultipleNegativesRankingLoss(model),
        )
        return _train(trainer), model


def our_seconds(
    pairs: Sequence[tuple[str, str]], settings: Settings, *, precision: Precision
) -> tuple[float, SentenceTransformer]:
    """Train one pass with our steps; return the seconds and the model."""
    loaded = Encoder.load(MODEL, ModelConfig(device="cpu"), precision=Precision.FP32)
    prepare_model(loaded)
    began = time.perf_counter()
    examples = _examples(pairs, loaded, settings)
    recipe = _recipe(settings, precision)
    plan = plan_steps(examples, batch_size=settings.batch_size, queries_per_document=1, epochs=1, seed=settings.seed)
    objective = Objective((loaded.dimension,), 0.05)
    lazy = make_lazy(loaded.model[0].auto_model)
    step = RankingStep(loaded.model, objective=objective, recipe=recipe, embedding=lazy)
    prepared = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        trainer = PairTrainer(
            model=loaded.model,
            args=_arguments(folder, settings, batch_size=1, steps=len(plan.steps)),
            train_dataset=PlannedSteps(ExampleSource(examples), plan, recipe, pad_id=0, seed=settings.seed),
            loss=step,
        )
        return prepared + _train(trainer), loaded.model


def _examples(pairs: Sequence[tuple[str, str]], encoder: Encoder, settings: Settings) -> Examples:
    documents = [
        Document(str(row), text, parent_id=str(row), duplicate_of=str(row)) for row, (_, text) in enumerate(pairs)
    ]
    queries = [Query(str(row), text) for row, (text, _) in enumerate(pairs)]
    links = [Pair(str(row), str(row)) for row in range(len(pairs))]
    examples = build_examples(documents, queries, links, [], tokenise=encoder.token_ids)
    return examples.cut(max_query_tokens=settings.max_query_tokens, max_document_tokens=settings.max_document_tokens)


def _recipe(settings: Settings, precision: Precision) -> Recipe:
    return Recipe(
        epochs=1,
        batch_size=settings.batch_size,
        queries_per_document=1,
        learning_rate=settings.learning_rate,
        hard_negatives=0,
        max_query_tokens=settings.max_query_tokens,
        max_document_tokens=settings.max_document_tokens,
        mini_batch_tokens=1_000_000,
        precision=precision,
        evaluations=1,
        mask_above=None,
        texts_per_piece=TEXTS_PER_PIECE,
        derived={},
    )


def _arguments(folder: str, settings: Settings, *, batch_size: int, steps: int) -> SentenceTransformerTrainingArguments:
    return SentenceTransformerTrainingArguments(
        output_dir=folder,
        num_train_epochs=1,
        max_steps=steps,
        per_device_train_batch_size=batch_size,
        learning_rate=settings.learning_rate,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=settings.seed,
        dataloader_pin_memory=False,
    )


def _train(trainer: SentenceTransformerTrainer) -> float:
    trainer.remove_callback(PrinterCallback)
    return float(trainer.train().metrics["train_runtime"])


def pairs_at_matrix_limit(pairs: Sequence[tuple[str, str]], settings: Settings, *, precision: Precision) -> float:
    """Pairs per second if a step were nothing but the linear layers' matrix products at their measured speed.

    Counts the products of forward and backward (three per weight) for the padded-free tokens of the sample.
    """
    encoder = Encoder.load(MODEL, ModelConfig(device="cpu"), precision=Precision.FP32)
    examples = _examples(pairs, encoder, settings)
    tokens = int(examples.query_tokens.lengths.sum() + examples.document_tokens.lengths.sum()) / len(pairs)
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    shapes = [(384, 384)] * 4 + [(384, 1536), (1536, 384)]
    rows = 4096
    layers = [(torch.randn(rows, width).to(dtype), torch.randn(out, width).to(dtype)) for width, out in shapes]
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        for inputs, weights in layers:
            outputs = torch.nn.functional.linear(inputs, weights)
            outputs @ weights
            outputs.T @ inputs
        seconds.append(time.perf_counter() - start)
    per_token = 6 * min(seconds) / rows
    return 1 / (per_token * tokens)


def ndcg(model: SentenceTransformer, texts: Texts) -> NDArray[np.float64]:
    """NDCG@10 per held-out query, each with one relevant document."""
    model.eval()
    documents = model.encode(texts.documents, normalize_embeddings=True, batch_size=32)
    queries = model.encode([text for text, _ in texts.test], normalize_embeddings=True, batch_size=32)
    scores = np.asarray(queries) @ np.asarray(documents).T
    own = scores[np.arange(len(texts.test)), [row for _, row in texts.test]]
    ranks = (scores > own[:, None]).sum(axis=1)
    return np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0)


def read_texts(beir: Path | None) -> Texts:
    """Read a BEIR folder, or harvest docstrings into one first."""
    if beir is not None:
        return _read_beir(beir)
    with tempfile.TemporaryDirectory() as folder:
        write_docstring_project(Path(folder), limit=6000)
        return _read_beir(Path(folder))


def _read_beir(folder: Path) -> Texts:
    def first(name: str) -> Path:
        return next(path for path in (folder / name, folder / f"{name}.gz") if path.is_file())

    corpus = {str(row.values["_id"]): f"{row.values.get('title') or ''} {row.values['text']}".strip()
              for row in read_rows(first("corpus.jsonl"))}  # fmt: skip
    queries = {str(row.values["_id"]): str(row.values["text"]) for row in read_rows(first("queries.jsonl"))}
    ids = list(corpus)
    place = {identifier: row for row, identifier in enumerate(ids)}

    def judged(split: str) -> list[tuple[str, str]]:
        rows = read_rows(folder / "qrels" / f"{split}.tsv")
        return [(str(r.values["query-id"]), str(r.values["corpus-id"])) for r in rows if float(r.values["score"]) > 0]

    test = judged("test")[:1000]
    kept = sorted({place[document] for _, document in test} | set(range(min(2000, len(ids)))))
    new_row = {row: position for position, row in enumerate(kept)}
    return Texts(
        train=[(queries[query], corpus[document]) for query, document in judged("train")],
        test=[(queries[query], new_row[place[document]]) for query, document in test],
        documents=[corpus[ids[row]] for row in kept],
    )


if __name__ == "__main__":
    main()
