"""The content of the user's files: hashed once, and again only when size or times have changed."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from dialekt.errors import InputError
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_file

# A file changed this recently could change again without a new time stamp, so its hash is not kept.
SETTLED_SECONDS = 2.0


class SourceHashes:
    """Content hashes of source files, remembered in one JSON file between runs."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known = _read_cache(cache)
        self._grown = False

    def of(self, source: Path, *, excluded: Iterable[Path] = ()) -> dict[str, str]:
        """Return the SHA-256 of a file, or of every file below a folder, by relative name.

        Hidden files and whatever lies in `excluded` (the project's own output) are no part of the source.
        Raises `InputError` when there is no such file or folder.
        """
        if source.is_file():
            return {source.name: self._hash(source)}
        if not source.is_dir():
            raise InputError("there is no such file or folder", path=source, hint="check the paths in dialekt.toml")
        outside = {path.resolve() for path in excluded}
        return {path.relative_to(source).as_posix(): self._hash(path) for path in _visible_files(source, outside)}

    def save(self) -> None:
        """Write the cache, if there is anything new to remember."""
        if self._grown:
            write_atomic(self._cache, json.dumps(self._known, indent=0, sort_keys=True))
            self._grown = False

    def _hash(self, path: Path) -> str:
        name = str(path.resolve())
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        known = self._known.get(name)
        if known and known[:3] == stamp:
            return str(known[3])
        digest = hash_file(path)
        if time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS:
            self._known[name] = [*stamp, digest]
            self._grown = True
        return digest


def _read_cache(cache: Path) -> dict[str, list[int | str]]:
    """Read the cache; a missing or damaged one only costs time."""
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in known.items() if len(entry) == 4} if isinstance(known, dict) else {}


def _visible_files(folder: Path, outside: set[Path]) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, followlinks=True):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() not in outside
        )
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and path.resolve() not in outside and path.is_file():
                yield path
