"""One route: from the first byte of a request to the line in the log.

In order: the length that the body declares, the key, the content type, the body; then the route's handler.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from dialekt.errors import (
    BackendError,
    ClientGoneError,
    DialektError,
    MalformedRequestError,
    RequestError,
    UnauthorizedError,
)
from dialekt.models.engines.records import REMOTE, ModelInput, ModelKind, TokenizeOptions
from dialekt.serving import limits
from dialekt.serving.access import Keys
from dialekt.serving.answers import Answer, compute_headers, refusal
from dialekt.serving.index_service import IndexService
from dialekt.serving.journal import JournalEvent, RequestLine, request_id
from dialekt.serving.operations import ErrorShape, Operation
from dialekt.serving.records import Outcome, Work
from dialekt.serving.service import Lease, Service

Request = TypeVar("Request", bound=BaseModel)
_PROBED = {200, 503}  # what a probe asks for every few seconds; loading, ready and draining are events of the log


@dataclass(frozen=True, eq=False)
class Call:
    """One request as its handler sees it. `started` is of `time.perf_counter`; names of headers are lower case."""

    service: Service
    index: IndexService | None
    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    body: bytes
    started: float

    @property
    def path_parameters(self) -> Mapping[str, str]:
        """The parts of the path that the route leaves open."""
        parameters: Mapping[str, str] = self.scope["path_params"]
        return parameters

    def parse(self, kind: type[Request]) -> Request:
        """Return the body as a record. Raises `MalformedRequestError` for no JSON, `RequestError` for odd values."""
        try:
            return kind.model_validate_json(self.body)
        except ValidationError as error:
            raise odd_body(error, kind) from None

    def work(
        self,
        inputs: Sequence[ModelInput],
        options: TokenizeOptions,
        *,
        is_document: bool = False,
        token_level: bool = False,
    ) -> Work:
        """Return what the engine is to do, with the priority and deadline of the request. Raises `RequestError`."""
        return Work(
            inputs=tuple(inputs),
            options=options,
            priority=limits.priority_of(self.headers, inputs=len(inputs), is_document=is_document),
            deadline_seconds=limits.deadline_seconds(self.headers, most=self.service.config.deadline_seconds),
            token_level=token_level,
        )

    async def compute(self, lease: Lease, work: Work) -> Outcome:
        """Compute a request's inputs, with a permit for each."""
        with self.service.admit(len(work.inputs)):
            return await lease.run(work, self.receive)

    def begin(self, inputs: int, kind: ModelKind) -> None:
        """Count a request that is well-formed."""
        self.service.metrics.request_started(inputs=inputs, kind=kind)

    def answer(self, body: bytes, lease: Lease, work: Work, outcome: Outcome, *, warning: str = "") -> Answer:
        """Count a request that was computed, and return its answer."""
        model, seconds = lease.model, perf_counter() - self.started
        self.service.metrics.request_answered(outcome, kind=model.kind, seconds=seconds)
        characters = limits.count_characters(work.inputs)
        headers = compute_headers(outcome, engine=engine_type(lease), characters=characters, seconds=seconds)
        headers += ((b"x-dialekt-model", lease.reference.encode("ascii", "replace")),)
        if warning:
            headers += ((b"x-dialekt-warning", warning.encode()),)
        return Answer(body, headers=headers, inputs=len(work.inputs), tokens=sum(outcome.tokens), model=lease.reference)


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


class Endpoint:
    """An ASGI application that answers one route."""

    def __init__(
        self, operation: Operation, handler: Handler, *, service: Service, keys: Keys, index: IndexService | None = None
    ):
        self._operation = operation
        self._handler = handler
        self._service = service
        self._index = index
        self._keys = keys if operation.needs_key else Keys()
        self._takes_body = operation.request is not None
        self._is_probe = not operation.needs_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens, and log it."""
        started = perf_counter()
        headers = dict(scope["headers"])
        try:
            answer = await self._answer(scope, receive, headers, started)
        except RequestError as error:
            answer = self._refused(error)
        except DialektError as error:
            answer = self._broken(error)
        except Exception as error:  # noqa: BLE001 - the border: told of without its message, which may hold a text
            self._service.journal.fault(error, where=self._operation.path)
            self._service.metrics.request_failed("inference")
            answer = _internal_error(self._operation.errors)
        identity = request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        if answer.status != ClientGoneError.status:
            await answer.send(send, (b"x-request-id", identity.encode()))
        self._log(scope, answer, identity, seconds=perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], started: float) -> Answer:
        body, most = b"", self._service.config.payload_limit
        if self._takes_body:
            limits.check_length(headers, limit_bytes=most)
        self._keys.check(headers.get(b"authorization"))
        if self._takes_body:
            limits.check_content_type(headers, takes_ndjson=self._operation.takes_ndjson)
            self._service.check_room()
            body = await limits.read_body(receive, limit_bytes=most)
        return await self._handler(Call(self._service, self._index, scope, receive, headers, body, started))

    def _refused(self, error: RequestError) -> Answer:
        if not isinstance(error, UnauthorizedError) and self._takes_body:
            self._service.metrics.request_failed(error.failure)
        return refusal(error, self._operation.errors)

    def _broken(self, error: DialektError) -> Answer:
        """Say little to the client, who does not know the server's folders, and the rest to the log."""
        self._service.journal.note(JournalEvent.WARNING, path=self._operation.path, message=error.message)
        return self._refused(BackendError("the model cannot be used; the server's log says why"))

    def _log(self, scope: Scope, answer: Answer, identity: str, *, seconds: float) -> None:
        if self._is_probe and answer.status in _PROBED:
            return
        self._service.journal.request(
            RequestLine(
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                milliseconds=seconds * 1e3,
                request_id=identity,
                inputs=answer.inputs,
                tokens=answer.tokens,
                model=answer.model,
                error_type=answer.error_type,
            )
        )


def engine_type(lease: Lease) -> str:
    """Return device and engine in TEI's manner: cpu+onnx-int8."""
    engine = lease.model.engine
    where = engine.device if engine.device in {"cpu", REMOTE} else "gpu"
    return f"{where}+{engine.name}"


def odd_body(error: ValidationError, kind: type[BaseModel]) -> RequestError:
    """Say what is wrong with a body without repeating any of it."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        return MalformedRequestError(f"Failed to parse the request body as JSON: {first['msg']}")
    place = ".".join(str(part) for part in first["loc"])
    field = kind.model_fields.get(str(first["loc"][0])) if first["loc"] else None
    if len(faults) > 1 and field is not None and field.description:
        message = f"`{first['loc'][0]}` should be {field.description}"
    else:
        message = f"`{place}`: {first['msg']}" if place else first["msg"]
    error_found = RequestError(f"Failed to deserialize the JSON body: {message}", param=place or None)
    error_found.prefix = ""
    return error_found


def _internal_error(shape: ErrorShape) -> Answer:
    error = RequestError("the server made a mistake; its log says where")
    error.prefix, error.status, error.error_type = "", 500, "Backend"
    return refusal(error, shape)
