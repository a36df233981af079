"""Files that all machines of a cluster must see under the same name."""

import socket
from pathlib import Path

from dialekt.errors import ClusterError


def require_shared(path: Path) -> None:
    """Raise `ClusterError` where a worker's machine lacks a file or folder; a relative path is a name, not a file."""
    if path.is_absolute() and not path.exists():
        raise ClusterError(
            f"the worker on {socket.gethostname()} does not see {path}",
            hint="put the project, and a model that is a folder, on a filesystem that all machines mount at one path",
        )
