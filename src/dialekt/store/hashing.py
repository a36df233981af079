"""Content hashes: the identity of texts, settings and files."""

import hashlib
import json
from pathlib import Path


def hash_text(text: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of the text: enough for 10⁸ documents without a collision."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def hash_json(value: object) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
