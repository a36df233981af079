"""Which files of a source to read: row files with their splits, the first row, queries, qrels, document streams."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place
from dialekt.pairs.formats.fields import as_id, as_number, as_text, find_field, split_of_name, take, time_of
from dialekt.store.rows import ROW_SUFFIXES, bare_suffix, read_json, read_lines, read_rows
from dialekt.types import Document

QUERY_ID_NAMES = ("_id", "id", "query_id", "query-id", "qid", "question_id")
QUERY_TEXT_NAMES = ("text", "query", "query_text", "question", "title")
DOCUMENT_ID_NAMES = ("docid", "_id", "id", "doc_id", "document_id", "pid", "corpus_id")
DOCUMENT_TEXT_NAMES = ("document_text", "text", "contents", "content", "passage", "body")
_QUERY_FIELDS = (
    *("anchor", "query", "question", "sentence1", "query_text", "query_id", "messages"),
    *("relevant_docs", "data"),  # of LlamaIndex and NeMo
)
_NOT_PAIRS = (
    "corpus",
    "documents",
    "collection",
    "queries",
    "topics",
    "qrels",
    "dataset_info",
    "config",
    "readme",
)


def files_named(folder: Path, *patterns: str) -> list[Path]:
    """Return the files of a folder that match any of the patterns, plain or gzipped, in order of name."""
    found = {path for pattern in patterns for end in ("", ".gz") for path in folder.glob(pattern + end)}
    return sorted(path for path in found if path.is_file())


def row_files(path: Path) -> list[tuple[Path, str]]:
    """Return the files of rows of a source with the split of each: one file, or those of a folder and its `data/`.

    A single file has no split; in a folder the name says it (`train.jsonl`, `validation-00000-of-00001.parquet`).
    Where some files of a folder speak of queries, the others (documents, settings) are left out.
    """
    if path.is_file():
        return [(path, "")]
    found = []
    for folder in (path, path / "data"):
        for suffix in ROW_SUFFIXES:
            found += files_named(folder, f"*{suffix}")
    names = sorted({file for file in found if not file.name.lower().startswith(_NOT_PAIRS)})
    speaking = [file for file in names if speaks_of_queries(file)]
    return [(file, split_of_name(file)) for file in speaking or names]


def speaks_of_queries(path: Path) -> bool:
    """Tell whether the first row has a field that is named as queries are."""
    values = _peek(path)
    return values is not None and find_field(values, _QUERY_FIELDS) is not None


def first_row(path: Path) -> Mapping[str, Any]:
    """Return the first row of a file, or the whole object of a `.json` file that is one object."""
    values = _peek(path)
    if values is None:
        raise InputError("has no rows", path=path, hint="point judgments.path at a file with rows")
    return values


def _peek(path: Path) -> Mapping[str, Any] | None:
    if bare_suffix(path) == ".json":
        return _first_object(path)
    row = next(read_rows(path), None)
    return None if row is None else row.values


def _first_object(path: Path) -> Mapping[str, Any] | None:
    line = next((text for text, _ in read_lines(path) if text.strip()), "")
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        value = read_json(path)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, dict) else None


def read_queries(path: Path, builder: JudgmentsBuilder, *, time_field: str) -> None:
    """Read a file of queries: JSONL or Parquet rows with id and text, or lines `id<TAB>text` with or without header."""
    if bare_suffix(path) in {".tsv", ".txt"}:
        _read_query_lines(path, builder)
        return
    for row in read_rows(path):
        place = Place(path, row.line)
        query_id = as_id(take(row.values, QUERY_ID_NAMES, place), place)
        text = as_text(take(row.values, QUERY_TEXT_NAMES, place), place)
        builder.add_query(query_id, text, place=place, timestamp=time_of(row.values, time_field))


def _read_query_lines(path: Path, builder: JudgmentsBuilder) -> None:
    for text, line in read_lines(path):
        query_id, tab, query = text.partition("\t")
        if not text.strip() or (line == 1 and query_id.strip().lower() in QUERY_ID_NAMES):
            continue
        place = Place(path, line)
        if not tab:
            raise InputError("has no tab", path=path, line=line, hint="each line is: query id, tab, query text")
        builder.add_query(as_id(query_id.strip(), place), query, place=place)


def read_qrels(path: Path, builder: JudgmentsBuilder, *, split: str) -> None:
    """Read judgments: `query document grade` or `query 0 document grade` per line, by tab or blank, header or not."""
    for text, line in read_lines(path):
        if not text.strip():
            continue
        cells = [cell.strip() for cell in text.split("\t")] if "\t" in text else text.split()
        if line == 1 and is_qrels_header(cells):
            continue
        place = Place(path, line)
        if len(cells) not in {3, 4}:
            raise InputError(
                f"has {len(cells)} columns, expected 3 or 4 (query, document, grade)",
                path=path,
                line=line,
                hint="is the line cut short?",
            )
        query_id, document_id = as_id(cells[0], place), as_id(cells[-2], place)
        builder.add_qrel(query_id, document_id, as_number(cells[-1], place), split)


def is_qrels_header(cells: list[str]) -> bool:
    """Tell whether the cells name columns: the last one, the grade, is no number."""
    try:
        float(cells[-1])
    except ValueError:
        return True
    return False


def stream_documents(path: Path, *, header: tuple[str, ...] | None = None) -> Iterator[Document]:
    """Yield the documents of a file of rows that lies beside the judgments; nothing is kept in memory."""
    for row in read_rows(path, header=header):
        place = Place(path, row.line)
        document_id = as_id(take(row.values, DOCUMENT_ID_NAMES, place), place)
        text = as_text(take(row.values, DOCUMENT_TEXT_NAMES, place), place).strip()
        title = as_text(row.values.get("title"), place).strip()
        if text or title:
            yield Document(document_id, text, title, document_id, document_id)


def first_cells(path: Path) -> list[str]:
    """Return the cells of a text file's first line, cut at tabs or blanks."""
    text = next((text for text, _ in read_lines(path) if text.strip()), "")
    return [cell.strip() for cell in text.split("\t")] if "\t" in text else text.split()
