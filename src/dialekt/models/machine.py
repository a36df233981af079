"""What this machine can do: device, precision that is really faster, threads, memory."""

import functools
import os
import time
from dataclasses import dataclass

import torch

from dialekt.config import Precision
from dialekt.errors import ModelError

_ROUNDS = 5
_REQUIRED_SPEEDUP = 1.2  # below this, rounding costs more than it brings


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts of the machine that explain a speed."""

    device: str
    device_name: str
    threads: int
    memory_bytes: int
    precision: Precision


def choose_device(requested: str | None = None) -> str:
    """Return the requested device, or cuda, mps or cpu; raise `ModelError` for one that is not there."""
    if requested is None:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind, _, index = requested.partition(":")
    there = available.get(kind, False) and (kind != "cuda" or not index or int(index) < torch.cuda.device_count())
    if not there:
        known = ", ".join(name for name, present in available.items() if present)
        raise ModelError(
            f"model.device = {requested!r} is not on this machine",
            hint=f"available: {known}; or leave it unset",
        )
    return requested


@functools.cache
def fastest_precision(device: str) -> Precision:
    """Return the number format in which this device multiplies matrices fastest, measured once per process.

    A CPU may claim bf16 and emulate it at half the speed of fp32 (AVX-512 without AVX512_BF16 or AMX), so a
    CPU is measured (about 0.1 s), never asked.
    """
    kind = device.partition(":")[0]
    if kind == "cuda":
        return Precision.BF16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.FP32
    if kind != "cpu":
        return Precision.FP32
    full, half = _matmul_seconds()
    return Precision.BF16 if full > half * _REQUIRED_SPEEDUP else Precision.FP32


def _matmul_seconds() -> tuple[float, float]:
    """Return the best of some interleaved rounds of a MiniLM-sized product, in fp32 and in bf16."""
    inputs = [torch.ones(512, 384, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    weights = [torch.ones(1536, 384, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    best = [float("inf"), float("inf")]
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for side in range(2):
                start = time.perf_counter()
                torch.nn.functional.linear(inputs[side], weights[side])
                best[side] = min(best[side], time.perf_counter() - start)
    return best[0], best[1]


def describe_machine(device: str | None = None) -> Machine:
    """Return the facts of this machine for a device."""
    chosen = choose_device(device)
    return Machine(
        device=chosen,
        device_name=_device_name(chosen),
        threads=torch.get_num_threads(),
        memory_bytes=device_memory_bytes(chosen),
        precision=fastest_precision(chosen),
    )


def device_memory_bytes(device: str) -> int:
    """Return the memory of a device: of the GPU, or of the machine."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device} with {torch.backends.cpu.get_cpu_capability()}"
