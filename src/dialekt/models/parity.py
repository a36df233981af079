"""Whether an exported model is still the model that was trained and evaluated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from dialekt.config import ModelConfig
from dialekt.errors import DialektError
from dialekt.models.adapter_names import is_adapter_folder
from dialekt.models.contract import DOCUMENT_ENCODER, EncodingContract, read_contract
from dialekt.models.loading import apply_contract, load_model, quiet

MIN_COSINE = 0.99999
NEUTRAL_SENTENCES = (
    "The door is open.",
    "How do I reset the clock?",
    "Water boils at one hundred degrees at sea level.",
    "A list of the parts that belong to the machine, with their numbers: 4, 17 and 230-B.",
    "If the light does not turn green within ten seconds, switch the device off, wait, and try again.",
    "Größe, naïveté, 東京 and 42 % are spelled with letters and signs from several alphabets.",
    "word " * 600,  # longer than most limits: both models must cut at the same token
)
_LOAD_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    ImportError,
    SafetensorError,
)


@dataclass(frozen=True, slots=True)
class ParityFacts:
    """The worst agreement of two models over texts, roles and Matryoshka dimensions, on vectors of length 1.

    `fault` says why the models could not be compared: then `passed` is False, the cosine -1, the difference 2.
    """

    texts: int
    min_cosine: float
    max_abs_difference: float
    passed: bool
    fault: str = ""


def check_parity(
    original: Path,
    exported: Path,
    *,
    texts: Sequence[str] = NEUTRAL_SENTENCES,
    trust_remote_code: bool = False,
) -> ParityFacts:
    """Compare the vectors of a trained model with those a stranger gets from the exported folder alone.

    The original is loaded with the exported folder's contract, the exported one by plain sentence-transformers
    with the prompts that it declares. Both in fp32, as query and as document, full and cut to each Matryoshka
    dimension; and so the encoders of their documents, where those are others. Raises nothing: a folder that does not
    load is a fault in the facts.
    """
    if is_adapter_folder(exported):
        return _check_adapters(original, exported)
    found = _check_folders(original, exported, texts, trust_remote_code=trust_remote_code)
    if found.fault or not read_contract(exported).document_model:
        return found
    folders = (original / DOCUMENT_ENCODER, exported / DOCUMENT_ENCODER)
    of_documents = _check_folders(*folders, texts, trust_remote_code=trust_remote_code)
    return min(found, of_documents, key=lambda facts: facts.min_cosine)


def _check_adapters(original: Path, exported: Path) -> ParityFacts:
    """Compare what two adapters make of the same vectors; their bases are the same files."""
    from dialekt.models.adapter_export import PROBES, worst_cosine

    try:
        cosine = worst_cosine(original, exported)
        if read_contract(exported).document_model and is_adapter_folder(exported / DOCUMENT_ENCODER):
            cosine = min(cosine, worst_cosine(original / DOCUMENT_ENCODER, exported / DOCUMENT_ENCODER))
    except DialektError as error:
        return replace(_no_parity((), fault=error.message), texts=PROBES)
    difference = math.sqrt(max(0.0, 2 - 2 * cosine))
    return ParityFacts(PROBES, min(cosine, 1.0), difference, passed=cosine >= MIN_COSINE)


def _check_folders(original: Path, exported: Path, texts: Sequence[str], *, trust_remote_code: bool) -> ParityFacts:
    config = ModelConfig(device="cpu", trust_remote_code=trust_remote_code)
    try:
        contract = read_contract(exported)
        expected = _expected_vectors(original, contract, texts, config=config)
        found = _stranger_vectors(exported, texts, config=config)
    except (DialektError, *_LOAD_ERRORS) as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        return _no_parity(texts, fault=first_line)
    if expected.shape != found.shape:
        fault = f"its vectors have {found.shape[1]} dimensions, expected {expected.shape[1]}"
        return _no_parity(texts, fault=fault)
    return _compare(expected, found, dimensions=contract.matryoshka_dimensions)


def _no_parity(texts: Sequence[str], *, fault: str) -> ParityFacts:
    return ParityFacts(len(texts), min_cosine=-1.0, max_abs_difference=2.0, passed=False, fault=fault)


def _compare(expected: NDArray[np.float32], found: NDArray[np.float32], *, dimensions: Sequence[int]) -> ParityFacts:
    """Compare two sets of vectors, each (2 * texts, dimension); NaN anywhere is a failure."""
    min_cosine, max_abs_difference = 1.0, 0.0
    for dimension in dimensions:
        left, right = _unit(expected[:, :dimension]), _unit(found[:, :dimension])
        min_cosine = float(np.minimum(min_cosine, (left * right).sum(axis=1).min()))
        max_abs_difference = float(np.maximum(max_abs_difference, np.abs(left - right).max()))
    texts = len(expected) // 2
    if np.isnan(min_cosine):
        return ParityFacts(texts, min_cosine=-1.0, max_abs_difference=2.0, passed=False, fault="a vector is NaN")
    return ParityFacts(texts, min_cosine, max_abs_difference, passed=min_cosine >= MIN_COSINE)


def _expected_vectors(
    folder: Path, contract: EncodingContract, texts: Sequence[str], *, config: ModelConfig
) -> NDArray[np.float32]:
    """Return the original's vectors, (2 * texts, dimension): first as queries, then as documents."""
    model, _ = load_model(str(folder), config)
    apply_contract(model, contract)
    prompts = (contract.query_prompt, contract.document_prompt)
    return np.concatenate([_encode(model, texts, prompt=prompt) for prompt in prompts])


def _stranger_vectors(folder: Path, texts: Sequence[str], *, config: ModelConfig) -> NDArray[np.float32]:
    """Return the vectors that plain sentence-transformers makes from a folder, (2 * texts, dimension)."""
    trusted = config.trust_remote_code
    with quiet():
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=trusted)
    prompts = (model.prompts["query"] or "", model.prompts["document"] or "")
    return np.concatenate([_encode(model, texts, prompt=prompt) for prompt in prompts])


def _encode(model: SentenceTransformer, texts: Sequence[str], *, prompt: str) -> NDArray[np.float32]:
    vectors = model.encode(list(texts), prompt=prompt, show_progress_bar=False, convert_to_numpy=True)
    return np.asarray(vectors, dtype=np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors scaled to length 1, in double precision: the cosine is to be exact to 1e-5."""
    double = vectors.astype(np.float64)
    unit: NDArray[np.float64] = double / np.maximum(np.linalg.norm(double, axis=1, keepdims=True), 1e-12)
    return unit
