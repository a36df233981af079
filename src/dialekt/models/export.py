"""A model folder that old and new readers load alike: sentence-transformers, TEI, vLLM, llama.cpp.

Since version 5.4 sentence-transformers writes a layout that TEI 1.9 refuses to start with and that vLLM before
August 2026 pooled wrongly without a word (vllm issue 45995). Every reader of the new layout also reads the old one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize

from dialekt.config import ModelConfig
from dialekt.errors import DialektError, ModelError, StorageError
from dialekt.models.contract import EncodingContract, read_contract, write_contract
from dialekt.models.folders import ModulePart, read_json, read_modules
from dialekt.models.loading import apply_contract, load_model
from dialekt.store.atomic import disk_errors

MIN_COSINE = 0.99999
NEUTRAL_SENTENCES = (
    "The door is open.",
    "How do I reset the clock?",
    "Water boils at one hundred degrees at sea level.",
    "A list of the parts that belong to the machine, with their numbers: 4, 17 and 230-B.",
    "If the light does not turn green within ten seconds, switch the device off, wait for a minute, and try again.",
    "Größe, naïveté, 東京 and 42 % are spelled with letters and signs from several alphabets.",
    "word " * 600,
)
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_SERVER_POOLINGS = {"cls", "mean", "lasttoken"}
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
class ExportFacts:
    """What was exported. `servers_can_load`: one transformer with a pooling that TEI and vLLM know."""

    modules: tuple[str, ...]
    pooling: str
    dimension: int
    matryoshka_dimensions: tuple[int, ...]
    max_tokens: int
    parameters: int
    size_bytes: int
    servers_can_load: bool


@dataclass(frozen=True, slots=True)
class ParityFacts:
    """The worst agreement of two models over texts, roles and Matryoshka dimensions, on vectors of length 1.

    `fault` says why a model could not be loaded or compared; then `passed` is False and the numbers mean nothing.
    """

    texts: int
    min_cosine: float
    max_abs_difference: float
    passed: bool
    fault: str = ""


def export_model(
    model_folder: Path, out: Path, contract: EncodingContract, *, trust_remote_code: bool = False
) -> ExportFacts:
    """Write a trained model in fp32 with its contract, in the layout that old and new readers share.

    Only the model itself is written: no card, no optimiser, no training rows. Raises `ModelError` when the folder is
    no model or does not fit the contract, `StorageError` when the disk is full.
    """
    config = ModelConfig(device="cpu", trust_remote_code=trust_remote_code)
    model, _ = load_model(str(model_folder), config)
    apply_contract(model, contract)
    if contract.normalize and not any(isinstance(module, Normalize) for module in model):
        model.append(Normalize())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    _save(model, out)
    _share_layout(out, contract)
    write_contract(out, contract)
    return _facts(out, contract, parameters=parameters)


def _save(model: SentenceTransformer, out: Path) -> None:
    try:
        with disk_errors(out):
            model.save_pretrained(str(out), create_model_card=False, safe_serialization=True)
    except SafetensorError as error:
        raise StorageError(
            f"the weights cannot be written: {error}", path=out, hint="is the disk full? free some space"
        ) from error


def _share_layout(out: Path, contract: EncodingContract) -> None:
    """Rewrite the configuration files that changed between versions of the readers."""
    for part in read_modules(out):
        match part.kind:
            case "Transformer":
                _share_transformer(part.folder, contract)
            case "Pooling":
                _write_json(
                    part.folder / "config.json", _shared_pooling(read_json(part.folder / "config.json"))
                )
    _share_modules(out)
    _share_prompts(out, contract)


def _share_transformer(folder: Path, contract: EncodingContract) -> None:
    """State the token limit and the Matryoshka dimensions where TEI and vLLM look for them."""
    settings = read_json(folder / "sentence_bert_config.json")
    if settings.get("transformer_task", "feature-extraction") == "feature-extraction":
        settings = {}  # what sentence-transformers assumes without these keys; versions before 5.4 refuse them
    settings |= {"max_seq_length": contract.max_tokens, "do_lower_case": bool(settings.get("do_lower_case"))}
    _write_json(folder / "sentence_bert_config.json", settings)
    config = read_json(folder / "config.json")
    config["matryoshka_dimensions"] = list(contract.matryoshka_dimensions)
    config["is_matryoshka"] = len(contract.matryoshka_dimensions) > 1
    _write_json(folder / "config.json", config)
    _share_tokenizer(folder, contract)


def _share_tokenizer(folder: Path, contract: EncodingContract) -> None:
    """Name the tokenizer's class as transformers 4 does, and leave out how the last batch was cut and padded."""
    path = folder / "tokenizer_config.json"
    settings = read_json(path)
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings["model_max_length"] = contract.max_tokens
    for key in (
        "is_local",
        "local_files_only",
        "max_length",
        "stride",
        "truncation_strategy",
        "pad_to_multiple_of",
    ):
        settings.pop(key, None)
    _write_json(path, settings)
    tokenizer = read_json(folder / "tokenizer.json")
    if not tokenizer:
        raise ModelError(
            "the model has no fast tokenizer, which TEI and vLLM need",
            path=folder / "tokenizer.json",
            hint="convert it with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
        )
    _write_json(folder / "tokenizer.json", tokenizer | {"truncation": None, "padding": None})


