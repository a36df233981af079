"""The routes of documents: POST, PATCH and DELETE /documents, GET /documents/{id}."""

from collections.abc import Callable, Sequence

from dialekt.errors import EmptyInputError, NotServedError, RequestError
from dialekt.index.documents import Written
from dialekt.serving.answers import Answer, json_answer
from dialekt.serving.endpoint import Call
from dialekt.serving.index_service import IndexService
from dialekt.serving.limits import deadline_seconds
from dialekt.serving.routes_search import index_errors, index_of, release_header
from dialekt.serving.wire_search import DeleteRequest, DocumentsRequest, PatchRequest
from dialekt.types import Document

ACCEPTED = 202


async def write_documents(call: Call) -> Answer:
    """POST /documents: whole documents, put in the place of those with their ids."""
    index, request = index_of(call), call.parse(DocumentsRequest)
    _check(index, [document.id for document in request.documents])
    if any(not (document.text.strip() or document.title.strip()) for document in request.documents):
        raise EmptyInputError("`text` and `title` of a document cannot both be empty", param="documents")
    units = [
        Document(document.id, document.text, title=document.title, parent_id=document.id, metadata=document.fields)
        for document in request.documents
    ]
    answer = await _write(call, index, lambda: index.opened.documents.write(units), kind="upsert", items=len(units))
    return _with_warning(answer, index, [unit.content for unit in units])


async def patch_documents(call: Call) -> Answer:
    """PATCH /documents: metadata fields, set and removed; vectors stay."""
    index, request = index_of(call), call.parse(PatchRequest)
    fields = {document.id: document.fields for document in request.documents}
    _check(index, [document.id for document in request.documents])
    known = await _known(call, index, list(fields))
    unknown = [document for document in fields if document not in known]
    change = lambda: index.opened.documents.patch(fields)  # noqa: E731 - it is handed to a thread
    return await _write(call, index, change, kind="patch", items=len(fields), unknown=unknown)


async def delete_documents(call: Call) -> Answer:
    """DELETE /documents: whole documents, with all their chunks."""
    index, request = index_of(call), call.parse(DeleteRequest)
    _check(index, request.ids)
    known = await _known(call, index, request.ids)
    unknown = [document for document in request.ids if document not in known]
    change = lambda: index.opened.documents.write((), deleted=request.ids)  # noqa: E731 - it is handed to a thread
    return await _write(call, index, change, kind="delete", items=len(request.ids), unknown=unknown)


async def show_document(call: Call) -> Answer:
    """GET /documents/{id}: a document as it is now."""
    index, name = index_of(call), call.path_parameters["id"]
    with index_errors(call):
        units = await index.look_up(lambda: index.opened.documents.whole(name))
    if not units:
        raise NotServedError("the index has no such document")
    shown = [{"id": unit.id, "title": unit.title, "text": unit.text, "metadata": dict(unit.metadata)} for unit in units]
    return json_answer({"id": name, "units": shown})


async def _known(call: Call, index: IndexService, ids: Sequence[str]) -> set[str]:
    with index_errors(call):
        return await index.look_up(lambda: index.opened.documents.known(ids))


def _check(index: IndexService, ids: Sequence[str]) -> None:
    """Raise `RequestError` for too many documents, and for one that is there twice."""
    most = index.config.max_documents
    if len(ids) > most:
        raise RequestError(
            f"the request has {len(ids)} documents, and the most is {most}",
            hint="send several requests, or raise search.max_documents",
            failure="batch_size",
        )
    if len(set(ids)) < len(ids):
        raise RequestError("a document is in the request twice", hint="send each id once")


async def _write(
    call: Call,
    index: IndexService,
    change: Callable[[], Written],
    *,
    kind: str,
    items: int,
    unknown: Sequence[str] = (),
) -> Answer:
    """Make a change durable and visible; hold permits meanwhile, so that writers wait when there are too many."""
    held = min(items, max(1, call.service.config.max_concurrent_requests // 2))
    patience = deadline_seconds(call.headers, most=call.service.config.deadline_seconds)
    with call.service.admit(held), index_errors(call):
        landed = await index.write(change, patience_seconds=patience)
    written = landed.written
    call.service.metrics.index.changed(written.changed, kind=kind)
    body = {
        "release": written.live,
        "sequence": written.sequence,
        "changed": written.changed,
        "applied": landed.applied,
        "unknown": unknown,
    }
    answer = json_answer(body, 200 if landed.applied else ACCEPTED)
    headers = (release_header(written.live),) if written.live else ()
    return Answer(answer.body, answer.status, headers=headers, inputs=items)


def _with_warning(answer: Answer, index: IndexService, texts: Sequence[str]) -> Answer:
    """Say how many texts are longer than what the model reads."""
    try:
        encoder = index.current().encoder
    except RequestError:
        return answer
    cut = sum(map(encoder.was_cut, texts))
    if not cut:
        return answer
    said = f"{cut} of {len(texts)} documents reach the model's limit of {encoder.max_tokens} tokens; the rest is not"
    warning = (b"x-dialekt-warning", f"{said} in their vectors".encode())
    return Answer(answer.body, answer.status, headers=(*answer.headers, warning), inputs=answer.inputs)
