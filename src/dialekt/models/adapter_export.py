"""An adapter as it leaves: copied with its base, folded into an ordinary model, or with a program that applies it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import AdapterKind, ModelConfig
from dialekt.errors import ModelError
from dialekt.models.adapter_folder import AdapterFolder, read_adapter
from dialekt.models.adapter_names import WEIGHTS_NAME, is_adapter_folder, is_endpoint_folder
from dialekt.models.base import describe_model, model_files
from dialekt.models.contract import DOCUMENT_ENCODER, EncodingContract, read_contract
from dialekt.models.loading import load_model
from dialekt.store.atomic import disk_errors, write_atomic

PROGRAM_NAME = "apply.py"
PROBES = 64
"""Vectors by which an adapter and its copy are compared."""

_LINEAR = """    moved = vectors @ weights["matrix"]"""
_MLP = """    inner = np.maximum(vectors @ weights["hidden"] + weights["bias"], 0.0)
    moved = vectors + inner @ weights["output"]"""
_PROGRAM = '''"""Moves vectors of {model} as it was tuned: needs numpy and safetensors, nothing else.

    from apply import apply
    moved = apply(vectors)          # {what}

`vectors` (texts, {dimension}) come from the base model{prompt}; shorter ones are cut afterwards and scaled again.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

weights = load_file(Path(__file__).with_name("{weights}"))


def apply(vectors):
    """Return the vectors, (texts, {dimension}) of length 1."""
    vectors = np.asarray(vectors, dtype=np.float32)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
{body}
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)
'''


def copy_adapter(source: Path, target: Path) -> None:
    """Copy an adapter with its base and the encoder of its documents. Raises `StorageError`."""
    with disk_errors(target):
        for file in model_files(source, trust_remote_code=True):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def worst_cosine(original: Path, copied: Path) -> float:
    """Return the least cosine of vectors moved by an adapter and by its copy, -1 where they have different bases.

    The vectors are drawn at random: a base out of reach is asked for nothing. Raises `ModelError`.
    """
    first, second = read_adapter(original), read_adapter(copied)
    if describe_model(str(first.base)) != describe_model(str(second.base)):
        return -1.0
    drawn = np.random.default_rng(0).normal(size=(PROBES, first.vector_map.dimension)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    left, right = (found.vector_map.apply(drawn).astype(np.float64) for found in (first, second))
    cosines: NDArray[np.float64] = (left * right).sum(axis=1)
    return float(cosines.min())


def parameters_of(folder: Path) -> int:
    """Return how many numbers an adapter has, without its base."""
    return sum(value.size for value in read_adapter(folder).vector_map.weights.values())


def write_programs(folder: Path) -> None:
    """Write the program that applies the map beside its weights, and so for the documents."""
    contract = read_contract(folder)
    if is_adapter_folder(folder):
        write_atomic(folder / PROGRAM_NAME, _program(read_adapter(folder), contract))
    if contract.document_model:
        write_programs(folder / DOCUMENT_ENCODER)


def can_fold(folder: Path) -> bool:
    """Whether an adapter can become a layer of an ordinary model: a matrix behind weights that are here."""
    found = read_adapter(folder)
    return found.vector_map.kind is AdapterKind.LINEAR and not is_endpoint_folder(found.base)


def fold(folder: Path, out: Path, *, trust_remote_code: bool = False) -> None:
    """Write an adapter as an ordinary model with one more dense layer, and so that of its documents.

    Raises `ModelError` for a map that is no matrix, or whose base is out of reach.
    """
    from dialekt.models.export import export_model

    if not can_fold(folder):
        raise ModelError(
            "only a linear adapter behind a model's own weights can become a layer of that model",
            path=folder,
            hint="dialekt serve runs this one; without --for, dialekt export writes a program that applies it",
        )
    contract = read_contract(folder)
    if contract.document_model:
        documents, target = folder / DOCUMENT_ENCODER, out / DOCUMENT_ENCODER
        if is_adapter_folder(documents):
            fold(documents, target, trust_remote_code=trust_remote_code)
        else:
            export_model(documents, target, read_contract(documents), trust_remote_code=trust_remote_code)
        contract = replace(contract, document_model=describe_model(str(target)))
    _write_folded(folder, out, contract, trust_remote_code=trust_remote_code)


def _write_folded(folder: Path, out: Path, contract: EncodingContract, *, trust_remote_code: bool) -> None:
    import torch
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Dense

    from dialekt.models.export import export_loaded

    found = read_adapter(folder)
    model, _ = load_model(str(found.base), ModelConfig(device="cpu", trust_remote_code=trust_remote_code))
    while isinstance(model[-1], Normalize):  # a matrix minds no length: one at the end is enough
        model.pop(-1)
    matrix = torch.from_numpy(found.vector_map.weights["matrix"].T.copy())
    width = contract.dimension
    model.append(Dense(width, width, bias=False, activation_function=torch.nn.Identity(), init_weight=matrix))
    export_loaded(model, out, contract)


def _program(found: AdapterFolder, contract: EncodingContract) -> str:
    prompts = {contract.query_prompt, contract.document_prompt} - {""}
    return _PROGRAM.format(
        model=contract.model,
        what="those of queries; those of documents: document_encoder" if contract.document_model else "of any text",
        dimension=contract.dimension,
        prompt=", with its prompts before the texts" if prompts else "",
        weights=WEIGHTS_NAME,
        body=_LINEAR if found.vector_map.kind is AdapterKind.LINEAR else _MLP,
    )
