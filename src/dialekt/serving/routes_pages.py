"""The routes that explain the others: /docs and /openapi.json."""

import asyncio
import re
from functools import cached_property
from importlib.metadata import version
from typing import Any

from dialekt.serving.answers import Answer, to_json
from dialekt.serving.docs_page import docs_page
from dialekt.serving.endpoint import Call
from dialekt.serving.openapi import openapi_document
from dialekt.serving.service import Service

_HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")


class Pages:
    """The document of one server, made when it is first asked for."""

    def __init__(self, service: Service, *, needs_key: bool):
        self._service = service
        self._needs_key = needs_key

    async def openapi(self, _: Call) -> Answer:
        """GET /openapi.json: every route for programs."""
        document = await asyncio.to_thread(lambda: self._document)  # made in 0.3 s, in which others must not wait
        return Answer(to_json(document))

    async def docs(self, call: Call) -> Answer:
        """GET /docs: a page for people, whose examples call the address that it was asked at."""
        host = call.headers.get(b"host", b"")
        config = self._service.config
        at = host.decode() if _HOST.fullmatch(host) else f"{config.hostname}:{config.port}"
        url = f"{call.scope['scheme']}://{at}"
        page = await asyncio.to_thread(lambda: docs_page(self._document, url=url))
        return Answer(page.encode(), media_type=b"text/html; charset=utf-8")

    @cached_property
    def _document(self) -> dict[str, Any]:
        title = f"Dialekt: {self._service.config.served_model_name or self._service.default_name}"
        return openapi_document(title=title, version=version("dialekt"), needs_key=self._needs_key)
