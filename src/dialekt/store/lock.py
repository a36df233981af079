"""One writer per project at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dialekt.errors import StorageError


@contextmanager
def exclusive(folder: Path, *, timeout_seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder's lock; the operating system releases it when the process dies, however it dies.

    Waits up to `timeout_seconds` for another command to end, then raises `StorageError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout:
        raise StorageError(
            "another dialekt command is at work in this folder",
            path=folder,
            hint="wait for it to end, or stop it; what it finished is kept",
        ) from None
    try:
        yield
    finally:
        lock.release()
