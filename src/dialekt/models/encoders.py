"""A model's name → its encoder: a folder or Hub name, the address of an endpoint, an adapter behind either."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialekt.config import ModelConfig
from dialekt.models.adapter_names import is_adapter_folder, is_endpoint_folder
from dialekt.models.base import describe_model, fetch_model
from dialekt.models.contract import EncodingContract, apply_config, read_contract
from dialekt.models.document_encoder import find_document_encoder
from dialekt.models.endpoint import endpoint_of, is_endpoint
from dialekt.models.text_encoder import TextEncoder
from dialekt.store.atomic import PARTIAL_SUFFIX


def load_encoder(name: str, config: ModelConfig, *, cache: Path) -> TextEncoder:
    """Load a model by its name. `cache` is the file in which the vectors of endpoints are kept.

    Raises `ModelError`, `ConfigError`; and `EndpointError` for an endpoint that was never asked and is not reached.
    """
    if is_endpoint(name):
        from dialekt.models.endpoint_encoder import EndpointEncoder

        return EndpointEncoder.of_base(config.model_copy(update={"base": name}), cache)
    return _Loading(config, cache).load(name)


def describe(name: str, config: ModelConfig) -> str:
    """Return the content id of a model for stage keys; of an endpoint its address, as its weights are out of reach."""
    if is_endpoint(name):
        return endpoint_of(config.model_copy(update={"base": name})).identity
    return describe_model(name, trust_remote_code=config.trust_remote_code)


@contextmanager
def base_folder(config: ModelConfig, encoder: TextEncoder, *, beside: Path) -> Iterator[Path]:
    """Give the base model as a folder that can be copied: its own, or for a while one beside another with an endpoint.

    Raises `ModelError`, `StorageError`.
    """
    if not is_endpoint(config.base):
        yield fetch_model(config.base, trust_remote_code=config.trust_remote_code)
        return
    from dialekt.models.endpoint_encoder import EndpointEncoder
    from dialekt.models.endpoint_folder import write_endpoint

    assert isinstance(encoder, EndpointEncoder)
    folder = beside.with_name(f"{beside.name}.endpoint{PARTIAL_SUFFIX}")
    try:
        write_endpoint(folder, encoder.remote.endpoint, encoder.contract, encoder.probes)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def contract_of(name: str, config: ModelConfig, *, cache: Path) -> EncodingContract:
    """Return the encoding contract of a model with the user's settings, without loading weights."""
    if is_endpoint(name):
        return load_encoder(name, config, cache=cache).contract
    folder = fetch_model(name, trust_remote_code=config.trust_remote_code)
    return apply_config(read_contract(folder, name=name), config)


class _Loading:
    """Loads the parts of one model: a base that two maps share, once."""

    def __init__(self, config: ModelConfig, cache: Path):
        self._config = config
        self._cache = cache
        self._loaded: dict[Path, TextEncoder] = {}

    def load(self, name: str) -> TextEncoder:
        """Load a model folder or a name on the Hub."""
        folder = fetch_model(name, trust_remote_code=self._config.trust_remote_code)
        if is_adapter_folder(folder) or is_endpoint_folder(folder):
            return self._inside(folder)
        from dialekt.models.encoder import Encoder

        return Encoder.load(name, self._config)

    def _inside(self, folder: Path) -> TextEncoder:
        """Load a folder whose contract is its own, whatever the settings of today say."""
        folder = folder.resolve()
        if folder not in self._loaded:
            self._loaded[folder] = self._open(folder)
        return self._loaded[folder]

    def _open(self, folder: Path) -> TextEncoder:
        if is_endpoint_folder(folder):
            from dialekt.models.endpoint_encoder import EndpointEncoder

            return EndpointEncoder.of_folder(folder, self._config, self._cache)
        if is_adapter_folder(folder):
            return self._adapted(folder)
        from dialekt.models.encoder import Encoder

        return Encoder.load(str(folder), plain_config(self._config))

    def _adapted(self, folder: Path) -> TextEncoder:
        from dialekt.models.adapted_encoder import AdaptedEncoder
        from dialekt.models.adapter_folder import read_adapter

        found = read_adapter(folder)
        return AdaptedEncoder(
            self._inside(found.base),
            found.vector_map,
            read_contract(folder),
            load_documents=lambda: self._inside(find_document_encoder(str(folder), self._config)),
        )


def plain_config(config: ModelConfig) -> ModelConfig:
    """Return the settings that say where and how a model runs, none that say what it is.

    The address of the base stays, since the key of an endpoint goes nowhere else.
    """
    return ModelConfig(
        base=config.base,
        api_key_variable=config.api_key_variable,
        device=config.device,
        trust_remote_code=config.trust_remote_code,
    )
