"""Filling an index version: what the engine lacks is embedded, chunk by chunk; what it has is left.

There is no record of how far a build has come but the engine's own rows, so a build that was killed goes on from the
last chunk that was stored, and a build that is done twice does nothing.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.index.documents import Documents, content_hash
from dialekt.index.engines.base import VectorEngine
from dialekt.index.filters import tags_of
from dialekt.index.opened import OpenIndex, rows_of
from dialekt.index.records import Embed, IndexVersion, Rows, State
from dialekt.types import Document, Progress, ReportProgress, Role, no_progress

Known = Callable[[Sequence[str]], Mapping[str, NDArray[np.float32]]]
"""Content hashes → the vectors of those that some other place has already, of the same space."""


@dataclass(frozen=True, slots=True)
class FillFacts:
    """What filling an index version came to, in units."""

    units: int
    embedded: int
    reused: int
    kept: int
    removed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What an index version's rows lack of the documents, at a position of the log."""

    missing: tuple[str, ...]
    retagged: Mapping[str, tuple[str, ...]]
    gone: tuple[str, ...]
    kept: int
    sequence: int

    @property
    def is_empty(self) -> bool:
        """Whether the rows are the documents."""
        return not (self.missing or self.retagged or self.gone)


def nothing_known(_: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
    """Know no vector."""
    return {}


def vectors_of(engine: VectorEngine, space: str) -> Known:
    """Know the vectors of another index version that are of the same space."""
    ids = {
        content: unit
        for rows in engine.scan()
        for unit, content, of in zip(rows.ids, rows.hashes, rows.spaces, strict=True)
        if of == space
    }

    def look_up(hashes: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        rows = engine.fetch([ids[content] for content in dict.fromkeys(hashes) if content in ids])
        return dict(zip(rows.hashes, rows.vectors, strict=True))

    return look_up


def vectors_of_matrix(hashes: Sequence[str], vectors: NDArray[np.float32]) -> Known:
    """Know the rows (hashes, dimension) of a matrix, for example of the documents that the journey encoded."""
    places = {content: place for place, content in enumerate(hashes)}
    return lambda wanted: {content: vectors[places[content]] for content in wanted if content in places}


def any_of(*every: Known) -> Known:
    """Know what any of them knows, the first asked first."""

    def look_up(hashes: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        for known in every:
            found |= known([content for content in hashes if content not in found])
        return found

    return look_up


def compare(documents: Documents, engine: VectorEngine, *, spaces: Collection[str] | None = None) -> Difference:
    """Return what the rows of an engine lack of the documents; a row of another space than `spaces` is missing."""
    snapshot = documents.snapshot()
    missing = dict.fromkeys(snapshot.entries)
    retagged: dict[str, tuple[str, ...]] = {}
    gone: list[str] = []
    for rows in engine.scan():
        columns = zip(rows.ids, rows.document_ids, rows.hashes, rows.tags, rows.spaces, strict=True)
        for unit, document, content, tags, space in columns:
            entry = snapshot.entries.get(unit)
            if entry is None:
                gone.append(unit)
            elif (entry.document, entry.hash) == (document, content) and (spaces is None or space in spaces):
                missing.pop(unit, None)
                if entry.tags != tuple(sorted(tags)):
                    retagged[unit] = entry.tags
    kept = len(snapshot.entries) - len(missing)
    return Difference(tuple(missing), retagged, tuple(gone), kept, snapshot.sequence)


def fill(
    opened: OpenIndex,
    version: str,
    embed: Embed,
    *,
    known: Known = nothing_known,
    chunk_documents: int = 1_024,
    also: str = "",
    progress: ReportProgress = no_progress,
) -> FillFacts:
    """Make the rows of an index version the documents, as they are now, and make the engine's indexes.

    The log holds what is written meanwhile; `OpenIndex.apply` brings it in afterwards, or between two chunks if others
    want it to. Rows of another space than the version's are embedded again, but those of the space `also` are left. May
    be killed at any moment.
    """
    started = time.monotonic()
    engine, found = opened.engine(version), opened.catalogue.version(version)
    difference = compare(opened.documents, engine, spaces=(found.space, also))
    _tidy(opened, version, difference)
    reused = 0
    done = 0
    for chunk in chunks(difference.missing, chunk_documents):
        reused += _store(opened, found, chunk, embed, known=known)
        done += len(chunk)
        progress(Progress("embed", done, len(difference.missing), note=_reuse_note(reused)))
    with opened.holding(version):
        engine.finish(progress=progress)  # also of a version that has grown: what is made already costs little
        if found.state is State.BUILDING:
            opened.catalogue.set_version_ready(version)
        position = opened.catalogue.version(version).position
        opened.catalogue.set_position(version, max(difference.sequence, position))
    engine.optimize()
    return FillFacts(
        units=difference.kept + len(difference.missing),
        embedded=len(difference.missing) - reused,
        reused=reused,
        kept=difference.kept,
        removed=len(difference.gone),
        seconds=time.monotonic() - started,
    )


def chunks(ids: Sequence[str], documents: int) -> Iterator[Sequence[str]]:
    """Yield ids in the chunks that are embedded and stored at once."""
    for start in range(0, len(ids), documents):
        yield ids[start : start + documents]


def new_contents(units: Sequence[Document], known: Known) -> list[str]:
    """Return the contents of a chunk that have to be embedded: each once, without those whose vectors are known."""
    hashes = [content_hash(unit) for unit in units]
    vectors = known(hashes)
    return list(
        {content: unit.content for content, unit in zip(hashes, units, strict=True) if content not in vectors}.values()
    )


def _tidy(opened: OpenIndex, version: str, difference: Difference) -> None:
    """Remove and retag rows that need no vector, as the documents say by now."""
    engine = opened.engine(version)
    with opened.holding(version):
        back = opened.documents.read(difference.gone)
        if gone := [unit for unit in difference.gone if unit not in back]:
            engine.delete(gone)
        if retagged := opened.documents.read(list(difference.retagged)):
            engine.patch(list(retagged), [tags_of(unit.metadata) for unit in retagged.values()])


def _store(opened: OpenIndex, version: IndexVersion, chunk: Sequence[str], embed: Embed, *, known: Known) -> int:
    """Store the rows of a chunk of units; return how many of their vectors were known."""
    engine = opened.engine(version.name)
    units = list(opened.documents.read(chunk).values())
    if not units:  # all removed meanwhile
        return 0
    rows, reused = _embedded(units, version.space, embed, known)
    with opened.holding(version.name):  # only now, so that others may apply what is written while texts are embedded
        now = opened.documents.read(chunk)
        same = [place for place, unit in enumerate(units) if now.get(unit.id) == unit]
        (engine.load if version.state is State.BUILDING else engine.upsert)(rows.take(same))
    return reused


def _embedded(units: Sequence[Document], space: str, embed: Embed, known: Known) -> tuple[Rows, int]:
    """Return the rows of units, and how many of their vectors were known."""
    hashes = [content_hash(unit) for unit in units]
    vectors = dict(known(hashes))
    new = {content: unit for content, unit in zip(hashes, units, strict=True) if content not in vectors}
    reused = sum(content in vectors for content in hashes)
    if new:
        made = embed([unit.content for unit in new.values()], Role.DOCUMENT)
        vectors |= dict(zip(new, made, strict=True))
    stacked = np.stack([vectors[content] for content in hashes]).astype(np.float32, copy=False)
    return rows_of(units, space, stacked), reused


def _reuse_note(reused: int) -> str:
    return f"{reused:,} vectors known already" if reused else ""
