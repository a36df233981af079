"""An endpoint as a folder: its address, its encoding contract, and a few vectors that tell when it has changed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dialekt.config import ModelConfig
from dialekt.errors import ModelError, UsageError
from dialekt.models.adapter_names import ENDPOINT_NAME
from dialekt.models.contract import (
    EncodingContract,
    apply_config,
    default_matryoshka_dimensions,
    read_contract,
    write_contract,
)
from dialekt.models.endpoint import EmbeddingEndpoint, max_tokens_of, parse_endpoint
from dialekt.store.atomic import disk_errors, write_atomic

PROBES_NAME = "probes.safetensors"
POOLING = "endpoint"
PROBE_TEXTS = (
    "The door is open.",
    "How do I reset the clock?",
    "Water boils at one hundred degrees at sea level.",
    "Größe, naïveté, 東京 and 42 % are spelled with letters and signs from several alphabets.",
)
"""Neutral texts that every endpoint is asked for: their vectors tell its dimension, and later whether it changed."""

LEAST_COSINE = 0.995
_FORMAT = 1
_REPAIR = "copy the folder again"


def endpoint_contract(endpoint: EmbeddingEndpoint, config: ModelConfig, *, dimension: int) -> EncodingContract:
    """Return the encoding contract of the endpoint that is the base model.

    Raises `ModelError` for a Matryoshka dimension that its vectors have not got.
    """
    plain = EncodingContract(
        model=endpoint.model or endpoint.host,
        query_prompt=endpoint.query_prompt,
        document_prompt=endpoint.document_prompt,
        pooling=POOLING,
        normalize=True,
        similarity="cosine",
        max_tokens=max_tokens_of(endpoint, config),
        dimension=dimension,
        matryoshka_dimensions=default_matryoshka_dimensions(dimension),
    )
    return apply_config(plain, config)


def write_endpoint(
    folder: Path, endpoint: EmbeddingEndpoint, contract: EncodingContract, probes: NDArray[np.float32]
) -> None:
    """Write an endpoint as a folder: never a key. `probes` (texts, dimension) are its vectors of `PROBE_TEXTS`."""
    content = {"format": _FORMAT, "address": endpoint.address, "max_characters": endpoint.max_characters}
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": np.ascontiguousarray(probes, dtype=np.float32)}, folder / PROBES_NAME)
    write_atomic(folder / ENDPOINT_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_contract(folder, contract)


def read_endpoint(folder: Path) -> EmbeddingEndpoint:
    """Return the endpoint of a folder, with the prompts of its contract. Raises `ModelError`."""
    path = folder / ENDPOINT_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = parse_endpoint(str(content["address"]))
        most = content["max_characters"]
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise ModelError(f"is no endpoint of a model: {error}", path=path, hint=_REPAIR) from None
    if content.get("format") != _FORMAT or not (most is None or (type(most) is int and most > 0)):
        raise ModelError(f"has not the format {_FORMAT}", path=path, hint="update dialekt, or " + _REPAIR)
    contract = read_contract(folder)
    return replace(
        found,
        query_prompt=contract.query_prompt,
        document_prompt=contract.document_prompt,
        max_characters=most,
    )


def read_probes(folder: Path) -> NDArray[np.float32]:
    """Return the vectors (texts, dimension) that the endpoint had for `PROBE_TEXTS`. Raises `ModelError`."""
    try:
        found: NDArray[np.float32] = load_file(folder / PROBES_NAME)["vectors"]
    except (OSError, KeyError, SafetensorError) as error:
        raise ModelError(f"the kept vectors are damaged: {error}", path=folder / PROBES_NAME, hint=_REPAIR) from None
    return found


def drift(kept: NDArray[np.float32], found: NDArray[np.float32]) -> str:
    """Say whether an endpoint answers with other vectors than it did; empty where it does not."""
    if kept.shape != found.shape:
        return f"makes vectors of {found.shape[1]} dimensions, and made {kept.shape[1]}"
    cosine = float((kept * found).sum(axis=1).min())
    return f"makes other vectors than it did (cosine {cosine:.3f})" if cosine < LEAST_COSINE else ""
