"""A live server with the tiny models, for tests over real HTTP, and a registry with two versions."""

import io
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from dialekt.config import EngineName, LogStyle, ModelConfig, ServingConfig
from dialekt.registry.aliases import promote
from dialekt.serving.access import Keys
from dialekt.serving.app import create_app
from dialekt.serving.index_service import IndexService
from dialekt.serving.journal import Journal
from dialekt.serving.server import Listener, Server, ServerOptions
from dialekt.serving.service import Service, make_service
from dialekt.serving.sources import FolderSource, Source

_START_SECONDS = 60.0
_WIDE = ("value.weight", "attention.output.dense.weight", "classifier.weight")  # or else all words score alike


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers. `log` is what it has logged so far, a quarter of a second late."""

    url: str
    client: httpx.Client
    service: Service
    log: io.BytesIO

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Send a body as JSON; `x_priority="bulk"` is a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, json=body, headers=named)


Serve: TypeAlias = Callable[..., AbstractContextManager[Served]]


def folder_source(name: str, folder: Path) -> FolderSource:
    """A model folder as a source."""
    return FolderSource(name, str(folder), ModelConfig(device="cpu"))


@contextmanager
def serving(
    sources: Sequence[Source],
    cache: Path,
    *,
    keys: Keys | None = None,
    index: Callable[[Service], IndexService] | None = None,
    **settings: Any,
) -> Iterator[Served]:
    """Serve sources on a free port, with the torch engine in fp32 unless the settings say otherwise."""
    config = ServingConfig(**{"engine": EngineName.TORCH, "dtype": "fp32", "cache": cache, "port": 0} | settings)
    log = io.BytesIO()
    journal = Journal(log, LogStyle.JSON)
    service = make_service(config, sources, journal=journal)
    listener = Listener(config.hostname, config.port)
    indexed = index(service) if index else None
    app, options = create_app(service, keys=keys or Keys(), index=indexed), ServerOptions(drain_seconds=0.05)
    server = Server(app, indexed or service, journal, options)
    thread = threading.Thread(target=server.listen, args=(listener,))
    thread.start()
    try:
        _wait_for(indexed or service)
        url = listener.url(tls=False)
        with httpx.Client(base_url=url, timeout=30.0) as client:
            yield Served(url, client, service, log)
    finally:
        server.end()
        thread.join()
        listener.close()
        journal.close()


def _wait_for(service: Service | IndexService) -> None:
    until = time.monotonic() + _START_SECONDS
    while not service.ready:
        assert service.failure is None, service.failure
        assert time.monotonic() < until, "the server did not become ready"
        time.sleep(0.02)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the server."""
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_judge(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny cross-encoder with one label, wide enough that other words make other scores."""
    return _cross_encoder(tiny_model, tmp_path_factory.mktemp("judge") / "model", labels=1)


@pytest.fixture(scope="session")
def tiny_classifier(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny classifier with three labels: LABEL_0, LABEL_1, LABEL_2."""
    return _cross_encoder(tiny_model, tmp_path_factory.mktemp("classifier") / "model", labels=3)


def _cross_encoder(tiny_model: Path, folder: Path, *, labels: int) -> Path:
    import torch
    from sentence_transformers import CrossEncoder

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = CrossEncoder(str(tiny_model), num_labels=labels, device="cpu", max_length=64)
        with torch.no_grad():
            for name, weight in model.model.named_parameters():
                weight.mul_(20.0 if name.endswith(_WIDE) else 1.0)
    model.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def served(
    tiny_model: Path, tiny_judge: Path, tiny_classifier: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """One server for tests that change nothing: `tiny` embeds, `judge` re-ranks, `classes` classifies."""
    sources = [
        folder_source("tiny", tiny_model),
        folder_source("judge", tiny_judge),
        folder_source("classes", tiny_classifier),
    ]
    with serving(sources, tmp_path_factory.mktemp("engines")) as found:
        yield found


@pytest.fixture
def serve(tiny_model: Path, tmp_path: Path) -> Serve:
    """Serve the tiny model with settings of a test's own: `with serve(keys=Keys(...), payload_limit=100) as served`."""

    def start(keys: Keys | None = None, **settings: Any) -> AbstractContextManager[Served]:
        return serving([folder_source("tiny", tiny_model)], tmp_path / "engines", keys=keys, **settings)

    return start


@pytest.fixture
def two_versions(project_copy: Path) -> Path:
    """A registry with v1 and v2, whose vectors differ, v1 promoted."""
    registry = project_copy / "registry"
    shutil.copytree(registry / "models" / "v1", registry / "models" / "v2")
    _make_other(registry / "models" / "v2")
    promote(registry, "v1", minimum_gain=0.0, now="2026-01-01T00:00:00+00:00")
    return registry


def _make_other(folder: Path) -> None:
    """Change a version's weights and its record, so that it is a whole version of its own."""
    from safetensors.numpy import load_file, save_file

    from dialekt.store.manifest import hash_files

    weights = next((folder / "model").rglob("*.safetensors"))
    weights.chmod(0o644)
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    save_file({**tensors, name: tensors[name][::-1].copy()}, weights, metadata={"format": "pt"})
    path = folder / "version.json"
    path.chmod(0o644)
    record = json.loads(path.read_text(encoding="utf-8"))
    record |= {"name": folder.name, "files": hash_files(folder / "model"), "content_id": "0" * 64}
    path.write_text(json.dumps(record), encoding="utf-8")
