"""Bulk embedding: our Encoder, SentenceTransformer.encode and onnxruntime fp32 and int8, side by side in one run.

    python benchmarks/encode_speed.py --seconds 100 --texts 400

The contenders take turns on the same texts (docstrings of the standard library), so a machine that speeds up or slows
down treats all alike. Printed are seconds per round, the ratio of every round to stock, and the cosine to stock's fp32.
"""

import argparse
import importlib
import inspect
import logging
import os
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from dialekt.config import ModelConfig, Precision
from dialekt.models.base import fetch_model
from dialekt.models.encoder import Encoder, budget_batches, normalize
from dialekt.models.loading import load_model
from dialekt.models.machine import describe_machine
from dialekt.types import Role

Vectors = NDArray[np.float32]
Contender = Callable[[list[str]], Vectors]

MODULES = """
    argparse asyncio bisect calendar codecs collections configparser contextlib csv dataclasses datetime decimal
    difflib email.message enum fractions functools gzip heapq http.client imaplib inspect io ipaddress itertools json
    logging mailbox math multiprocessing.pool optparse os pathlib pickle random re shutil smtplib socket sqlite3 ssl
    statistics string subprocess tarfile tempfile textwrap threading time tkinter turtle typing unittest urllib.parse
    uuid xml.dom.minidom zipfile
""".split()  # noqa: SIM905 - a list of fifty quoted names is unreadable


@dataclass
class Measured:
    """Seconds of every round of one contender, and its vectors of the last."""

    seconds: list[float] = field(default_factory=list)
    vectors: Vectors | None = None


def library_docstrings() -> Iterator[str]:
    """Yield the docstrings of the standard library's modules, classes and functions."""
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # tkinter is not everywhere
            continue
        for member in [module, *(item for _, item in inspect.getmembers(module))]:
            yield from (inspect.getdoc(item) or "" for item in [member, *_methods(member)])


def _methods(member: object) -> list[object]:
    return [item for _, item in inspect.getmembers(member, inspect.isroutine)] if inspect.isclass(member) else []


def make_texts(count: int) -> list[str]:
    """Return different docstrings of 40 characters or more, in an order without meaning."""
    texts = sorted({text for text in library_docstrings() if len(text) >= 40})
    random.Random(13).shuffle(texts)
    return texts[:count]


def stock(folder: Path, device: str) -> Contender:
    """SentenceTransformer.encode as its documentation shows it: fp32, batches of 32."""
    model = SentenceTransformer(str(folder), device=device)
    return lambda texts: np.asarray(model.encode(texts, normalize_embeddings=True, show_progress_bar=False))


def ours(name: str, config: ModelConfig, precision: Precision | None) -> tuple[Contender, Encoder]:
    """Our encoder; without a precision in the fastest of this machine."""
    encoder = Encoder.load(name, config, precision=precision)
    return (lambda texts: encoder.encode(texts, Role.DOCUMENT)), encoder


