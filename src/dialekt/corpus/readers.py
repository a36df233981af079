"""Tables of documents in the field's usual shapes → `FoundDocument`s."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dialekt.config import CorpusConfig
from dialekt.corpus.fields import ID_NAMES, TEXT_NAMES, TITLE_NAMES, Fields, require_fields, to_document
from dialekt.corpus.records import FoundDocument
from dialekt.errors import InputError
from dialekt.store.rows import Row, bare_suffix, read_json, read_rows

# MS MARCO's collections carry no header line; the number of columns tells passages from documents.
HEADERLESS = {2: ("pid", "text"), 3: ("pid", "title", "text"), 4: ("docid", "url", "title", "text")}


def read_table(path: Path, config: CorpusConfig) -> Iterator[FoundDocument]:
    """Yield the documents of one file of rows: BEIR, MS MARCO, Tevatron, NeMo, any with a column of text."""
    if bare_suffix(path) == ".json":
        yield from _read_json_corpus(path, config)
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
    return (
        None if any(cell in known or cell.lower() in known for cell in cells) else HEADERLESS.get(len(cells))
    )


def _read_json_corpus(path: Path, config: CorpusConfig) -> Iterator[FoundDocument]:
    """Read a list of objects, LlamaIndex's `{"corpus": {id: text}}`, NeMo's `{"corpus": {"path": ...}}`."""
    content = read_json(path)
    corpus = content.get("corpus", content) if isinstance(content, dict) else content
    match corpus[0] if isinstance(corpus, list) and len(corpus) == 1 else corpus:
        case {"path": str(folder)}:
            for table in sorted((path.parent / folder).glob("*.parquet")):
                yield from read_table(table, config)
        case dict() as texts if texts and all(isinstance(text, str) for text in texts.values()):
            for number, (document_id, text) in enumerate(texts.items(), start=1):
                yield FoundDocument(id=str(document_id), title="", text=text, path=path, line=number)
        case list():
            yield from _documents(_json_rows(corpus, path), config, path)
        case dict() as only if isinstance(corpus, list):
            yield from _documents(_json_rows([only], path), config, path)
        case _:
            raise InputError(
                "holds no corpus",
                path=path,
                hint='expected a list of objects, or {"corpus": {"id": "text", ...}}',
            )


def _json_rows(values: list[Any], path: Path) -> Iterator[Row]:
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise InputError(
                f"item {number} is a {type(value).__name__}, expected an object",
                path=path,
                hint="mend the file",
            )
        yield Row(value, number)
