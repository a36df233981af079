"""The vectors artefact: documents.npy and queries.npy with ids; made in parts, so a killed run goes on."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Precision
from dialekt.errors import StorageError
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, write_atomic
from dialekt.store.tables import read_records
from dialekt.types import Document, Progress, Query, ReportProgress, Role, Split, no_progress

if TYPE_CHECKING:
    from dialekt.models.text_encoder import Embedded, TextEncoder

STAGE_VERSION = 1
PART_TEXTS = 2_048
Move: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Vectors (rows, dimension) → where they are put, as many and of length 1."""

_MATRICES = {Role.DOCUMENT: "documents", Role.QUERY: "queries"}


@dataclass(frozen=True, slots=True)
class VectorsInputs:
    """Folders of the corpus and the split, and the splits whose queries are wanted.

    `documents` is the folder of a vectors artefact whose documents are taken as they are; None encodes them.
    """

    corpus: Path
    split: Path
    splits: tuple[Split, ...] = (Split.TRAIN, Split.DEV, Split.TEST)
    documents: Path | None = None


@dataclass(frozen=True, slots=True)
class VectorsFacts:
    """Counts and speed. `tokens` and `seconds` are of this run, `resumed_texts` of one that was killed."""

    documents: int
    queries: int
    dimension: int
    tokens: int
    seconds: float
    tokens_per_second: float
    resumed_texts: int
    precision: str


@dataclass(frozen=True, slots=True)
class Vectors:
    """Row n of a matrix belongs to id n. Matrices are float32 (rows, dimension), L2-normalised and mapped."""

    document_ids: list[str]
    document_vectors: NDArray[np.float32]
    query_ids: list[str]
    query_vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """Texts that are encoded together, always the same ones: up to `PART_TEXTS` of one role."""

    texts: Sequence[str]
    role: Role


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    name: str
    role: Role
    ids: list[str]
    texts: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A part, and the file that its vectors go into."""

    path: Path
    part: Part

    def is_whole(self, dimension: int) -> bool:
        """Whether an earlier run made it; the folder's key vouches for the texts it was made from."""
        return is_whole(self.path, (len(self.part.texts), dimension))


EmbedParts = Callable[["TextEncoder", Iterable[Part], ReportProgress], Iterator[tuple[int, "Embedded"]]]
"""Encodes parts, in whatever order, and yields the place and the vectors of each; others may do it on more machines.

It may report how many texts are done in the midst of a part.
"""


def embed_here(
    encoder: "TextEncoder", parts: Iterable[Part], progress: ReportProgress
) -> "Iterator[tuple[int, Embedded]]":
    """Encode one part after the other in this process."""
    done = 0
    for place, part in enumerate(parts):
        yield place, encoder.embed(part.texts, part.role, progress=_counted_from(done, progress))
        done += len(part.texts)


def run(
    encoder: "TextEncoder",
    inputs: VectorsInputs,
    out: Path,
    *,
    embed_parts: EmbedParts = embed_here,
    progress: ReportProgress = no_progress,
) -> VectorsFacts:
    """Encode all documents and the queries of the wanted splits into `out`."""
    start = time.perf_counter()
    documents, queries = _read_sides(inputs)
    encoded = (documents, queries) if inputs.documents is None else (queries,)
    if inputs.documents is not None:
        _take_documents(inputs.documents, documents, out)
    pieces = {side: _pieces(side, out) for side in encoded}
    missing = [piece for of_side in pieces.values() for piece in of_side if not piece.is_whole(encoder.dimension)]
    total, left = len(documents.ids) + len(queries.ids), sum(len(piece.part.texts) for piece in missing)
    tokens, done = 0, total - left
    progress(Progress("encode", done, total))
    parts = [piece.part for piece in missing]
    for place, embedded in embed_parts(encoder, parts, _shifted(progress, done, total)) if parts else ():
        write_vectors(missing[place].path, embedded.vectors)
        tokens += embedded.tokens
        done += len(parts[place].texts)
        progress(Progress("encode", done, total))
    for side, of_side in pieces.items():
        _put_together(side, of_side, out, dimension=encoder.dimension)
    with disk_errors(out):
        shutil.rmtree(out / "parts", ignore_errors=True)
    seconds = time.perf_counter() - start
    return VectorsFacts(
        documents=len(documents.ids),
        queries=len(queries.ids),
        dimension=encoder.dimension,
        tokens=tokens,
        seconds=seconds,
        tokens_per_second=tokens / seconds,
        resumed_texts=sum(len(side.ids) for side in encoded) - left,
        precision=encoder.precision.value,
    )


def move(
    source: Path, inputs: VectorsInputs, out: Path, *, maps: Mapping[Role, Move], progress: ReportProgress = no_progress
) -> VectorsFacts:
    """Write the vectors of another artefact of the same texts, each moved by the map of its side; encode nothing.

    Raises `StorageError` where a text has no vector there.
    """
    start = time.perf_counter()
    sides = _read_sides(inputs)
    dimension = 0
    for done, side in enumerate(sides, start=1):
        if side.role is Role.DOCUMENT and inputs.documents is not None:
            _take_documents(inputs.documents, side, out)
        else:
            dimension = _move_side(source, side, out, maps[side.role])
        progress(Progress("move vectors", done, len(sides)))
    return VectorsFacts(
        documents=len(sides[0].ids),
        queries=len(sides[1].ids),
        dimension=dimension,
        tokens=0,
        seconds=time.perf_counter() - start,
        tokens_per_second=0.0,
        resumed_texts=0,
        precision=Precision.FP32.value,
    )


