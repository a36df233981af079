"""Documents as found → documents as kept: cleaned, with ids, each id once."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dialekt.corpus.cleaning import clean_line, clean_text
from dialekt.corpus.records import FoundDocument
from dialekt.errors import InputError
from dialekt.store.hashing import hash_text
from dialekt.types import Document, Progress, ReportProgress, no_progress


@dataclass
class Intake:
    """Takes documents in and counts what it drops or cuts."""

    max_characters: int
    progress: ReportProgress = no_progress
    documents: list[Document] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    _first: dict[str, tuple[Path, int | None, str]] = field(default_factory=dict)

    def add(self, item: FoundDocument) -> bool:
        """Keep a document unless it is empty or its id is known with the same text; say whether its id is kept.

        Raises `InputError` naming both places when an id stands for two texts.
        """
        self.truncated += len(item.text) > self.max_characters
        text, title = clean_text(item.text[: self.max_characters]), clean_line(item.title)
        if not text and not title:
            self.dropped["empty text"] += 1
            return False
        identity = item.id or content_id(item)
        if identity in self._first:
            self._check_same(identity, item, text)
            return True
        self._first[identity] = (item.path, item.line, hash_text(text))
        metadata = {name: clean_line(value) for name, value in item.metadata.items()}
        self.documents.append(Document(identity, text, title, identity, identity, metadata))
        if len(self.documents) % 5_000 == 0:
            self.progress(Progress("reading documents", len(self.documents)))
        return True

    def add_all(self, found: Iterable[FoundDocument], *, repeated: str | None = None) -> None:
        """Add documents; ids that come again with the same text are counted under `repeated`."""
        for item in found:
            before = len(self.documents)
            if self.add(item) and repeated and len(self.documents) == before:
                self.dropped[repeated] += 1

    def _check_same(self, identity: str, item: FoundDocument, text: str) -> None:
        path, line, fingerprint = self._first[identity]
        if hash_text(text) != fingerprint:
            first = f"{path}:{line}" if line is not None else str(path)
            raise InputError(
                f"document {identity!r} has another text here than at {first}",
                path=item.path,
                line=item.line,
                hint="ids must be unique: rename or remove one of the two",
            )


def content_id(item: FoundDocument) -> str:
    """Return the id of a document that has none: the hash of title and text as found, as for pair files."""
    return hash_text(f"{item.title.strip()} {item.text.strip()}".strip())
