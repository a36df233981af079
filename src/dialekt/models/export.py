"""A model folder that old and new readers load alike: sentence-transformers, TEI, vLLM, llama.cpp.

Since version 5.4 sentence-transformers writes a layout with which TEI 1.9 does not start and which vLLM,
until August 2026, pooled wrongly without a word (vllm issue 45995). Readers of the new layout know the old one.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize

from dialekt.config import ModelConfig
from dialekt.errors import ModelError, StorageError
from dialekt.models.adapter_names import is_adapter_folder, is_endpoint_folder
from dialekt.models.contract import (
    DOCUMENT_ENCODER,
    EncodingContract,
    document_contract,
    read_contract,
    write_contract,
)
from dialekt.models.endpoint_folder import read_endpoint
from dialekt.models.folders import SETTINGS_NAME, read_json, read_modules
from dialekt.models.loading import apply_contract, load_model, quiet
from dialekt.store.atomic import disk_errors

_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_SERVER_POOLINGS = {"cls", "mean", "lasttoken"}
_ASSUMED_SETTINGS = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
_CALL_SETTINGS = (  # how the tokenizer was last called: no part of the model, but it would change the content id
    "is_local",
    "local_files_only",
    "max_length",
    "pad_to_multiple_of",
    "stride",
    "truncation_strategy",
)


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What was exported. `servers_can_load`: one transformer with a pooling that TEI and vLLM know.

    `adapter` is the kind of map where the model is one, `endpoint` the address of the model behind which it stands, and
    `moves_documents` says that documents have a map of their own.
    """

    modules: tuple[str, ...]
    pooling: str
    dimension: int
    matryoshka_dimensions: tuple[int, ...]
    max_tokens: int
    parameters: int
    size_bytes: int
    servers_can_load: bool
    adapter: str = ""
    endpoint: str = ""
    moves_documents: bool = False


def export_model(
    model_folder: Path, out: Path, contract: EncodingContract, *, trust_remote_code: bool = False
) -> ExportFacts:
    """Write a trained model in fp32 with its contract, in the layout that old and new readers share.

    Only the model itself is written: no card, no optimiser, no training rows; with the encoder of its documents
    where that is another one. Raises `ModelError` when the folder is no model or does not fit the contract,
    `StorageError` when the disk is full.
    """
    if is_adapter_folder(model_folder):
        return _export_adapter(model_folder, out, contract)
    if contract.document_model:
        of_documents = document_contract(contract)
        source, target = model_folder / DOCUMENT_ENCODER, out / DOCUMENT_ENCODER
        export_model(source, target, of_documents, trust_remote_code=trust_remote_code)
    config = ModelConfig(device="cpu", trust_remote_code=trust_remote_code)
    model, _ = load_model(str(model_folder), config)
    return export_loaded(model, out, contract)


def export_loaded(model: SentenceTransformer, out: Path, contract: EncodingContract) -> ExportFacts:
    """Write a loaded model, without the encoder of its documents; else like `export_model`."""
    apply_contract(model, contract)
    if contract.normalize and not any(isinstance(module, Normalize) for module in model):
        model.append(Normalize())
    _save(model, out)
    _share_layout(out, contract)
    write_contract(out, contract)
    return _facts(out, contract, parameters=sum(weights.numel() for weights in model.parameters()))


def _export_adapter(model_folder: Path, out: Path, contract: EncodingContract) -> ExportFacts:
    """Copy an adapter with the base that it needs, whose own files stay as they are."""
    from dialekt.models.adapter_export import copy_adapter, parameters_of
    from dialekt.models.adapter_folder import read_adapter

    copy_adapter(model_folder, out)
    found = read_adapter(out)
    return ExportFacts(
        modules=("Adapter",),
        pooling=contract.pooling,
        dimension=contract.dimension,
        matryoshka_dimensions=contract.matryoshka_dimensions,
        max_tokens=contract.max_tokens,
        parameters=parameters_of(out),
        size_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        servers_can_load=False,
        moves_documents=is_adapter_folder(out / DOCUMENT_ENCODER),
        adapter=found.vector_map.kind.value,
        endpoint=read_endpoint(found.base).address if is_endpoint_folder(found.base) else "",
    )


