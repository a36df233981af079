"""Which column of a user's table is the id, the title, the text; the rest is metadata."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialekt.config import CorpusConfig
from dialekt.corpus.records import FoundDocument
from dialekt.errors import InputError
from dialekt.store.rows import Row

ID_NAMES = ("_id", "id", "doc_id", "docid", "document_id", "pid")
TITLE_NAMES = ("title", "headline", "heading")
TEXT_NAMES = ("text", "content", "body", "document_text", "passage", "contents")
PAIR_NAMES = frozenset(
    (
        "query",
        "query_id",
        "query-id",
        "query_text",
        "anchor",
        "sentence1",
        "positive",
        "pos",
        "pos_doc",
        "positives",
    )
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Column names. `id` and `title` are None where the table has none."""

    id: str | None
    title: str | None
    text: str


def find_fields(columns: Iterable[str], config: CorpusConfig) -> Fields | None:
    """Choose what the configuration names, else the usual names in any case. None: no column of text."""
    present = list(columns)
    text = _choose(present, config.text_field, TEXT_NAMES)
    if text is None:
        return None
    return Fields(
        id=_choose(present, config.id_field, ID_NAMES),
        title=_choose(present, config.title_field, TITLE_NAMES),
        text=text,
    )


def _choose(columns: list[str], wanted: str | None, names: tuple[str, ...]) -> str | None:
    if wanted is not None:
        return wanted if wanted in columns else None
    by_lower_name = {column.lower(): column for column in reversed(columns)}
    return next((by_lower_name[name] for name in names if name in by_lower_name), None)


def require_fields(columns: Iterable[str], config: CorpusConfig, *, path: Path) -> Fields:
    """Choose the columns or raise `InputError` naming those that are there."""
    present = list(columns)
    fields = find_fields(present, config)
    found = ", ".join(present)
    for key, value in (
        ("id_field", config.id_field),
        ("title_field", config.title_field),
        ("text_field", config.text_field),
    ):
        if value is not None and value not in present:
            raise InputError(f"has no column {value!r}; columns: {found}", path=path, hint=f"correct corpus.{key}")
    if fields is None:
        raise InputError(
            f"has no column of text; columns: {found}", path=path, hint='name it: [corpus] text_field = "..."'
        )
    return fields


def looks_like_documents(columns: Iterable[str], config: CorpusConfig) -> bool:
    """Say whether a table holds documents rather than queries, judgments or pairs."""
    present = list(columns)
    return find_fields(present, config) is not None and not PAIR_NAMES & {column.lower() for column in present}


def to_document(row: Row, fields: Fields, *, path: Path) -> FoundDocument:
    """Read one row. Raises `InputError` with the line for a missing id or a text that is no text."""
    return FoundDocument(
        id=_read_id(row, fields, path),
        title=_read_text(row, fields.title, path) if fields.title else "",
        text=_read_text(row, fields.text, path),
        path=path,
        line=row.line,
        metadata=_read_metadata(row, fields),
    )


def _read_id(row: Row, fields: Fields, path: Path) -> str:
    if fields.id is None:
        return ""
    value = row.values.get(fields.id)
    text = "" if value is None else scalar_text(value).strip()
    if not text:
        raise InputError(
            f"has no {fields.id!r}",
            path=path,
            line=row.line,
            hint="every document needs its id, or none does",
        )
    return text


def _read_text(row: Row, name: str, path: Path) -> str:
    value = row.values.get(name)
    match value:
        case None:
            return ""
        case str():
            return value
        case list() if all(isinstance(part, str) for part in value):
            return "\n\n".join(value)
        case int() | float():
            return scalar_text(value)
    raise InputError(
        f"{name!r} is a {type(value).__name__}, expected a text",
        path=path,
        line=row.line,
        hint="write one string per document",
    )


def _read_metadata(row: Row, fields: Fields) -> dict[str, str]:
    """Keep the other scalar columns, and the scalars of BEIR's `metadata` object, as strings."""
    used = {fields.id, fields.title, fields.text}
    metadata: dict[str, str] = {}
    for name, value in row.values.items():
        if name not in used:
            metadata |= (
                _scalars(value) if isinstance(value, Mapping) and name == "metadata" else _scalars({name: value})
            )
    return metadata


def _scalars(values: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in values.items() if isinstance(value, str | int | float) and value != ""}
    return {name: scalar_text(value) for name, value in kept.items()}


def scalar_text(value: object) -> str:
    """Write a cell as text; a whole number stays whole even if a table stored it as a float (`7.0` → `7`)."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
