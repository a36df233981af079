"""Texts → vectors on the workers of a cluster: each loads the model once, and makes what one machine would make."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dialekt.cluster.connection import Cluster
from dialekt.cluster.mapping import work_on
from dialekt.cluster.records import Division
from dialekt.cluster.sharing import require_shared
from dialekt.config import ModelConfig, Precision
from dialekt.models.vectors import EmbedParts, Part
from dialekt.types import ReportProgress

if TYPE_CHECKING:
    from dialekt.models.encoder import Encoder
    from dialekt.models.text_encoder import Embedded, TextEncoder

CPU = "cpu"


@dataclass(frozen=True, slots=True)
class OpenEncoder:
    """Loads a model in a worker. Batches and number format are those of the process that asks, where it has any."""

    name: str
    config: ModelConfig
    precision: Precision | None = field(default=None, kw_only=True)
    tokens_per_batch: int | None = field(default=None, kw_only=True)

    def __call__(self) -> "Callable[[Part], Embedded]":
        """Return a function that encodes a part. Raises `ModelError`, `ClusterError`."""
        from dialekt.models.encoder import Encoder

        require_shared(Path(self.name))
        encoder = Encoder.load(self.name, self.config, precision=self.precision, tokens_per_batch=self.tokens_per_batch)
        return lambda part: encoder.embed(part.texts, part.role)


def embedder(cluster: Cluster, name: str, config: ModelConfig) -> EmbedParts:
    """Return who encodes parts with the model of this name or folder on the workers of a cluster."""

    def embed(encoder: "TextEncoder", parts: Iterable[Part], _: ReportProgress) -> "Iterator[tuple[int, Embedded]]":
        from dialekt.models.encoder import Encoder

        assert isinstance(encoder, Encoder), "endpoints are asked from here"
        return work_on(cluster, open_encoder(encoder, name, config, cluster.division), parts)

    return embed


def open_encoder(encoder: "Encoder", name: str, config: ModelConfig, division: Division) -> OpenEncoder:
    """Return what loads an encoder's model in a worker so that its vectors are the same.

    Workers with a GPU and an asking process without have nothing to agree on: the workers do as a machine with a GPU.
    """
    device = encoder.model.device.type
    if not division.gpus_per_worker:
        config = config.model_copy(update={"device": config.device or CPU})
    if bool(division.gpus_per_worker) != (device != CPU):
        return OpenEncoder(name, config)
    return OpenEncoder(name, config, precision=encoder.precision, tokens_per_batch=encoder.tokens_per_batch)
