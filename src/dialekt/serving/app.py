"""The ASGI application: every route with its handler, CORS, and what no route answers."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dialekt.errors import NoRouteError
from dialekt.serving.access import Keys
from dialekt.serving.answers import refusal
from dialekt.serving.endpoint import Endpoint, Handler
from dialekt.serving.index_service import IndexService
from dialekt.serving.journal import Journal, RequestLine, request_id
from dialekt.serving.operations import OPERATIONS, ErrorShape
from dialekt.serving.routes_documents import delete_documents, patch_documents, show_document, write_documents
from dialekt.serving.routes_index import show_index, take_events
from dialekt.serving.routes_openai import create_embeddings, list_models, show_model
from dialekt.serving.routes_operation import health, info, metrics, ready, root
from dialekt.serving.routes_pages import Pages
from dialekt.serving.routes_scores import predict, rerank
from dialekt.serving.routes_search import search
from dialekt.serving.routes_tei import embed, embed_all, embed_sparse, similarity
from dialekt.serving.routes_tokens import decode, tokenize
from dialekt.serving.service import Service

HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "/embed"): embed,
    ("POST", "/embed_all"): embed_all,
    ("POST", "/embed_sparse"): embed_sparse,
    ("POST", "/similarity"): similarity,
    ("POST", "/rerank"): rerank,
    ("POST", "/predict"): predict,
    ("POST", "/tokenize"): tokenize,
    ("POST", "/decode"): decode,
    ("POST", "/"): root,
    ("POST", "/invocations"): root,
    ("POST", "/v1/embeddings"): create_embeddings,
    ("POST", "/embeddings"): create_embeddings,
    ("GET", "/v1/models"): list_models,
    ("GET", "/v1/models/{model}"): show_model,
    ("POST", "/search"): search,
    ("POST", "/documents"): write_documents,
    ("PATCH", "/documents"): patch_documents,
    ("DELETE", "/documents"): delete_documents,
    ("GET", "/documents/{id}"): show_document,
    ("GET", "/index"): show_index,
    ("POST", "/ubi/events"): take_events,
    ("GET", "/info"): info,
    ("GET", "/health"): health,
    ("GET", "/ping"): health,
    ("GET", "/"): health,
    ("GET", "/ready"): ready,
    ("GET", "/metrics"): metrics,
}
_OPEN_PATH = {  # names of models and ids may hold a slash
    "/v1/models/{model}": "/v1/models/{model:path}",
    "/documents/{id}": "/documents/{id:path}",
}
_REQUEST_HEADERS = ("authorization", "content-type", "x-priority", "x-request-id", "x-timeout-ms")
_ANSWER_HEADERS = (
    "retry-after", "x-compute-tokens", "x-dialekt-model", "x-dialekt-release", "x-dialekt-warning", "x-request-id",
)  # fmt: skip


class CrossOrigin:
    """CORS for requests that come from a page of another origin; all others pass at no cost."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]):
        self._plain = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins or ("*",),
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_ANSWER_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        has_origin = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (self._cors if has_origin else self._plain)(scope, receive, send)


def create_app(service: Service, *, keys: Keys, index: IndexService | None = None) -> ASGIApp:
    """Return the application. Whoever runs it starts and stops the service, or that with its index."""
    pages = Pages(service, needs_key=bool(keys.digests))
    handlers = {**HANDLERS, ("GET", "/docs"): pages.docs, ("GET", "/openapi.json"): pages.openapi}
    routes = [
        Route(
            _OPEN_PATH.get(operation.path, operation.path),
            Endpoint(operation, handlers[operation.method, operation.path], service=service, keys=keys, index=index),
            methods=[operation.method],
        )
        for operation in OPERATIONS
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: NoRoute(service.journal)})
    app.router.redirect_slashes = False
    return CrossOrigin(app, origins=service.config.cors_allow_origins)


class NoRoute:
    """Answers a path or method that no route has, in the words of TEI, or of both protocols under /v1."""

    def __init__(self, journal: Journal):
        self._journal = journal

    async def __call__(self, request: Request, error: Exception) -> Response:
        """Answer and log a request."""
        assert isinstance(error, HTTPException)
        is_known = error.status_code == 405
        found = NoRouteError("the route has another method" if is_known else "there is no such route; see GET /docs")
        found.status = error.status_code
        path = request.url.path
        answer = refusal(found, ErrorShape.OPENAI if path.startswith("/v1/") else ErrorShape.TEI)
        line = RequestLine(request.method, path, answer.status, 0.0, request_id(None), error_type=answer.error_type)
        self._journal.request(line)
        methods = sorted(operation.method for operation in OPERATIONS if operation.path == path)
        headers = {"Allow": ", ".join(methods)} if is_known and methods else dict(error.headers or {})
        return Response(answer.body, answer.status, media_type="application/json", headers=headers)
