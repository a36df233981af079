"""The command line: one file per command; each imports its room inside the command, so that `--help` is instant."""

from dialekt.cli.entry import main

__all__ = ["main"]
