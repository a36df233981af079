"""Load a sentence-transformers model so that it does what its encoding contract says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers.utils import logging as transformers_logging

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.base import fetch_model
from dialekt.models.contract import EncodingContract, apply_config, read_contract
from dialekt.models.folders import position_limit
from dialekt.models.machine import choose_device

LOAD_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
)


def load_model(name: str, config: ModelConfig) -> tuple[SentenceTransformer, EncodingContract]:
    """Load a model in fp32 on the configured device, with its contract applied. Raises `ModelError`."""
    folder = fetch_model(name, trust_remote_code=config.trust_remote_code)
    # The contract travels with the model: it names a folder, never the path on this machine.
    known_as = folder.name if Path(name).expanduser().exists() else name
    contract = apply_config(read_contract(folder, name=known_as), config)
    model = _load_folder(folder, config)
    apply_contract(model, contract)
    return model, contract


def apply_contract(model: SentenceTransformer, contract: EncodingContract) -> None:
    """Set token limit, pooling and prompts of a model as its contract says.

    Raises `ModelError` where the model cannot follow.
    """
    limit = position_limit(model.config.to_dict()) if model.config is not None else None
    if limit is not None and contract.max_tokens > limit:
        raise ModelError(
            f"model.max_tokens = {contract.max_tokens} is more than the model's {limit} positions",
            hint=f"set it to {limit} or less",
        )
    if model.config is not None:
        model.max_seq_length = contract.max_tokens
    _set_pooling(model, contract.pooling)
    model.prompts = {"query": contract.query_prompt, "document": contract.document_prompt}
    model.default_prompt_name = None
    dimension = model.get_embedding_dimension()
    if dimension != contract.dimension:
        raise ModelError(
            f"the model makes vectors of {dimension} dimensions, its contract says {contract.dimension}",
            hint="the folder mixes files of two models: copy it again",
        )


def _load_folder(folder: Path, config: ModelConfig) -> SentenceTransformer:
    options: dict[str, Any] = {"use_safetensors": True, "dtype": "float32"}
    try:
        with quiet():
            return SentenceTransformer(
                str(folder),
                device=choose_device(config.device),
                trust_remote_code=config.trust_remote_code,
                local_files_only=not config.trust_remote_code,
                model_kwargs=options,
            )
    except LOAD_ERRORS as error:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"the model cannot be loaded: {first_line}", path=folder, hint=_hint(first_line)) from error


def _hint(message: str) -> str:
    if "trust_remote_code" in message:
        return "the model brings its own code: read it, then set model.trust_remote_code = true"
    return "is the folder complete? copy or download it again"


def _set_pooling(model: SentenceTransformer, pooling: str) -> None:
    wanted = tuple(pooling.split("+"))
    for module in model:
        if isinstance(module, Pooling):
            current = module.pooling_mode
            if (current,) != wanted and tuple(current) != wanted:
                module.pooling_mode = wanted[0] if len(wanted) == 1 else wanted
                module.pooling_output_dimension = len(wanted) * module.embedding_dimension
            return
    if pooling != "mean":
        raise ModelError(
            f"model.pooling = {pooling!r}: the model has no pooling to change",
            hint="leave model.pooling unset",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's progress bars off the screen while weights load; ours is the only one."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
