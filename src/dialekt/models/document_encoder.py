"""The two encoders of a model whose query side alone was tuned: its folder holds that of the documents, too."""

import shutil
from pathlib import Path

from dialekt.config import ModelConfig
from dialekt.errors import ModelError
from dialekt.models.adapter_names import WEIGHTS_NAME, adapter_base, is_adapter_folder
from dialekt.models.base import fetch_model, model_files
from dialekt.models.contract import (
    DOCUMENT_ENCODER,
    EncodingContract,
    document_contract,
    read_contract,
    write_contract,
)
from dialekt.store.atomic import disk_errors

_INCOMPLETE = "the folder is not whole: copy or download it again"


def find_document_encoder(name: str, config: ModelConfig) -> Path:
    """Return the folder of the model that encodes the documents of a model whose query side alone was tuned.

    Raises `ModelError` where it is missing, or is one of another model.
    """
    folder = fetch_model(name, trust_remote_code=config.trust_remote_code)
    found = folder / DOCUMENT_ENCODER
    if not found.is_dir():
        raise ModelError(
            "the model encodes queries only, and the encoder of its documents is missing", path=found, hint=_INCOMPLETE
        )
    if read_contract(found) != document_contract(read_contract(folder)):
        raise ModelError(
            "the encoder of the documents does not belong to that of the queries", path=found, hint=_INCOMPLETE
        )
    return found


def keep_document_encoder(base: str, config: ModelConfig, contract: EncodingContract, folder: Path) -> None:
    """Copy the model that encodes documents into the folder of one whose query side was tuned from `base`.

    So the folder depends on nothing outside itself: whoever has it can encode new documents. Raises `ModelError`,
    `StorageError`.
    """
    source = fetch_model(base, trust_remote_code=config.trust_remote_code)
    if (source / DOCUMENT_ENCODER).is_dir():  # the base's documents are encoded by another model already
        source = source / DOCUMENT_ENCODER
    target = folder / DOCUMENT_ENCODER
    with disk_errors(target):
        for file in model_files(source, trust_remote_code=config.trust_remote_code):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    write_contract(target, document_contract(contract))


def weights_bytes(folder: Path) -> int:
    """Return the bytes of a model's own weights; the encoder of its documents is loaded apart."""
    if is_adapter_folder(folder):
        return (folder / WEIGHTS_NAME).stat().st_size + weights_bytes(adapter_base(folder))
    own = [path for path in folder.rglob("*.safetensors") if DOCUMENT_ENCODER not in path.relative_to(folder).parts]
    return sum(path.stat().st_size for path in own)