def _move_side(source: Path, side: _Side, out: Path, apply: Move) -> int:
    """Move one side block by block; return the dimension."""
    ids, vectors = _load_side(source, side.name, side.role)
    rows = {name: row for row, name in enumerate(ids)}
    if any(name not in rows for name in side.ids):
        raise StorageError("the vectors were made from other texts", path=source, hint="run the vectors stage again")
    places = np.array([rows[name] for name in side.ids], dtype=np.int64)
    parts = (places[first : first + PART_TEXTS] for first in range(0, len(places), PART_TEXTS))
    shape = (len(places), vectors.shape[1])
    _save(out / f"{_MATRICES[side.role]}.npy", (apply(np.asarray(vectors[part])) for part in parts), shape)
    write_atomic(out / f"{side.name}_ids.json", json.dumps(side.ids, ensure_ascii=False))
    return int(shape[1])


def load_vectors(folder: Path) -> Vectors:
    """Open a vectors artefact; raise `StorageError` when it is missing or damaged."""
    document_ids, document_vectors = _load_side(folder, "document", Role.DOCUMENT)
    query_ids, query_vectors = _load_side(folder, "query", Role.QUERY)
    return Vectors(document_ids, document_vectors, query_ids, query_vectors)


def _read_sides(inputs: VectorsInputs) -> tuple[_Side, _Side]:
    documents = read_records(inputs.corpus / "documents.parquet", Document)
    queries = [query for query in read_records(inputs.split / "queries.parquet", Query) if query.split in inputs.splits]
    return (
        _Side("document", Role.DOCUMENT, [item.id for item in documents], [item.content for item in documents]),
        _Side("query", Role.QUERY, [item.id for item in queries], [item.text for item in queries]),
    )


def _take_documents(source: Path, side: _Side, out: Path) -> None:
    """Copy the document vectors of another artefact of the same corpus."""
    ids, _ = _load_side(source, side.name, side.role)
    if ids != side.ids:
        raise StorageError(
            "the document vectors were made from another corpus", path=source, hint="run the vectors stage again"
        )
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in (f"{_MATRICES[side.role]}.npy", f"{side.name}_ids.json"):
            shutil.copyfile(source / name, out / name)


def _pieces(side: _Side, out: Path) -> list[_Piece]:
    """Divide one side; the place of a text alone decides which piece it is in."""
    return [
        _Piece(out / "parts" / f"{side.name}-{first:09d}.npy", Part(side.texts[first : first + PART_TEXTS], side.role))
        for first in range(0, len(side.texts), PART_TEXTS)
    ]


def _put_together(side: _Side, pieces: Sequence[_Piece], out: Path, *, dimension: int) -> None:
    blocks = (np.load(piece.path) for piece in pieces)
    _save(out / f"{_MATRICES[side.role]}.npy", blocks, (len(side.texts), dimension))
    write_atomic(out / f"{side.name}_ids.json", json.dumps(side.ids, ensure_ascii=False))


def write_vectors(path: Path, vectors: NDArray[np.float32]) -> None:
    """Write vectors (rows, dimension) as a file, whole or not at all."""
    _save(path, [vectors], vectors.shape)


def is_whole(path: Path, shape: tuple[int, int]) -> bool:
    """Whether there is a file of vectors of this shape (rows, dimension)."""
    try:
        return bool(_open(path).shape == shape)
    except (OSError, ValueError):
        return False


def _save(path: Path, blocks: Iterable[NDArray[np.float32]], shape: tuple[int, ...]) -> None:
    """Write blocks of rows as one .npy file, whole or not at all, holding one block at a time.

    Written as a stream, since a full disk kills a process that writes through a memory map.
    """
    temporary = path.with_name(path.name + PARTIAL_SUFFIX)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype="<f4").data)
        temporary.replace(path)


def _open(path: Path) -> NDArray[np.float32]:
    """Open a matrix as a memory map; one without rows cannot be mapped and is read."""
    try:
        vectors: NDArray[np.float32] = np.load(path, mmap_mode="r")
    except ValueError:
        vectors = np.load(path)
    return vectors


def _load_side(folder: Path, name: str, role: Role) -> tuple[list[str], NDArray[np.float32]]:
    ids_path, vectors_path = folder / f"{name}_ids.json", folder / f"{_MATRICES[role]}.npy"
    try:
        ids: list[str] = json.loads(ids_path.read_text(encoding="utf-8"))
        vectors = _open(vectors_path)
    except FileNotFoundError as error:
        raise StorageError("the vectors are missing", path=error.filename, hint="run the stage again") from None
    except (OSError, ValueError) as error:
        raise StorageError(f"the vectors are damaged: {error}", path=folder, hint="run the stage again") from None
    if len(ids) != len(vectors):
        raise StorageError(f"{len(ids)} ids and {len(vectors)} vectors", path=vectors_path, hint="run the stage again")
    return ids, vectors


def _counted_from(first: int, progress: ReportProgress) -> ReportProgress:
    return lambda step: progress(Progress("", first + step.done))


def _shifted(progress: ReportProgress, first: int, total: int) -> ReportProgress:
    """Return a reporter that counts from `first` towards the total of a larger piece of work."""

    def report(step: Progress) -> None:
        progress(Progress("encode", first + step.done, total))

    return report
