"""Every error that Dialekt raises on purpose: message, hint, exit code, HTTP status."""

from pathlib import Path
from typing import Any


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

    def __reduce__(self) -> tuple[Any, ...]:
        """Come out of a pickle as it went in, whatever a subclass is made from: workers send their errors home."""
        return _revive, (type(self), self.args, self.__dict__)


def _revive(kind: type[DialektError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> DialektError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


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
    """An endpoint in the network cannot be reached, refuses, or answers with what cannot be used.

    `upstream_status` is the status that it answered, 502 where it was not reached, 504 where it was too slow.
    """

    status = 502

    def __init__(self, message: str, *, hint: str = "", upstream_status: int = 502):
        super().__init__(message, hint=hint)
        self.upstream_status = upstream_status


class ClusterError(DialektError):
    """The workers of a cluster cannot be had, or failed at their work for a reason that is not ours."""

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


class RequestError(DialektError):
    """A request to the server cannot be answered. `error_type` and `failure` are TEI's words for body and metrics."""

    status = 422
    error_type = "Validation"
    failure = "validation"
    prefix = "Input validation error: "

    def __init__(self, message: str, *, hint: str = "", param: str | None = None, failure: str = ""):
        super().__init__(message, hint=hint)
        self.param = param
        self.failure = failure or type(self).failure


class EmptyInputError(RequestError):
    """A request holds an empty text, or none."""

    status = 400
    error_type = "Empty"


class MalformedRequestError(RequestError):
    """A body that is no JSON, or no body at all."""

    status = 400
    prefix = ""


class TokenizerError(RequestError):
    """A text or token id cannot be tokenised."""

    error_type = "Tokenizer"
    failure = "tokenization"
    prefix = "Tokenization error: "


class BackendError(RequestError):
    """The model cannot do what was asked, or failed at it."""

    status = 424
    error_type = "Backend"
    failure = "inference"
    prefix = "Inference error: "


class OverloadedError(RequestError):
    """A limit was hit; `retry_after_seconds` says when there may be room."""

    status = 429
    error_type = "Overloaded"
    failure = "overloaded"
    prefix = "Model is overloaded: "

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str = ""):
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class DeadlineError(RequestError):
    """A request waited longer than it was willing to."""

    status = 504
    error_type = "Timeout"
    failure = "dropped"
    prefix = ""


class ClientGoneError(RequestError):
    """The client closed the connection before its answer was there; nobody sees this."""

    status = 499
    error_type = "Dropped"
    failure = "dropped"
    prefix = ""


class UnknownModelError(RequestError):
    """A request names a model or version that is not served."""

    status = 404
    error_type = "NotFound"
    prefix = ""


class NoRouteError(RequestError):
    """A request for a path or method that the server has not got."""

    status = 404
    error_type = "NotFound"
    prefix = ""


class NotServedError(RequestError):
    """A request for an index, a release or a document that is not there."""

    status = 404
    error_type = "NotFound"
    prefix = ""


class UnauthorizedError(RequestError):
    """A request without one of the server's keys."""

    status = 401
    error_type = "Unauthorized"
    prefix = ""


class PayloadTooLargeError(RequestError):
    """A body above the limit."""

    status = 413
    failure = "payload"
    prefix = ""


class MediaTypeError(RequestError):
    """A body that does not say that it is JSON, or is compressed."""

    status = 415
    prefix = ""


class UpstreamError(RequestError):
    """The endpoint behind a model failed: 502, or 503 where it is busy, or 504 where it is too slow."""

    error_type = "Upstream"
    failure = "upstream"
    prefix = ""

    def __init__(self, message: str, *, status: int, hint: str = ""):
        super().__init__(message, hint=hint)
        self.status = status


class UnavailableError(RequestError):
    """The server is not ready: still loading, or about to end."""

    status = 503
    error_type = "Unhealthy"
    failure = "unavailable"
    prefix = ""
