"""The encoding contract: how a text becomes a vector, chosen once and stored with the model."""

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.folders import derive_fields
from dialekt.store.atomic import write_atomic
from dialekt.types import Role

CONTRACT_NAME = "dialekt.json"
CONTRACT_FORMAT = 1
DOCUMENT_ENCODER = "document_encoder"
"""The folder, inside a model's own, of the model that encodes its documents where only the query side was tuned."""

SMALLEST_MATRYOSHKA_DIMENSION = 64


@dataclass(frozen=True, slots=True)
class EncodingContract:
    """Everything that query and document encoders must agree on.

    `max_tokens` counts special tokens and prompt; `matryoshka_dimensions` falls and starts with `dimension`.
    `document_model` is the content id of the model that encodes the documents where that is another one, because
    only the query side was tuned; its files then lie in the folder `DOCUMENT_ENCODER`.
    """

    model: str
    query_prompt: str
    document_prompt: str
    pooling: str
    normalize: bool
    similarity: str
    max_tokens: int
    dimension: int
    matryoshka_dimensions: tuple[int, ...]
    document_model: str = ""

    def prompt(self, role: Role) -> str:
        """Return what is put before every text of this role."""
        match role:
            case Role.QUERY:
                return self.query_prompt
            case Role.DOCUMENT:
                return self.document_prompt


def default_matryoshka_dimensions(dimension: int) -> tuple[int, ...]:
    """Return the full dimension, then the powers of two below it down to 64: 384 → 384, 256, 128, 64.

    Powers of two are the widths that vector indexes and processors work in. Below 64 retrieval falls off
    steeply (Kusupati et al. 2022, Matryoshka Representation Learning).
    """
    powers = [1 << bits for bits in range(dimension.bit_length(), 0, -1)]
    return (dimension, *(power for power in powers if SMALLEST_MATRYOSHKA_DIMENSION <= power < dimension))


def read_contract(folder: Path, *, name: str = "") -> EncodingContract:
    """Read a model folder's contract from `dialekt.json`, or derive it from the sentence-transformers files.

    `name` is what the user called the model: it goes into the contract, and tells a family that does not
    declare its prompts. Raises `ModelError`.
    """
    path = folder / CONTRACT_NAME
    if path.is_file():
        return _parse(path)
    fields = derive_fields(folder, name=name)
    return EncodingContract(
        model=name or folder.name,
        query_prompt=fields.query_prompt,
        document_prompt=fields.document_prompt,
        pooling=fields.pooling,
        normalize=True,
        similarity="cosine",
        max_tokens=fields.max_tokens,
        dimension=fields.dimension,
        matryoshka_dimensions=default_matryoshka_dimensions(fields.dimension),
    )


def write_contract(folder: Path, contract: EncodingContract) -> None:
    """Write a contract into a model folder."""
    content = {"format": CONTRACT_FORMAT, **asdict(contract)}
    if not contract.document_model:
        del content["document_model"]
    write_atomic(folder / CONTRACT_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def document_contract(contract: EncodingContract) -> EncodingContract:
    """Return the contract of the model that encodes the documents of a model whose query side alone was tuned."""
    return dataclasses.replace(contract, document_model="")


def apply_config(contract: EncodingContract, config: ModelConfig) -> EncodingContract:
    """Return the contract with the user's settings in place of what the model says.

    Raises `ModelError` for a Matryoshka dimension that the model has not got.
    """
    contract = dataclasses.replace(
        contract,
        query_prompt=contract.query_prompt if config.query_prompt is None else config.query_prompt,
        document_prompt=contract.document_prompt if config.document_prompt is None else config.document_prompt,
        pooling=config.pooling or contract.pooling,
        max_tokens=config.max_tokens or contract.max_tokens,
    )
    if config.matryoshka_dimensions is None:
        return contract
    return dataclasses.replace(
        contract, matryoshka_dimensions=_nested(config.matryoshka_dimensions, contract.dimension)
    )


def _nested(dimensions: tuple[int, ...], full: int) -> tuple[int, ...]:
    if too_large := [dimension for dimension in dimensions if dimension > full]:
        raise ModelError(
            f"model.matryoshka_dimensions: {too_large[0]} is more than the model's {full} dimensions",
            hint=f"use dimensions from 1 to {full}",
        )
    return tuple(sorted({full, *dimensions}, reverse=True))


def _parse(path: Path) -> EncodingContract:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the encoding contract is damaged: {error}", path=path, hint=_REPAIR) from None
    if not isinstance(values, dict) or values.pop("format", None) != CONTRACT_FORMAT:
        raise ModelError(
            f"the encoding contract has not the format {CONTRACT_FORMAT}",
            path=path,
            hint="update dialekt, or " + _REPAIR,
        )
    names = {field.name for field in dataclasses.fields(EncodingContract)}
    if odd := sorted(names ^ {*values, "document_model"}):
        raise ModelError(
            f"the encoding contract has missing or unknown keys: {', '.join(odd)}", path=path, hint=_REPAIR
        )
    return _checked(values, path)


def _checked(values: dict[str, Any], path: Path) -> EncodingContract:
    dimensions = values["matryoshka_dimensions"]
    texts = all(isinstance(values.get(key, ""), str) for key in _TEXTS)
    numbers = all(type(values[key]) is int and values[key] > 0 for key in ("max_tokens", "dimension"))
    lists = isinstance(dimensions, list) and all(type(item) is int and item > 0 for item in dimensions)
    if not (texts and numbers and lists and values["normalize"] is True and values["similarity"] == "cosine"):
        raise ModelError("the encoding contract has a value of the wrong kind", path=path, hint=_REPAIR)
    return EncodingContract(**{**values, "matryoshka_dimensions": _nested(tuple(dimensions), values["dimension"])})


_TEXTS = ("model", "query_prompt", "document_prompt", "pooling", "document_model")
_REPAIR = "remove dialekt.json to derive the contract from the model's own files"
