"""Where words go: results to stdout, progress and messages to stderr, or one JSON object to stdout."""

import io
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Screen:
    """What a command writes to. `messages` is silent with --quiet, `results` with --json."""

    command: str
    results: "Console"
    messages: "Console"
    as_json: bool
    quiet: bool

    def finish(self, facts: Mapping[str, Any]) -> None:
        """End a command: with --json, write its facts as the one object on stdout."""
        if not self.as_json:
            return
        answer = {"schema": f"dialekt.{self.command}/1", **facts}
        plain = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")  # JSON can say all letters in ASCII
        sys.stdout.write(json.dumps(answer, ensure_ascii=plain, allow_nan=False, default=str) + "\n")
        sys.stdout.flush()


def open_screen(command: str, *, as_json: bool, quiet: bool) -> Screen:
    """Set up the two consoles of a command."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a letter is no fault of the query

    class PipedConsole(Console):
        """A console that tells a reader who left from an error; rich itself would exit with 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Screen(
        command,
        results=PipedConsole(file=sys.stdout, highlight=False, quiet=as_json),
        messages=Console(file=sys.stderr, highlight=False, quiet=quiet),
        as_json=as_json,
        quiet=quiet,
    )
