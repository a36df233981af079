"""An endpoint as an encoder: its vectors are asked for once, its tokens are estimated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dialekt.config import ModelConfig, Precision
from dialekt.errors import ModelError
from dialekt.models.contract import EncodingContract, read_contract
from dialekt.models.endpoint import endpoint_of
from dialekt.models.endpoint_folder import PROBE_TEXTS, drift, endpoint_contract, read_endpoint, read_probes
from dialekt.models.endpoint_key import read_key
from dialekt.models.estimated_tokens import estimated_lengths, estimated_offsets
from dialekt.models.remote import RemoteEncoder
from dialekt.models.text_encoder import Embedded
from dialekt.types import ReportProgress, Role, no_progress


class EndpointEncoder:
    """A model behind an address. Every vector is kept in a file, and asked for once.

    Before the first new text it is asked again for the neutral ones, and no vector is taken from a model that has
    changed since: new vectors beside old ones would find nothing.
    """

    precision = Precision.FP32

    def __init__(self, remote: RemoteEncoder, contract: EncodingContract, probes: NDArray[np.float32]):
        self.remote = remote
        self.contract = contract
        self.probes = probes  # the vectors of `PROBE_TEXTS` (texts, dimension) as they were
        self._is_checked = False

    @classmethod
    def of_base(cls, config: ModelConfig, cache: Path) -> Self:
        """Return the endpoint that is the base model; asks for a few neutral texts where it was never asked before.

        Raises `ConfigError`, `EndpointError`.
        """
        endpoint = endpoint_of(config)
        remote = RemoteEncoder(endpoint, cache, key=read_key(endpoint, config))
        probes = remote.embed_as_sent(PROBE_TEXTS)
        contract = endpoint_contract(endpoint, config, dimension=probes.shape[1])
        return cls(remote, contract, probes)

    @classmethod
    def of_folder(cls, folder: Path, config: ModelConfig, cache: Path) -> Self:
        """Return the endpoint of a folder. Raises `ModelError`, `ConfigError`."""
        endpoint = read_endpoint(folder)
        remote = RemoteEncoder(endpoint, cache, key=read_key(endpoint, config))
        return cls(remote, read_contract(folder), read_probes(folder))

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""
        return self.contract.dimension

    def encode(
        self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress
    ) -> NDArray[np.float32]:
        """Return vectors float32 (texts, dimension), L2-normalised. Raises `EndpointError`."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if not self._is_checked and self.remote.missing(texts, role):
            self._check()
        vectors = self.remote.embed(texts, role, progress=progress)
        if vectors.shape[1] != self.dimension:
            raise self._changed(f"makes vectors of {vectors.shape[1]} dimensions, and made {self.dimension}")
        return vectors

    def embed(self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress) -> Embedded:
        """Return the vectors of texts, and about how many tokens they took."""
        vectors = self.encode(texts, role, progress=progress)
        return Embedded(vectors, sum(estimated_lengths(texts)))

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Return, per text, the characters (start, end) of its tokens, as estimated without the model's tokenizer."""
        return estimated_offsets(texts)

    def _check(self) -> None:
        """Raise `ModelError` where neutral texts have other vectors than they had."""
        if changed := drift(self.probes, self.remote.ask_again(PROBE_TEXTS)):
            raise self._changed(changed)
        self._is_checked = True

    def _changed(self, what: str) -> ModelError:
        endpoint = self.remote.endpoint
        return ModelError(
            f"the model {endpoint.model or endpoint.host!r} behind {endpoint.host} {what}",
            hint=f"tune again on its vectors of today: remove {self.remote.cache}, then dialekt run",
        )
