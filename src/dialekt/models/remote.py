"""Vectors from an endpoint that are paid for once: kept in a file as soon as they are there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import StorageError
from dialekt.models.endpoint import EmbeddingEndpoint
from dialekt.models.endpoint_client import CONCURRENCY, WORK, EndpointClient, Patience
from dialekt.store.hashing import hash_json
from dialekt.store.sqlite import Database, in_parts, marks
from dialekt.types import Progress, ReportProgress, Role, no_progress

BATCH_TEXTS = 32  # what TEI takes in one request unless it is told otherwise
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"


class RemoteEncoder:
    """Texts → vectors through HTTP. Every vector is kept in a file as soon as it is there, and never asked for twice.

    Whatever stops the asking ends pauses and trying again.
    """

    def __init__(self, endpoint: EmbeddingEndpoint, cache: Path, *, key: str = "", patience: Patience = WORK):
        self.endpoint = endpoint
        self._database = Database(cache, _SCHEMA)
        self._client = EndpointClient(endpoint, key=key, patience=patience)

    def missing(self, texts: Iterable[str], role: Role) -> list[str]:
        """Return the different texts, as they would be sent, whose vectors are not kept yet."""
        keys = self._keys(texts, role)
        known = self._kept(list(keys))
        return [text for key, text in keys.items() if key not in known]

    def embed(self, texts: Sequence[str], role: Role, *, progress: ReportProgress = no_progress) -> NDArray[np.float32]:
        """Return vectors float32 (texts, dimension) of length 1; raise `EndpointError`, with what came before kept."""
        return self.embed_as_sent([self.endpoint.prepare(text, role) for text in texts], progress=progress)

    def embed_as_sent(self, texts: Sequence[str], *, progress: ReportProgress = no_progress) -> NDArray[np.float32]:
        """Return the vectors of texts without putting a prompt before them; else like `embed`."""
        rows = [self._key(text) for text in texts]
        known = self._kept(rows)
        missing = [text for key, text in dict(zip(rows, texts, strict=True)).items() if key not in known]
        done = 0
        for answered in self._ask_all(missing):
            done += answered
            progress(Progress(f"ask {self.endpoint.host}", done, len(missing)))
        kept = {**known, **self._kept([key for key in rows if key not in known])}
        try:
            matrix = np.stack([np.frombuffer(kept[key], dtype="<f4") for key in rows]).astype(np.float32)
        except (KeyError, ValueError) as error:
            raise StorageError(
                "the kept vectors are damaged or of several lengths",
                path=self._database.path,
                hint="did the model behind the address change? remove the file and ask again",
            ) from error
        return matrix

    def ask_again(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors that a few texts have now, whatever was kept of them; nothing is kept."""
        self._client.start()
        return self._client.ask(texts)

    @property
    def cache(self) -> Path:
        """The file in which vectors are kept."""
        return self._database.path

    def close(self) -> None:
        """Let go of connections and file."""
        self._client.close()
        self._database.close()

    def _ask_all(self, texts: Sequence[str]) -> Iterator[int]:
        """Ask a few requests at a time, and yield how many texts each answer was for.

        Whatever stops this, requests under way are waited for and their vectors kept: they are paid. None is repeated.
        """
        self._client.start()
        batches = iter([texts[start : start + BATCH_TEXTS] for start in range(0, len(texts), BATCH_TEXTS)])
        waiting: set[Future[int]] = set()
        with ThreadPoolExecutor(CONCURRENCY) as executor:
            try:
                while True:
                    room = CONCURRENCY - len(waiting)
                    waiting |= {executor.submit(self._ask_and_keep, batch) for batch in islice(batches, room)}
                    if not waiting:
                        return
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._client.stop()
                executor.shutdown(cancel_futures=True)

    def _ask_and_keep(self, texts: Sequence[str]) -> int:
        self._keep(texts, self._client.ask(texts))
        return len(texts)

    def _keys(self, texts: Iterable[str], role: Role) -> dict[str, str]:
        """Return the different texts as they are sent, by key."""
        sent = dict.fromkeys(self.endpoint.prepare(text, role) for text in texts)
        return {self._key(text): text for text in sent}

    def _key(self, text: str) -> str:
        return hash_json([self.endpoint.kind, self.endpoint.url, self.endpoint.model, text])

    def _kept(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        with self._database.reading() as connection:
            for part in in_parts(keys):
                question = f"SELECT key, vector FROM vectors WHERE key IN ({marks(part)})"  # noqa: S608 - only question marks
                found |= {row["key"]: row["vector"] for row in connection.execute(question, part)}
        return found

    def _keep(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        rows = [(self._key(text), vector.astype("<f4").tobytes()) for text, vector in zip(texts, vectors, strict=True)]
        with self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
