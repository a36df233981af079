"""What an index version has to show before it goes live: its rows are the documents, its vectors the model's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dialekt.index.checksums import row_sum
from dialekt.index.documents import Entry, content_hash
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Embed
from dialekt.types import Role

LEAST_COSINE = 0.99  # between a stored vector and the same text embedded again: other precisions stay far above
SAMPLED_UNITS = 32


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, what was found in words, and its figures."""

    name: str
    passed: bool
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def check_rows(opened: OpenIndex, version: str) -> Check:
    """Compare every row (id, content, metadata) of an index version with the documents.

    Nobody is held off: units that changed after the position that the version holds are left out of the comparison,
    since they are to be applied yet.
    """
    position = opened.catalogue.version(version).position
    stored: dict[str, Entry] = {}
    duplicates = 0
    for rows in opened.engine(version).scan():
        columns = zip(rows.ids, rows.document_ids, rows.hashes, rows.tags, strict=True)
        for unit, document, content, tags in columns:
            duplicates += unit in stored
            stored[unit] = Entry(document, content, tuple(sorted(tags)))
    snapshot = opened.documents.snapshot()
    moved = set(opened.documents.changes_since(position).units)
    wanted = {unit: entry for unit, entry in snapshot.entries.items() if unit not in moved}
    missing = sum(unit not in stored for unit in wanted)
    surplus = sum(unit not in snapshot.entries and unit not in moved for unit in stored)
    stale = sum(unit in stored and stored[unit] != entry for unit, entry in wanted.items())
    faults = {"missing": missing, "surplus": surplus, "stale": stale, "duplicate": duplicates}
    passed = not any(faults.values())
    said = ", ".join(f"{count:,} {name}" for name, count in faults.items() if count)
    sums = {"rows": len(wanted), "documents": _sum(wanted), "index": _sum(stored, only=wanted), "position": position}
    detail = f"{len(wanted):,} rows are the documents, log position {position:,}" if passed else f"rows: {said}"
    return Check("rows", passed, detail, {**sums, **faults})


def check_vectors(opened: OpenIndex, version: str, embed: Embed, *, seed: int) -> Check:
    """Embed some units again and compare with what is stored: an index of another model is found out here.

    Rows of another space than the version's are left out: they are to be embedded yet.
    """
    found = opened.catalogue.version(version)
    rows = opened.engine(version).fetch(opened.documents.sample(SAMPLED_UNITS, seed=seed))
    units = opened.documents.read(rows.ids)
    own = [
        place
        for place, (unit, content, space) in enumerate(zip(rows.ids, rows.hashes, rows.spaces, strict=True))
        if space == found.space and unit in units and content_hash(units[unit]) == content  # others change right now
    ]
    if not own:
        return Check("vectors", passed=True, detail="no unit to compare", facts={"units": 0})
    again = embed([units[rows.ids[place]].content for place in own], Role.DOCUMENT)
    cosines = np.einsum("ij,ij->i", again, rows.vectors[own])  # (units,)
    least = float(cosines.min())
    detail = f"{len(own)} units embedded again: least cosine {least:.4f}"
    return Check("vectors", least >= LEAST_COSINE, detail, {"units": len(own), "least_cosine": round(least, 6)})


def _sum(entries: Mapping[str, Entry], *, only: Mapping[str, Entry] | None = None) -> int:
    chosen = entries if only is None else {unit: entry for unit, entry in entries.items() if unit in only}
    return sum(row_sum(unit, entry.hash, entry.tags) for unit, entry in chosen.items()) % (1 << 64)
