"""Qdrant's REST routes over its client's local mode: every request is read by Qdrant's own models, then answered.

It is no Qdrant server: it searches exactly and has no graphs and no quantisation. It shows that what an engine sends is
what the routes take.
"""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.models import PointsBatch

DONE = {"operation_id": 0, "status": "completed"}


class QdrantRest:
    """A server on a free port; `asked` is what it was asked for so far: method, path after the collection, body."""

    def __init__(self, *, key: str = "") -> None:
        self._local = QdrantClient(":memory:")
        self._turn = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, key))
        self.asked: list[tuple[str, str, Any]] = []
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return the result of a request. Raises `KeyError` for what is not there."""
        found = re.fullmatch(r"/collections/([^/]+)(.*)", path)
        assert found, path
        collection, rest = found.groups()
        with self._turn:
            self.asked.append((method, rest, body))
            if rest == "/exists":
                return {"exists": self._local.collection_exists(collection)}
            if (method, rest) == ("DELETE", ""):
                return self._local.delete_collection(collection)
            if method != "PUT" and not self._local.collection_exists(collection):
                raise KeyError(collection)
            return ROUTES[method, rest](self._local, collection, body)


def _create(local: QdrantClient, collection: str, body: Any) -> Any:
    wanted = models.CreateCollection.model_validate(body)
    return local.create_collection(collection, vectors_config=wanted.vectors)


def _index(local: QdrantClient, collection: str, body: Any) -> Any:
    del local, collection  # local mode has no indexes
    models.CreateFieldIndex.model_validate(body)
    return DONE


def _upsert(local: QdrantClient, collection: str, body: Any) -> Any:
    local.upsert(collection, PointsBatch.model_validate(body).batch)
    return DONE


def _delete(local: QdrantClient, collection: str, body: Any) -> Any:
    local.delete(collection, models.PointIdsList.model_validate(body))
    return DONE


def _change(local: QdrantClient, collection: str, body: Any) -> Any:
    operations = models.UpdateOperations.model_validate(body).operations
    local.batch_update_points(collection, operations)
    return [DONE] * len(operations)


def _query(local: QdrantClient, collection: str, body: Any) -> Any:
    requests = models.QueryRequestBatch.model_validate(body).searches
    plain = [request.model_copy(update={"params": None}) for request in requests]  # it warns of what it does not know
    return local.query_batch_points(collection, plain)


def _retrieve(local: QdrantClient, collection: str, body: Any) -> Any:
    wanted = models.PointRequest.model_validate(body)
    return local.retrieve(collection, wanted.ids, with_payload=True, with_vectors=wanted.with_vector)


def _scroll(local: QdrantClient, collection: str, body: Any) -> Any:
    wanted = models.ScrollRequest.model_validate(body)
    records, after = local.scroll(
        collection, limit=wanted.limit, offset=wanted.offset, with_payload=True, with_vectors=wanted.with_vector
    )
    return {"points": records, "next_page_offset": after}


ROUTES: dict[tuple[str, str], Callable[[QdrantClient, str, Any], Any]] = {
    ("PUT", ""): _create,
    ("GET", ""): lambda local, collection, _: local.get_collection(collection),
    ("PUT", "/index"): _index,
    ("PUT", "/points"): _upsert,
    ("POST", "/points"): _retrieve,
    ("POST", "/points/delete"): _delete,
    ("POST", "/points/batch"): _change,
    ("POST", "/points/query/batch"): _query,
    ("POST", "/points/scroll"): _scroll,
    ("POST", "/points/count"): lambda local, collection, _: local.count(collection),
}


def _handler(rest: QdrantRest, key: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if key and self.headers.get("api-key") != key:
                self._send(401, {"status": {"error": "Must provide an API key"}})
                return
            try:
                result = rest.answer(self.command, self.path.partition("?")[0], body)
            except KeyError:
                self._send(404, {"status": {"error": "Not found"}})
            else:
                self._send(200, {"result": result, "status": "ok", "time": 0.0})

        def _send(self, status: int, body: Any) -> None:
            content = json.dumps(body, default=lambda model: model.model_dump(mode="json")).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    return Handler
