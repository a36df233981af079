"""The language that a corpus is written in: decided once, by the corpus stage, and read from its table everywhere."""

from pathlib import Path

from dialekt.store.tables import read_note
from dialekt.types import Language

_NAME = "language"


def language_note(language: Language) -> dict[str, str]:
    """Return what a table of documents says of its language."""
    return {_NAME: language.value}


def read_language(documents: Path) -> Language | None:
    """Return the language of a table of documents, None where the table does not say."""
    found = read_note(documents, _NAME)
    return Language(found) if found is not None else None
