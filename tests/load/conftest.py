"""A server that answers as it is told, over real HTTP: what a load meets in the wild, at will."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

Answering: TypeAlias = Callable[["Subject", Request], Awaitable[Response]]


@dataclass(slots=True)
class Subject:
    """The server under load: what it has seen so far."""

    url: str = ""
    bodies: list[Any] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


Serve: TypeAlias = Callable[..., AbstractContextManager[Subject]]


async def answer_embed(subject: Subject, request: Request) -> Response:
    """Answer as TEI does."""
    body = orjson.loads(await request.body())
    subject.bodies.append(body)
    subject.keys.add(request.headers.get("authorization", ""))
    texts = body["inputs"] if isinstance(body["inputs"], list) else [body["inputs"]]
    return JSONResponse([[0.5, 0.5] for _ in texts], headers={"x-compute-tokens": str(7 * len(texts))})


async def answer_openai(subject: Subject, request: Request) -> Response:
    """Answer as OpenAI does; tokens are in the usage."""
    body = orjson.loads(await request.body())
    subject.bodies.append(body)
    rows = [{"object": "embedding", "index": 0, "embedding": "AAAA"}]
    return JSONResponse({"data": rows, "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}})


def tei_routes(subject: Subject, embed: Answering) -> list[BaseRoute]:
    """Return a TEI server with metrics that say four texts a batch."""

    async def run(request: Request) -> Response:
        return await embed(subject, request)

    async def metrics(_request: Request) -> Response:
        count = len(subject.bodies)
        sums = f"te_batch_next_size_sum {count}\nte_batch_next_size_count {count / 4}\n"
        return PlainTextResponse(f"# TYPE te_batch_next_size histogram\n{sums}te_batch_next_tokens_sum {count * 7}\n")

    async def told(_request: Request) -> Response:
        return JSONResponse({"model_id": "a-model", "max_batch_tokens": 280})

    return [Route("/info", told), Route("/metrics", metrics), Route("/embed", run, methods=["POST"])]


def openai_routes(subject: Subject, embed: Answering) -> list[BaseRoute]:
    """Return a server that lists its models beside /embeddings, without /v1."""

    async def run(request: Request) -> Response:
        return await embed(subject, request)

    async def models(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "first"}, {"id": "second"}]})

    return [Route("/models", models), Route("/embeddings", run, methods=["POST"])]


@contextmanager
def _serving(routes: Callable[[Subject, Answering], list[BaseRoute]], embed: Answering) -> Iterator[Subject]:
    subject = Subject()
    config = uvicorn.Config(Starlette(routes=routes(subject, embed)), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()
    subject.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve([listener]),))
    thread.start()
    try:
        yield subject
    finally:
        server.should_exit = True
        thread.join()
        loop.close()
        listener.close()


@pytest.fixture
def serve() -> Serve:
    """Serve routes on a free port for the length of a with-block; TEI's unless told otherwise."""

    def run(embed: Answering = answer_embed, *, openai: bool = False) -> AbstractContextManager[Subject]:
        return _serving(openai_routes if openai else tei_routes, embed)

    return run
