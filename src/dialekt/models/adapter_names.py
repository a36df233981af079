"""How the files of an adapter's folder are called; apart, so that looking at a folder loads nothing."""

from pathlib import Path

ADAPTER_NAME = "adapter.json"
WEIGHTS_NAME = "adapter.safetensors"
BASE_FOLDER = "base"
ENDPOINT_NAME = "endpoint.json"


def is_adapter_folder(folder: Path) -> bool:
    """Whether a folder holds a map in place of a model's own weights."""
    return (folder / ADAPTER_NAME).is_file()


def is_endpoint_folder(folder: Path) -> bool:
    """Whether a folder holds an endpoint in place of weights."""
    return (folder / ENDPOINT_NAME).is_file()
