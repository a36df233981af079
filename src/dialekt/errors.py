"""Every error that Dialekt raises on purpose: message, hint, exit code, HTTP status."""

from pathlib import Path


class DialektError(Exception):
    """What went wrong, where, and what to do next. Shown as two lines, never as a traceback."""

    exit_code = 1
    status = 500

    def __init__(self, message: str, *, hint: str = "", path: Path | str | None = None, line: int | None = None):
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(where + message)
        self.message = where + message
        self.hint = hint
        self.path = None if path is None else Path(path)
        self.line = line


class UsageError(DialektError):
    """A command was called in a way that cannot work."""

    exit_code = 2
    status = 400


class ConfigError(DialektError):
    """A configuration file, environment variable or `--set` value is wrong."""

    status = 422


class InputError(DialektError):
    """The user's documents, queries, judgments or pairs cannot be used as they are."""

    status = 422


class ModelError(DialektError):
    """A model folder or name cannot be loaded or does not satisfy its encoding contract."""

    status = 424


class EndpointError(DialektError):
    """An endpoint in the network cannot be reached, refuses, or answers with what cannot be used."""

    status = 502


class NotFoundError(DialektError):
    """A named version, alias, artefact or document does not exist."""

    status = 404


class StorageError(DialektError):
    """An artefact on disk is missing, damaged, locked, or could not be written."""

    status = 507


class MissingExtraError(DialektError):
    """An optional dependency is not installed."""

    status = 501

    def __init__(self, extra: str, *, needed_for: str):
        super().__init__(
            f"{needed_for} needs the optional dependency set {extra!r}, which is not installed",
            hint=f"pip install 'dialekt[{extra}]'",
        )


class GateError(DialektError):
    """A gate looked at the evidence and said no: a leak, a gain that is not proven, a parity check."""

    exit_code = 3
    status = 409


class LeakError(GateError):
    """Held-out queries or documents reached the training data."""
