"""A service for tests without HTTP, and work for it."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dialekt.config import EngineName, LogStyle, ModelConfig, ServingConfig
from dialekt.models.engines.records import ModelInput, ModelKind, TokenizeOptions
from dialekt.serving.journal import Journal
from dialekt.serving.records import Outcome, Priority, Work
from dialekt.serving.service import Service, make_service
from dialekt.serving.sources import FolderSource, Source

CONFIG = ModelConfig(device="cpu")


@asynccontextmanager
async def running(sources: Sequence[Source], tmp_path: Path, **settings: Any) -> AsyncIterator[Service]:
    """A started service whose default model is loaded."""
    config = ServingConfig(engine=EngineName.TORCH, cache=tmp_path / "engines", **settings)
    journal = Journal(io.BytesIO(), LogStyle.JSON)
    service = make_service(config, sources, journal=journal)
    await service.start()
    try:
        async with service.lease(None):
            pass
        yield service
    finally:
        await service.stop()
        journal.close()


def work(*texts: str, **changes: Any) -> Work:
    """Work with some texts."""
    given: dict[str, Any] = {"priority": Priority.QUERY, "deadline_seconds": 5.0, "options": TokenizeOptions()}
    given |= changes
    return Work(inputs=tuple(ModelInput(text) for text in texts), **given)


async def ask(service: Service, reference: str | None, *texts: str) -> tuple[str, Outcome]:
    """Ask a model for vectors; return what answered, and the outcome."""
    async with service.lease(reference, ModelKind.EMBEDDING) as lease:
        with service.admit(len(texts)):
            return lease.reference, await lease.run(work(*texts))


def tiny(folder: Path, name: str = "tiny") -> FolderSource:
    """The tiny model under a name."""
    return FolderSource(name, str(folder), CONFIG)
