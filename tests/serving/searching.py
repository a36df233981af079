"""An index of the tiny model, and a server that searches it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

from tests.serving.conftest import Served, folder_source, serving

from dialekt.config import IndexEngine, ModelConfig, Precision, SearchConfig
from dialekt.index.building import fill
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Embed, EngineSpec, Release
from dialekt.index.switching import go_live
from dialekt.models.base import describe_model
from dialekt.models.encoder import Encoder
from dialekt.models.spaces import space_id
from dialekt.serving.index_service import IndexService
from dialekt.serving.service import Service
from dialekt.serving.sources import RegistrySource, Source
from dialekt.types import Document

NAME = "support"
NOW = "2026-01-01T00:00:00+00:00"
TEXTS = {
    "reset": "reset your password in the account login screen",
    "solar": "solar panel on the roof with battery and inverter",
    "pump": "pump valve pressure leak in the water pipe",
    "refund": "refund of an invoice payment to your bank card",
    "bread": "bake bread with salt and soup with cheese",
}


def documents(texts: dict[str, str] = TEXTS) -> list[Document]:
    """Whole documents, with metadata that can be filtered by."""
    return [
        Document(name, text, title=name, parent_id=name, metadata={"first": name[0], "lang": "en"})
        for name, text in texts.items()
    ]


@cache
def encoder(model: Path) -> Encoder:
    """The tiny model, loaded once."""
    return Encoder.load(str(model), ModelConfig(device="cpu"), precision=Precision.FP32)


def embed_with(model: Path) -> Embed:
    """What makes vectors when an index is built."""
    return lambda texts, role: encoder(model).encode(texts, role)


def make_release(opened: OpenIndex, model: Path, reference: str, *, engine: IndexEngine = IndexEngine.EXACT) -> Release:
    """Fill a new index version with a model's vectors and make a release of it, ready but not live."""
    model_id, contract = describe_model(str(model)), encoder(model).contract
    spec = EngineSpec(engine, contract.dimension)
    version = opened.catalogue.add_version(space_id(contract, model_id), spec, created=NOW)
    fill(opened, version.name, embed_with(model))
    release = opened.catalogue.add_release(version.name, model=reference, model_id=model_id, created=NOW)
    opened.catalogue.set_release_ready(release.name)
    return release


def build_index(folder: Path, model: Path, units: Sequence[Document] = ()) -> Path:
    """Make an index of documents whose first release is live, with the base model."""
    opened = OpenIndex.open(folder, create=True)
    opened.documents.write(units or documents())
    release = make_release(opened, model, "base")
    go_live(opened, release.name, embed_with(model), now=NOW)
    opened.close()
    return folder


def registry(model: Path, folder: Path) -> RegistrySource:
    """A registry in which nothing is registered yet, so that its base model answers."""
    return RegistrySource(NAME, folder, "base", ModelConfig(base=str(model), device="cpu"), lambda: None)


def searching(
    index: Path,
    model: Path,
    *,
    others: Sequence[Source] = (),
    search: SearchConfig | None = None,
    url: str | None = None,
    **settings: Any,
) -> AbstractContextManager[Served]:
    """Serve an index and its model, and perhaps other models beside it; `url` is of the server with the vectors."""

    def open_index(service: Service) -> IndexService:
        return IndexService(OpenIndex.open(index, url=url), service, search or SearchConfig(), model_name=NAME)

    sources = [registry(model, index.parent / "registry"), *others]
    return serving(sources, index.parent / "engines", index=open_index, **settings)


def judge(folder: Path) -> Source:
    """The tiny cross-encoder as `judge`."""
    return folder_source("judge", folder)
