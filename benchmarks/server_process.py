"""Servers as processes of their own: started, waited for, and ended, with their log beside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dialekt.errors import DialektError
from dialekt.load.targets import fetch, parse_url

START_SECONDS = 240.0
END_SECONDS = 40.0


class NotStartedError(Exception):
    """A server that did not come up; the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started, and the path that answers 200 once it is ready."""

    words: Sequence[str]
    ready_path: str
    environment: Mapping[str, str]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it without a word, as a machine that loses its power does."""
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dialekt_command(*words: str, port: int) -> Command:
    """Return how `dialekt serve` is started."""
    command = [sys.executable, "-m", "dialekt", "serve", *words, "--port", str(port)]
    return Command(command, "/ready", {})


def start(command: Command, *, port: int, log: Path) -> Server:
    """Start a server and wait until it is ready; raises `NotStartedError`."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **command.environment}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command.words, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=command.folder
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    deadline = time.monotonic() + START_SECONDS
    while not answers(server, command.ready_path):
        if process.poll() is not None or time.monotonic() > deadline:
            stop(server)
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise NotStartedError(" | ".join(line.strip() for line in said[-3:]))
        time.sleep(0.1)
    return server


def answers(server: Server, path: str) -> bool:
    """Tell whether a path answers 200 now."""
    try:
        return fetch(parse_url(server.url), path).status == 200
    except DialektError:
        return False


def stop(server: Server) -> int:
    """Ask a server to end, wait for it, and return its exit code."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
    try:
        return server.process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.process.returncode


@contextmanager
def servers(commands: Mapping[str, tuple[Command, int]], folder: Path) -> Iterator[dict[str, Server]]:
    """Run several servers by name; those that do not start are left out, with their reason on stderr."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:
        for name, (command, port) in commands.items():
            try:
                server = start(command, port=port, log=folder / f"{name.replace(' ', '-')}.log")
            except (NotStartedError, OSError) as error:
                print(f"{name}: left out: {error}", file=sys.stderr)
                continue
            stack.callback(stop, server)
            running[name] = server
        yield running
