"""Tables of documents in the field's usual shapes → `FoundDocument`s."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dialekt.config import CorpusConfig
from dialekt.corpus.fields import (
    ID_NAMES,
    TEXT_NAMES,
    TITLE_NAMES,
    Fields,
    looks_like_documents,
    require_fields,
    to_document,
)
from dialekt.corpus.records import FoundDocument
from dialekt.errors import InputError
from dialekt.store.rows import Row, bare_suffix, read_json, read_lines, read_rows

# MS MARCO's collections carry no header line; the number of columns tells passages from documents.
HEADERLESS = {2: ("pid", "text"), 3: ("pid", "title", "text"), 4: ("docid", "url", "title", "text")}


def read_table(path: Path, config: CorpusConfig) -> Iterator[FoundDocument]:
    """Yield the documents of one file of rows: BEIR, MS MARCO, Tevatron, NeMo, any with a column of text."""
    corpus = _json_corpus(path) if bare_suffix(path) == ".json" else None
    if corpus is not None:
        yield from _read_json_corpus(corpus, path, config)
        return
    yield from _documents(read_rows(path, header=_missing_header(path, config)), config, path)


def _documents(rows: Iterator[Row], config: CorpusConfig, path: Path) -> Iterator[FoundDocument]:
    fields: Fields | None = None
    for row in rows:
        if fields is None:
            fields = require_fields(row.values, config, path=path)
        yield to_document(row, fields, path=path)


def _missing_header(path: Path, config: CorpusConfig) -> tuple[str, ...] | None:
    """Name the columns of a TSV whose first line is not a header."""
    if bare_suffix(path) != ".tsv":
        return None
    first = next(read_rows(path), None)
    if first is None:
        return None
    known = {*ID_NAMES, *TITLE_NAMES, *TEXT_NAMES, config.id_field, config.title_field, config.text_field}
    cells = list(first.values)
    return None if any(cell in known or cell.lower() in known for cell in cells) else HEADERLESS.get(len(cells))


def holds_documents(path: Path, config: CorpusConfig) -> bool:
    """Say whether a file's first row is a document rather than a query, a judgment or a pair."""
    if bare_suffix(path) == ".json" and _json_corpus(path) is not None:
        return True
    first = next(read_rows(path), None)
    return first is not None and looks_like_documents(first.values, config)


def _read_json_corpus(corpus: Mapping[str, Any], path: Path, config: CorpusConfig) -> Iterator[FoundDocument]:
    """Read LlamaIndex's `{id: text}` or NeMo's `{"path": folder}`."""
    folder = path.parent / str(corpus.get("path"))
    if folder.is_dir():
        for table in sorted(folder.glob("*.parquet")):
            yield from read_table(table, config)
        return
    for number, (document_id, text) in enumerate(corpus.items(), start=1):
        if not isinstance(text, str):
            raise InputError(
                f"document {document_id!r} is a {type(text).__name__}, expected a text",
                path=path,
                hint='write {"corpus": {"id": "text", ...}}',
            )
        yield FoundDocument(id=document_id, title="", text=text, path=path, line=number)


def _json_corpus(path: Path) -> Mapping[str, Any] | None:
    """Return the `corpus` of a `.json` file that is one object; None for a file of rows."""
    lines = (text.lstrip() for text, _ in read_lines(path) if text.strip())
    first, second = next(lines, ""), next(lines, "")
    if not first.startswith("{") or second.startswith("{"):
        return None
    content = read_json(path)
    corpus = content.get("corpus")
    match corpus[0] if isinstance(corpus, list) and corpus else corpus:
        case dict() as mapping:
            return mapping
        case str() as folder:
            return {"path": folder}
        case _:
            return None
