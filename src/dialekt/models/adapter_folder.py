"""An adapter as a model folder: a map, and inside it the model or endpoint whose vectors it moves.

    dialekt.json          the encoding contract
    adapter.json          the kind of map, and in which folder its base lies
    adapter.safetensors   the map
    base/                 a model's own files, or an endpoint

A map of queries and another one of documents are two such folders: that of the documents lies in `document_encoder`, as
in every model whose documents are encoded by another one, and both have the base inside it.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from dialekt.config import AdapterKind
from dialekt.errors import ModelError
from dialekt.models.adapter_names import (
    ADAPTER_NAME,
    BASE_FOLDER,
    FORMAT,
    REPAIR,
    WEIGHTS_NAME,
    adapter_base,
    is_adapter_folder,
    read_settings,
)
from dialekt.models.base import describe_model, model_files
from dialekt.models.contract import DOCUMENT_ENCODER, EncodingContract, document_contract, read_contract, write_contract
from dialekt.models.vector_map import VectorMap, load_map, save_map
from dialekt.store.atomic import disk_errors, write_atomic


@dataclass(frozen=True, slots=True, eq=False)
class AdapterFolder:
    """A map, and the folder of the model whose vectors it moves. `share` of the map was mixed with the vectors."""

    vector_map: VectorMap
    base: Path
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What was learnt: the map of queries and that of documents. They may be the same one.

    `documents` None means that documents keep the vectors of the base.
    """

    queries: VectorMap
    documents: VectorMap | None
    share: float


def read_adapter(folder: Path) -> AdapterFolder:
    """Read an adapter. Raises `ModelError` where something of it is missing or damaged."""
    content = read_settings(folder)
    try:
        kind, share = AdapterKind(content["kind"]), float(content["share"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"is no adapter: {error}", path=folder / ADAPTER_NAME, hint=REPAIR) from None
    return AdapterFolder(load_map(folder / WEIGHTS_NAME, kind), adapter_base(folder), share)


def read_maps(folder: Path) -> Maps:
    """Read the maps of both sides from a model's folder. Raises `ModelError`."""
    found = read_adapter(folder)
    if not read_contract(folder).document_model:
        return Maps(found.vector_map, found.vector_map, found.share)
    documents = folder / DOCUMENT_ENCODER
    moved = read_adapter(documents).vector_map if is_adapter_folder(documents) else None
    return Maps(found.vector_map, moved, found.share)


def save_adapter(folder: Path, maps: Maps, contract: EncodingContract, base: Path, *, documents_id: str) -> None:
    """Write what was learnt into a folder, together with its base, a model folder with the contract `contract`.

    `documents_id` is the content id of what encodes the documents where they keep the vectors of the base.
    """
    if maps.documents is maps.queries:
        _copy_base(base, folder / BASE_FOLDER, contract)
        _write(folder, maps.queries, contract, base=BASE_FOLDER, share=maps.share)
        return
    documents = folder / DOCUMENT_ENCODER
    if maps.documents is not None:
        _copy_base(base, documents / BASE_FOLDER, contract)
        _write(documents, maps.documents, contract, base=BASE_FOLDER, share=maps.share)
        own = replace(contract, document_model=describe_model(str(documents)))
        _write(folder, maps.queries, own, base=f"{DOCUMENT_ENCODER}/{BASE_FOLDER}", share=maps.share)
        return
    own = replace(contract, document_model=documents_id)
    of_documents = document_contract(contract)
    if contract.document_model:  # the base's documents are encoded by another model already
        _copy_base(base, folder / BASE_FOLDER, contract)
        _copy_base(base / DOCUMENT_ENCODER, documents, of_documents)
        _write(folder, maps.queries, own, base=BASE_FOLDER, share=maps.share)
        return
    _copy_base(base, documents, of_documents)
    _write(folder, maps.queries, own, base=DOCUMENT_ENCODER, share=maps.share)


def copy_model_folder(source: Path, target: Path) -> None:
    """Copy the files that make a model, without the encoder of its documents, which is a model of its own."""
    with disk_errors(target):
        for file in model_files(source, trust_remote_code=True):
            inside = file.relative_to(source)
            if inside.parts[0] == DOCUMENT_ENCODER and not is_adapter_folder(source):
                continue
            place = target / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def _copy_base(source: Path, target: Path, contract: EncodingContract) -> None:
    copy_model_folder(source, target)
    write_contract(target, contract)


def _write(folder: Path, vector_map: VectorMap, contract: EncodingContract, *, base: str, share: float) -> None:
    content = {"format": FORMAT, "kind": vector_map.kind, "base": base, "share": share}
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    save_map(vector_map, folder / WEIGHTS_NAME)
    write_atomic(folder / ADAPTER_NAME, json.dumps(content, indent=2) + "\n")
    write_contract(folder, contract)
