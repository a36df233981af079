"""What an index version lacks, embedded by the workers of a cluster before it is filled.

The chunks are those that filling will ask for, so that the vectors are what one process would make. Each lies in a file
of its own until the version is whole: whatever is killed, its chunks are not made again.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.flow.index_models import IndexedModel
from dialekt.flow.indexing import IndexWorks
from dialekt.index.building import Known, chunks, compare, new_contents
from dialekt.index.records import Embed, IndexVersion
from dialekt.models.vectors import Part, is_whole, write_vectors
from dialekt.store.hashing import hash_json
from dialekt.types import Progress, Role

FOLDER_NAME = "ahead"


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The chunks that are embedded already, by what is in them."""

    folder: Path
    dimension: int

    def path(self, texts: Sequence[str]) -> Path:
        return self.folder / f"{hash_json(list(texts))}.npy"

    def has(self, texts: Sequence[str]) -> bool:
        return is_whole(self.path(texts), (len(texts), self.dimension))


@contextmanager
def embedded_ahead(
    works: IndexWorks, model: IndexedModel, version: IndexVersion, known: Known, *, also: str = ""
) -> Iterator[Embed]:
    """Yield an encoder for filling a version: where the workers are elsewhere, one that knows what they have made.

    What they have not made, as a document that is written meanwhile, is embedded here.
    """
    embed = works.embed(model)
    if not works.workers.are_elsewhere:
        yield embed
        return
    shelf = _Shelf(works.opened.folder / FOLDER_NAME / hash_json(version.space), model.contract.dimension)
    _fill_shelf(works, model, version, known, shelf, also=also)

    def look_up(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        if role is Role.DOCUMENT and shelf.has(texts):
            found: NDArray[np.float32] = np.load(shelf.path(texts))
            return found
        return embed(texts, role)

    yield look_up
    shutil.rmtree(shelf.folder.parent, ignore_errors=True)


def _fill_shelf(
    works: IndexWorks, model: IndexedModel, version: IndexVersion, known: Known, shelf: _Shelf, *, also: str
) -> None:
    difference = compare(works.opened.documents, works.opened.engine(version.name), spaces=(version.space, also))
    wanted: list[Path] = []

    def parts() -> Iterator[Part]:
        """Read the chunks one by one: a large corpus is never all in memory."""
        for chunk in chunks(difference.missing, works.config.chunk_documents):
            texts = new_contents(list(works.opened.documents.read(chunk).values()), known)
            if texts and not shelf.has(texts):
                wanted.append(shelf.path(texts))
                yield Part(texts, Role.DOCUMENT)

    rest = parts()
    if (first := next(rest, None)) is None:
        return
    works.workers.join(works.progress)
    embed_parts = works.workers.embed_parts(model.location, model.config)
    done = 0
    for place, embedded in embed_parts(works.encoders.encoder(model), chain([first], rest), works.progress):
        write_vectors(wanted[place], embedded.vectors)
        done += len(embedded.vectors)
        works.progress(Progress("embed on the workers", done, len(difference.missing)))
