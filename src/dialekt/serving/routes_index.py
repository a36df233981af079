"""The routes about the index itself, GET /index, and about what its users did, POST /ubi/events."""

import asyncio
from dataclasses import asdict, replace
from typing import Any

import orjson
from pydantic import ValidationError

from dialekt.errors import MalformedRequestError, RequestError
from dialekt.serving.answers import Answer, json_answer
from dialekt.serving.endpoint import Call, odd_body
from dialekt.serving.index_service import IndexService
from dialekt.serving.limits import is_ndjson
from dialekt.serving.release import ServedRelease
from dialekt.serving.routes_search import index_errors, index_of, release_header
from dialekt.serving.wire_search import UbiEvent


async def show_index(call: Call) -> Answer:
    """GET /index: what this process answers from."""
    index = index_of(call)
    with index_errors(call):
        served = index.current()
        facts = await index.in_thread(lambda: _facts(index, served))
    return replace(json_answer(facts), headers=(release_header(served.name),))


async def take_events(call: Call) -> Answer:
    """POST /ubi/events: one event, a list of them, or one a line."""
    index = index_of(call)
    events = [_event(item, place) for place, item in enumerate(_items(call), start=1)]
    rows = [event.model_dump(exclude_none=True) for event in events]
    with index_errors(call):
        written = await asyncio.to_thread(index.log.write_events, rows)
    answer = replace(json_answer({"written": written}), inputs=len(rows))
    if index.log.is_on:
        return answer
    return replace(answer, headers=((b"x-dialekt-warning", b"search.log is off: nothing is kept"),))


def _facts(index: IndexService, served: ServedRelease) -> dict[str, Any]:
    opened = index.opened
    position, tail = opened.catalogue.version(served.version.name).position, opened.documents.tail()
    history = [asdict(entry) for entry in opened.catalogue.history()]
    return {
        "release": served.name,
        "model": served.queries.target.reference,
        "index": served.version.name,
        "engine": served.version.spec.engine.value,
        "dimension": served.version.spec.dimension,
        "units": opened.documents.count(),
        "position": position,
        "tail": tail,
        "pending": max(0, tail - position),
        "history": [
            {name: entry[name] for name in ("at", "kind", "release", "previous", "reason")} for entry in history
        ],
    }


def _items(call: Call) -> list[Any]:
    """Return the events of a body, which nobody has checked yet."""
    lines = [line for line in call.body.split(b"\n") if line.strip()] if is_ndjson(call.headers) else [call.body]
    try:
        found = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        raise MalformedRequestError("Failed to parse the request body as JSON") from None
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def _event(item: Any, place: int) -> UbiEvent:
    try:
        return UbiEvent.model_validate(item)
    except ValidationError as error:
        fault = odd_body(error, UbiEvent)
        refusal = RequestError(f"event {place}: {fault.message}", hint=fault.hint, param=fault.param)
        refusal.prefix = ""
        raise refusal from None