class Exported(torch.nn.Module):
    """A transformer with mean pooling, as a graph of two inputs."""

    def __init__(self, transformer: torch.nn.Module):
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return mean vectors (texts, dimension) of token ids and mask (texts, tokens)."""
        tokens: torch.Tensor = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)  # (texts, tokens, 1)
        return (tokens * mask).sum(1) / mask.sum(1)  # (texts, dimension)


def onnx(name: str, config: ModelConfig, encoder: Encoder) -> dict[str, Contender]:
    """Export to ONNX, as it is and with dynamic int8; tokens and batches are ours, so only the engine differs."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model, _ = load_model(name, config.model_copy(update={"device": "cpu"}))
    folder = Path(tempfile.mkdtemp(prefix="encode-speed-"))
    example = (torch.ones(2, 16, dtype=torch.long), torch.ones(2, 16, dtype=torch.long))
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exported(model[0].model).eval(),
            example,
            str(folder / "fp32.onnx"),
            input_names=["input_ids", "attention_mask"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            dynamo=True,
            verbose=False,
        )
    quantize_dynamic(folder / "fp32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8, per_channel=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    providers = ["CPUExecutionProvider"]
    sessions = {
        kind: onnxruntime.InferenceSession(folder / f"{kind}.onnx", options, providers) for kind in ("fp32", "int8")
    }
    return {f"onnxruntime {kind}": partial(run_session, session, encoder) for kind, session in sessions.items()}


def run_session(session: Any, encoder: Encoder, texts: list[str]) -> Vectors:
    """Encode texts with an ONNX session, longest first, in our batches."""
    token_ids = encoder.token_ids(texts, Role.DOCUMENT)
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    lengths = np.array([len(ids) for ids in token_ids])
    for rows in budget_batches(lengths, 1_024 * torch.get_num_threads()):
        input_ids = np.zeros((len(rows), lengths[rows].max()), dtype=np.int64)
        for line, row in enumerate(rows):
            input_ids[line, : lengths[row]] = token_ids[row]
        mask = (np.arange(input_ids.shape[1]) < lengths[rows, None]).astype(np.int64)
        vectors[rows] = session.run(None, {"input_ids": input_ids, "attention_mask": mask})[0]
    return normalize(vectors)


def compete(contenders: dict[str, Contender], texts: list[str], seconds: float) -> dict[str, Measured]:
    """Let the contenders take turns until the time is up, two rounds at least, after a warm-up each."""
    measured = {name: Measured() for name in contenders}
    for encode in contenders.values():
        encode(texts[:16])
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 2 or time.perf_counter() < end:
        for name, encode in contenders.items():
            start = time.perf_counter()
            measured[name].vectors = encode(texts)
            measured[name].seconds.append(time.perf_counter() - start)
        rounds += 1
    return measured


def matmul_gflops(device: str, dtype: torch.dtype) -> float:
    """Return the best rate of a MiniLM-sized matrix product, the ceiling of any encoder, in GFLOP/s."""
    inputs = torch.randn(4096, 384, device=device).to(dtype)
    weights = torch.randn(1536, 384, device=device).to(dtype)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        torch.nn.functional.linear(inputs, weights).sum().item()
        best = min(best, time.perf_counter() - start)
    return 2 * 4096 * 384 * 1536 / best / 1e9


def print_results(measured: dict[str, Measured], tokens: int) -> None:
    """Print speed, the ratio of every round to stock, and the agreement of the vectors."""
    reference = measured["stock"]
    print(f"{'':18}{'tokens/s':>10}{'median ratio':>14}{'cosine min':>12}{'mean':>9}   ratio of each round")
    for name, found in measured.items():
        ratios = [ours / theirs for ours, theirs in zip(reference.seconds, found.seconds, strict=True)]
        assert found.vectors is not None
        assert reference.vectors is not None
        cosines = (found.vectors * reference.vectors).sum(axis=1)
        speed = tokens / statistics.median(found.seconds)
        pairs = " ".join(f"{ratio:.2f}" for ratio in ratios)
        agreement = f"{cosines.min():12.5f}{cosines.mean():9.5f}"
        print(f"{name:18}{speed:10,.0f}{statistics.median(ratios):14.2f}{agreement}   {pairs}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="our Encoder against SentenceTransformer.encode and onnxruntime int8")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--device", default=None)
    options = parser.parse_args()

    for noisy in ("torch.onnx", "root"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    config = ModelConfig(base=options.model, device=options.device)
    machine = describe_machine(options.device)
    texts = make_texts(options.texts)
    dialekt, encoder = ours(options.model, config, None)
    tokens = encoder.embed(texts, Role.DOCUMENT).tokens
    memory_gib = machine.memory_bytes / 2**30
    print(f"{machine.device_name}, {machine.threads} threads, {memory_gib:.0f} GiB, torch {torch.__version__}")
    rates = {name: matmul_gflops(machine.device, getattr(torch, name)) for name in ("float32", "bfloat16")}
    print("matrix product: " + ", ".join(f"{name} {rate:,.0f} GFLOP/s" for name, rate in rates.items()))
    print(f"{len(texts)} texts, {tokens:,} tokens; dialekt runs in {encoder.precision}")

    contenders = {"stock": stock(fetch_model(options.model), machine.device), "dialekt": dialekt}
    if encoder.precision is not Precision.FP32:
        contenders["dialekt fp32"] = ours(options.model, config, Precision.FP32)[0]
    try:
        contenders |= onnx(options.model, config, encoder)
    except ImportError as error:
        print(f"onnxruntime left out: {error}", file=sys.stderr)
    print_results(compete(contenders, texts, options.seconds), tokens)


if __name__ == "__main__":
    main()