def _shared_pooling(config: dict[str, Any]) -> dict[str, Any]:
    """Return a pooling configuration in both spellings, the old flags first.

    `embedding_dimension` is left out: versions before 5.4 refuse a name that they do not know, later ones read
    `word_embedding_dimension`. `include_prompt` is written only when false: readers that look for the first
    true flag would take it for the pooling.
    """
    stated = config["pooling_mode"]
    modes = (stated,) if isinstance(stated, str) else tuple(stated)
    shared: dict[str, Any] = {"word_embedding_dimension": config["embedding_dimension"]}
    shared |= {flag: mode in modes for flag, mode in _POOLING_FLAGS.items()}
    if len(modes) == 1:
        shared["pooling_mode"] = modes[0]
    if not config.get("include_prompt", True):
        shared["include_prompt"] = False
    return shared


def _share_modules(out: Path) -> None:
    """Name the module types as all versions know them: `sentence_transformers.models.Pooling`."""
    rows = json.loads((out / "modules.json").read_text(encoding="utf-8"))
    for row in rows:
        if row["type"].startswith("sentence_transformers."):
            row["type"] = f"sentence_transformers.models.{row['type'].rpartition('.')[2]}"
    _write_json(out / "modules.json", rows)


def _share_prompts(out: Path, contract: EncodingContract) -> None:
    path = out / "config_sentence_transformers.json"
    settings = read_json(path)
    settings["prompts"] = {"query": contract.query_prompt, "document": contract.document_prompt}
    settings["default_prompt_name"] = None
    settings["similarity_fn_name"] = contract.similarity
    _write_json(path, settings)


def _write_json(path: Path, content: object) -> None:
    with disk_errors(path):
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _facts(out: Path, contract: EncodingContract, *, parameters: int) -> ExportFacts:
    parts = read_modules(out)
    kinds = tuple(part.kind for part in parts)
    return ExportFacts(
        modules=kinds,
        pooling=contract.pooling,
        dimension=contract.dimension,
        matryoshka_dimensions=contract.matryoshka_dimensions,
        max_tokens=contract.max_tokens,
        parameters=parameters,
        size_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        servers_can_load=_servers_can_load(parts, contract.pooling),
    )


def _servers_can_load(parts: Sequence[ModulePart], pooling: str) -> bool:
    kinds = [part.kind for part in parts]
    known = kinds[:2] == ["Transformer", "Pooling"] and set(kinds[2:]) <= {"Dense", "Normalize"}
    return known and pooling in _SERVER_POOLINGS


def check_parity(original: Path, exported: Path, *, texts: Sequence[str] = NEUTRAL_SENTENCES) -> ParityFacts:
    """Compare the vectors of a trained model with those a stranger gets from the exported folder alone.

    The original is loaded with the exported folder's contract; the exported one by plain sentence-transformers, with
    the prompts that it declares. Both in fp32, as query and as document, full and cut to each Matryoshka dimension.
    Raises nothing: a folder that does not load is a fault in the facts.
    """
    try:
        contract = read_contract(exported)
        expected = _expected_vectors(original, contract, texts)
        found = _stranger_vectors(exported, texts)
    except (DialektError, *_LOAD_ERRORS) as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        return ParityFacts(len(texts), -1.0, float("inf"), passed=False, fault=first_line)
    if expected.shape != found.shape:
        fault = f"vectors have {found.shape[1]} dimensions, expected {expected.shape[1]}"
        return ParityFacts(len(texts), -1.0, float("inf"), passed=False, fault=fault)
    worst_cosine, largest_difference = 1.0, 0.0
    for dimension in contract.matryoshka_dimensions:
        left, right = _unit(expected[:, :dimension]), _unit(found[:, :dimension])
        worst_cosine = min(worst_cosine, float((left * right).sum(axis=1).min()))
        largest_difference = max(largest_difference, float(np.abs(left - right).max()))
    return ParityFacts(len(texts), worst_cosine, largest_difference, passed=worst_cosine >= MIN_COSINE)


def _expected_vectors(folder: Path, contract: EncodingContract, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the original's vectors, (2 × texts, dimension): first as queries, then as documents."""
    model, _ = load_model(str(folder), ModelConfig(device="cpu"))
    apply_contract(model, contract)
    prompts = (contract.query_prompt, contract.document_prompt)
    return np.concatenate([_encode(model, texts, prompt=prompt) for prompt in prompts])


def _stranger_vectors(folder: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the vectors that plain sentence-transformers makes from a folder, (2 × texts, dimension)."""
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    prompts = (model.prompts["query"], model.prompts["document"])
    return np.concatenate([_encode(model, texts, prompt=prompt) for prompt in prompts])


def _encode(model: SentenceTransformer, texts: Sequence[str], *, prompt: str) -> NDArray[np.float64]:
    vectors = model.encode(list(texts), prompt=prompt, show_progress_bar=False, convert_to_numpy=True)
    return np.asarray(vectors, dtype=np.float64)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(norms, 1e-12)
