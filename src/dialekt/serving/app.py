"""The ASGI application: every route with its handler, CORS, and what no route answers."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dialekt.serving.access import Keys
from dialekt.serving.answers import to_json
from dialekt.serving.endpoint import Endpoint, Handler
from dialekt.serving.operations import OPERATIONS
from dialekt.serving.routes_openai import embeddings, model, models
from dialekt.serving.routes_operation import health, info, metrics, ready, root
from dialekt.serving.routes_pages import Pages
from dialekt.serving.routes_scores import predict, rerank
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
    ("POST", "/v1/embeddings"): embeddings,
    ("POST", "/embeddings"): embeddings,
    ("GET", "/v1/models"): models,
    ("GET", "/v1/models/{model}"): model,
    ("GET", "/info"): info,
    ("GET", "/health"): health,
    ("GET", "/ping"): health,
    ("GET", "/"): health,
    ("GET", "/ready"): ready,
    ("GET", "/metrics"): metrics,
}
_OPEN_PATH = {"/v1/models/{model}": "/v1/models/{model:path}"}  # names of models may hold a slash
_REQUEST_HEADERS = ("authorization", "content-type", "x-priority", "x-request-id", "x-timeout-ms")
_ANSWER_HEADERS = ("retry-after", "x-compute-tokens", "x-dialekt-model", "x-dialekt-warning", "x-request-id")


class CrossOrigin:
    """CORS for requests that come from a page of another origin; all others pass at no cost."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]):
        self._plain = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins or ("*",),
            allow_methods=("GET", "POST"),
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_ANSWER_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        has_origin = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (self._cors if has_origin else self._plain)(scope, receive, send)


def create_app(service: Service, *, keys: Keys) -> ASGIApp:
    """Return the application. Whoever runs it starts and stops the service."""
    pages = Pages(service, needs_key=bool(keys.digests))
    handlers = {**HANDLERS, ("GET", "/docs"): pages.docs, ("GET", "/openapi.json"): pages.openapi}
    routes = [
        Route(
            _OPEN_PATH.get(operation.path, operation.path),
            Endpoint(operation, handlers[operation.method, operation.path], service=service, keys=keys),
            methods=[operation.method],
        )
        for operation in OPERATIONS
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_route})
    app.router.redirect_slashes = False
    return CrossOrigin(app, origins=service.config.cors_allow_origins)


async def _no_route(request: Request, error: Exception) -> Response:
    """Tell of a path or method that no route has, in TEI's and OpenAI's words at once."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        text, allowed = "the route has another method", error.headers
    else:
        text, allowed = "there is no such route; GET /docs shows all", None
    if request.url.path.startswith("/v1/"):
        fault = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
        body = {"error": fault, "message": text, "code": error.status_code, "type": "NotFound"}
    else:
        body = {"error": text, "error_type": "NotFound"}
    return Response(to_json(body), error.status_code, media_type="application/json", headers=dict(allowed or {}))
