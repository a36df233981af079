"""The key of an endpoint: from the environment, for one host."""

import json
import os
from pathlib import Path

from dialekt.config import ModelConfig
from dialekt.errors import ConfigError
from dialekt.models.adapter_names import ENDPOINT_NAME, adapter_base, is_adapter_folder, is_endpoint_folder
from dialekt.models.endpoint import EmbeddingEndpoint, is_endpoint, parse_endpoint


def read_key(endpoint: EmbeddingEndpoint, config: ModelConfig) -> str:
    """Return the key of an endpoint, empty where there is none.

    It goes to the host of `model.base` alone: a model's folder that came from elsewhere names an address, too. Raises
    `ConfigError` where the variable that should hold it is not set.
    """
    variable = config.api_key_variable
    if variable is None or base_host(config.base) != endpoint.host:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"the environment variable {variable} is not set", hint=f"export {variable}=…")
    return key


def base_host(base: str) -> str:
    """Return the host behind a base model: of its address, or of that in the adapter's folder that it is; else none."""
    if is_endpoint(base):
        return parse_endpoint(base).host
    folder = Path(base)
    while is_adapter_folder(folder):
        folder = adapter_base(folder)
    if not is_endpoint_folder(folder):
        return ""
    return parse_endpoint(str(json.loads((folder / ENDPOINT_NAME).read_text(encoding="utf-8"))["address"])).host
