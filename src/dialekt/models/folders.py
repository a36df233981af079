"""What a sentence-transformers folder says about itself, old layout and new."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialekt.errors import ModelError
from dialekt.models.families import PromptFamily, find_family

SETTINGS_NAME = "config_sentence_transformers.json"
STATIC_MAX_TOKENS = 512  # a static embedding has no limit of its own; 512 is model2vec's default
_FALLBACK_MAX_TOKENS = 512
_NO_LIMIT = 1_000_000  # tokenizers without a limit state a number of some 30 digits
_PADDED_POSITIONS = {
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "mpnet",
    "longformer",
    "data2vec-text",
}
_QUERY_PROMPTS = ("query", "search_query", "retrieval.query", "s2p_query", "web_search_query")
_DOCUMENT_PROMPTS = ("document", "passage", "search_document", "retrieval.passage", "corpus")
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class FolderFields:
    """The parts of an encoding contract that a model folder states, or implies."""

    query_prompt: str
    document_prompt: str
    prompt_source: str
    pooling: str
    max_tokens: int
    dimension: int


@dataclass(frozen=True, slots=True)
class ModulePart:
    """One module of a sentence-transformers pipeline: its class name and its folder."""

    kind: str
    folder: Path


def derive_fields(folder: Path, *, name: str = "") -> FolderFields:
    """Read prompts, pooling, token limit and dimension; raise `ModelError` when the folder does not tell."""
    parts = read_modules(folder)
    config = read_json(parts[0].folder / "config.json") or read_json(folder / "config.json")
    query_prompt, document_prompt = _declared_prompts(folder)
    source = "the model's own" if query_prompt or document_prompt else "none"
    family = find_family([name, str(config.get("_name_or_path", "")), folder.name])
    if source == "none" and family is not None and (family.query_prompt or family.document_prompt):
        query_prompt, document_prompt = family.query_prompt, family.document_prompt
        source = f"known for the {family.name} family"
    return FolderFields(
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        prompt_source=source,
        pooling=_pooling(parts, family),
        max_tokens=_max_tokens(parts[0], config),
        dimension=_dimension(parts, config),
    )


def read_modules(folder: Path) -> tuple[ModulePart, ...]:
    """Return the pipeline's modules; a plain transformers folder is one Transformer."""
    path = folder / "modules.json"
    if not path.is_file():
        return (ModulePart("Transformer", folder),)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        parts = tuple(ModulePart(str(row["type"]).rpartition(".")[2], folder / str(row["path"])) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"is not a list of modules: {error}", path=path, hint="copy the model folder again") from None
    if not parts:
        raise ModelError("lists no module", path=path, hint="copy the model folder again")
    return parts


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object of the model folder, empty when there is no such file."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"is not valid JSON: {error}", path=path, hint="copy the model folder again") from None
    if not isinstance(values, dict):
        raise ModelError("is not a JSON object", path=path, hint="copy the model folder again")
    return values


def position_limit(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens the position embeddings of a transformer reach; None without a limit."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        return None
    return positions - 2 if config.get("model_type") in _PADDED_POSITIONS else positions  # two rows are padding offset


def named_prompts(folder: Path) -> dict[str, str]:
    """Return the prompts that a sentence-transformers folder declares, by name."""
    prompts = read_json(folder / SETTINGS_NAME).get("prompts") or {}
    return {name: prompt for name, prompt in prompts.items() if isinstance(prompt, str)}


def _declared_prompts(folder: Path) -> tuple[str, str]:
    """Return the query and document prompt. Empty ones do not count: the library writes them everywhere."""
    settings, prompts = read_json(folder / SETTINGS_NAME), named_prompts(folder)
    default = prompts.get(settings.get("default_prompt_name") or "", "")
    query = next((prompts[key] for key in _QUERY_PROMPTS if prompts.get(key)), default)
    document = next((prompts[key] for key in _DOCUMENT_PROMPTS if prompts.get(key)), default)
    return query, document


def _pooling(parts: tuple[ModulePart, ...], family: PromptFamily | None) -> str:
    """Return the pooling mode; several are joined by `+`; a folder without a pooling module means the family's."""
    for part in parts:
        if part.kind == "Pooling":
            return "+".join(_pooling_modes(read_json(part.folder / "config.json")))
    is_bare = len(parts) == 1 and parts[0].kind == "Transformer"
    return family.pooling if family and is_bare else "mean"


def _pooling_modes(config: Mapping[str, Any]) -> tuple[str, ...]:
    stated = config.get("pooling_mode")
    if stated:
        return (stated,) if isinstance(stated, str) else tuple(stated)
    return tuple(mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)) or ("mean",)


def _max_tokens(first: ModulePart, config: Mapping[str, Any]) -> int:
    if first.kind == "StaticEmbedding":
        return STATIC_MAX_TOKENS
    stated = [
        read_json(first.folder / "sentence_bert_config.json").get("max_seq_length"),
        read_json(first.folder / "tokenizer_config.json").get("model_max_length"),
    ]
    own = next((int(limit) for limit in stated if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT), None)
    limits = [limit for limit in (own, position_limit(config)) if limit is not None]
    return min(limits, default=_FALLBACK_MAX_TOKENS)


def _dimension(parts: tuple[ModulePart, ...], config: Mapping[str, Any]) -> int:
    for part in reversed(parts):
        own = read_json(part.folder / "config.json")
        match part.kind:
            case "Dense":
                return int(own["out_features"])
            case "Pooling":
                width = own.get("embedding_dimension") or own["word_embedding_dimension"]
                return int(width) * len(_pooling_modes(own))
            case "StaticEmbedding":
                return _static_dimension(part.folder / "model.safetensors")
    for key in ("hidden_size", "dim", "d_model", "n_embd"):
        if isinstance(config.get(key), int):
            return int(config[key])
    raise ModelError(
        "the folder does not say how many dimensions its vectors have",
        path=parts[0].folder,
        hint="load it in sentence-transformers and save it again",
    )


def _static_dimension(path: Path) -> int:
    """Return the second axis of the embedding matrix, from the header of the safetensors file."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, 1 << 24)))
        return int(next(entry["shape"][1] for key, entry in header.items() if key.endswith("embedding.weight")))
    except (OSError, ValueError, KeyError, IndexError, struct.error, StopIteration) as error:
        raise ModelError(
            f"the weights are unreadable: {error}", path=path, hint="copy the model folder again"
        ) from None
