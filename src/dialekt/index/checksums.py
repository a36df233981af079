"""What a set of rows adds up to: the proof that an index holds the documents that it should."""

import hashlib
from collections.abc import Sequence

from dialekt.index.engines.base import VectorEngine
from dialekt.index.records import Checksum


def row_sum(unit: str, content: str, tags: Sequence[str]) -> int:
    """Return 64 bits that stand for a unit's id, the hash of its content and its tags."""
    text = "\x1f".join((unit, content, *sorted(tags)))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def engine_checksum(engine: VectorEngine) -> Checksum:
    """Return what all rows of an engine add up to."""
    rows, total = 0, 0
    for part in engine.scan():
        rows += len(part)
        total += sum(map(row_sum, part.ids, part.hashes, part.tags))
    return Checksum(rows, total % (1 << 64))
