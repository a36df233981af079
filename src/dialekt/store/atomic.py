"""Write whole or not at all: beside the target, flushed to disk, then renamed."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialekt.errors import StorageError

PARTIAL_SUFFIX = ".partial"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translate a full disk, a forbidden folder or a file in a folder's place into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(
                "the disk is full; nothing was changed", path=path, hint="free some space and run the command again"
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise StorageError(
                f"cannot be written: {error.strerror}", path=path, hint="check the folder's owner and permissions"
            ) from error
        if error.errno in {errno.EEXIST, errno.ENOTDIR}:
            raise StorageError(
                "a file is where a folder belongs",
                path=error.filename or path,
                hint="move it, or choose another folder",
            ) from error
        raise


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace a file by new content; a reader sees the old or the new, never a part."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def publish_folder(partial: Path, final: Path) -> None:
    """Rename a finished folder to its final name, replacing a damaged one of that name."""
    with disk_errors(final):
        if final.exists():
            shutil.rmtree(final)
        for file in partial.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        partial.rename(final)
        sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
