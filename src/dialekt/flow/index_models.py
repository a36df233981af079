"""The models that an index may be made with: the base model and the registry's versions, as encoders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dialekt.config import ModelConfig
from dialekt.errors import ConfigError, ModelError, NotFoundError
from dialekt.flow.project import Project
from dialekt.index.records import Embed, Release
from dialekt.models.contract import EncodingContract
from dialekt.registry.versions import CHAMPION, load_version, resolve
from dialekt.types import ReportProgress, Role, no_progress

if TYPE_CHECKING:
    from dialekt.models.text_encoder import TextEncoder

BASE = "base"


@dataclass(frozen=True, slots=True)
class IndexedModel:
    """A model by its name in the project. `model_id` is the hash of its content, `space` of its documents' vectors."""

    reference: str
    model_id: str
    location: str
    config: ModelConfig
    contract: EncodingContract
    space: str


def find_model(project: Project, name: str | None) -> IndexedModel:
    """Return a model by name: `v3`, `champion`, `latest` or `base`; none means the champion.

    Raises `NotFoundError` that says what to type, `StorageError` for a damaged version.
    """
    from dialekt.models.base import describe_model
    from dialekt.models.contract import read_contract
    from dialekt.models.encoders import contract_of, describe, plain_config
    from dialekt.models.spaces import space_id

    config = project.config.model
    if name == BASE:
        contract = contract_of(config.base, config, cache=project.endpoint_vectors)
        found = describe(config.base, config)
        return IndexedModel(BASE, found, config.base, config, contract, space_id(contract, found))
    version = load_version(project.config.registry.path, _version_name(project, name))
    contract = read_contract(version.model)
    plain = plain_config(config)
    found = describe_model(str(version.model), trust_remote_code=config.trust_remote_code)
    return IndexedModel(version.name, found, str(version.model), plain, contract, space_id(contract, found))


def model_of(project: Project, release: Release, *, space: str) -> IndexedModel:
    """Return the model of a release over vectors of a space.

    Raises `ModelError` when model, prompts or limits are not those that the release was made with.
    """
    found = find_model(project, release.model)
    if (found.model_id, found.space) != (release.model_id, space):
        raise ModelError(
            f"{release.name} was made with another model than the {release.model!r} of today",
            hint="restore that model, or make a new release: dialekt index migrate",
        )
    return found


class Encoders:
    """Loads models when texts are to be encoded, each once."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache  # in which the vectors of endpoints are kept
        self._loaded: dict[str, TextEncoder] = {}

    def embed(self, model: IndexedModel, *, progress: ReportProgress = no_progress) -> Embed:
        """Return a function that encodes with a model; nothing is loaded before it is called."""

        def encode(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
            return self.encoder(model).encode(texts, role, progress=progress)

        return encode

    def encoder(self, model: IndexedModel) -> "TextEncoder":
        """Return a model, loaded."""
        from dialekt.models.encoders import load_encoder

        if model.model_id not in self._loaded:
            self._loaded[model.model_id] = load_encoder(model.location, model.config, cache=self._cache)
        return self._loaded[model.model_id]


def check_first_stage(model: IndexedModel, dimensions: int | None) -> None:
    """Raise `ConfigError` unless a model was trained for vectors of this many dimensions."""
    trained = model.contract.matryoshka_dimensions
    if dimensions is not None and dimensions not in trained:
        known = ", ".join(map(str, trained))
        raise ConfigError(
            f"index.first_stage_dimensions = {dimensions}: {model.reference} was not trained for that",
            hint=f"take one of {known}, or train for it: model.matryoshka_dimensions",
        )


def _version_name(project: Project, name: str | None) -> str:
    registry: Path = project.config.registry.path
    try:
        return resolve(registry, name or CHAMPION)
    except NotFoundError as error:
        raise NotFoundError(
            error.message, hint=f"{error.hint}; or index another: --model latest or --model base"
        ) from None
