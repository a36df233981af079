"""How the files of an adapter's folder are called, and what its small file says; apart, so that nothing is loaded."""

import json
from pathlib import Path
from typing import Any

from dialekt.errors import ModelError

ADAPTER_NAME = "adapter.json"
WEIGHTS_NAME = "adapter.safetensors"
BASE_FOLDER = "base"
ENDPOINT_NAME = "endpoint.json"
FORMAT = 1
REPAIR = "copy the folder again"


def is_adapter_folder(folder: Path) -> bool:
    """Whether a folder holds a map in place of a model's own weights."""
    return (folder / ADAPTER_NAME).is_file()


def is_endpoint_folder(folder: Path) -> bool:
    """Whether a folder holds an endpoint in place of weights."""
    return (folder / ENDPOINT_NAME).is_file()


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what `adapter.json` says. Raises `ModelError`."""
    path = folder / ADAPTER_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = content["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"is no adapter: {error}", path=path, hint=REPAIR) from None
    if found != FORMAT:
        raise ModelError(f"has not the format {FORMAT}", path=path, hint="update dialekt, or " + REPAIR)
    return content


def adapter_base(folder: Path) -> Path:
    """Return the folder, inside an adapter's, of the model whose vectors it moves. Raises `ModelError`."""
    base = str(read_settings(folder).get("base", ""))
    inside = (folder / base).resolve()
    if not base or not inside.is_relative_to(folder.resolve()) or not inside.is_dir():
        raise ModelError(f"its base {base!r} is not in the folder", path=folder / ADAPTER_NAME, hint=REPAIR)
    return folder / base
