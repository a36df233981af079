"""The server that tutorials show: FastAPI, one route, `SentenceTransformer.encode` in the thread pool.

MODEL=all-MiniLM-L6-v2-folder uvicorn --factory benchmarks.plain_server:make_app
"""

import os

from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Texts(BaseModel):
    """The body of a request."""

    inputs: str | list[str]


def make_app() -> FastAPI:
    """Load the model that the environment names and return the application."""
    model = SentenceTransformer(os.environ["MODEL"])

    def health() -> dict[str, str]:
        return {"status": "ok"}

    def embed(texts: Texts) -> list[list[float]]:
        inputs = [texts.inputs] if isinstance(texts.inputs, str) else texts.inputs
        vectors: list[list[float]] = model.encode(inputs, normalize_embeddings=True, show_progress_bar=False).tolist()
        return vectors

    app = FastAPI()
    app.get("/health")(health)
    app.post("/embed")(embed)
    return app