def _save(model: SentenceTransformer, out: Path) -> None:
    try:
        with disk_errors(out), quiet():
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
                _share_tokenizer(part.folder, contract)
            case "Pooling":
                path = part.folder / "config.json"
                _write_json(path, _shared_pooling(read_json(path)))
    _share_modules(out)
    _share_prompts(out, contract)


def _share_transformer(folder: Path, contract: EncodingContract) -> None:
    """State the token limit and the Matryoshka dimensions where TEI and vLLM look for them.

    Settings that are assumed anyway are left out: versions before 5.4 refuse names that they do not know.
    Lower-casing was written into the tokenizer when the model was loaded.
    """
    settings = read_json(folder / "sentence_bert_config.json")
    settings = {key: value for key, value in settings.items() if _ASSUMED_SETTINGS.get(key) != value}
    settings |= {"max_seq_length": contract.max_tokens, "do_lower_case": False}
    _write_json(folder / "sentence_bert_config.json", settings)
    config = read_json(folder / "config.json")
    config["matryoshka_dimensions"] = list(contract.matryoshka_dimensions)
    config["is_matryoshka"] = len(contract.matryoshka_dimensions) > 1
    _write_json(folder / "config.json", dict(sorted(config.items())))


def _share_tokenizer(folder: Path, contract: EncodingContract) -> None:
    """Name the tokenizer's class as transformers 4 does; leave out how the last batch was cut and padded."""
    path = folder / "tokenizer_config.json"
    settings = {key: value for key, value in read_json(path).items() if key not in _CALL_SETTINGS}
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    _write_json(path, settings | {"model_max_length": contract.max_tokens})
    tokenizer = read_json(folder / "tokenizer.json")
    if not tokenizer:
        raise ModelError(
            "the model has no fast tokenizer, which TEI and vLLM need",
            path=folder / "tokenizer.json",
            hint="save the base model again with a fast tokenizer of transformers",
        )
    _write_json(folder / "tokenizer.json", tokenizer | {"truncation": None, "padding": None})


def _shared_pooling(config: dict[str, Any]) -> dict[str, Any]:
    """Return a pooling configuration in both spellings, the old flags first.

    `embedding_dimension` is left out: versions before 5.4 refuse a name that they do not know, later ones know
    `word_embedding_dimension` too. `include_prompt` is written only when false: readers that look for the
    first true flag would take it for the pooling.
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
    path = out / SETTINGS_NAME
    settings = read_json(path)
    settings["prompts"] = {"query": contract.query_prompt, "document": contract.document_prompt}
    settings["default_prompt_name"] = None
    settings["similarity_fn_name"] = contract.similarity
    _write_json(path, settings)


def _write_json(path: Path, content: object) -> None:
    with disk_errors(path):
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _facts(out: Path, contract: EncodingContract, *, parameters: int) -> ExportFacts:
    return ExportFacts(
        modules=tuple(part.kind for part in read_modules(out)),
        pooling=contract.pooling,
        dimension=contract.dimension,
        matryoshka_dimensions=contract.matryoshka_dimensions,
        max_tokens=contract.max_tokens,
        parameters=parameters,
        size_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        servers_can_load=servers_can_load(out),
    )


def servers_can_load(folder: Path) -> bool:
    """Whether an exported folder has only modules that TEI and vLLM know: a transformer, one pooling, and heads."""
    if is_adapter_folder(folder):
        return False
    kinds = [part.kind for part in read_modules(folder)]
    known = kinds[:2] == ["Transformer", "Pooling"] and set(kinds[2:]) <= {"Dense", "Normalize"}
    return known and read_contract(folder).pooling in _SERVER_POOLINGS
