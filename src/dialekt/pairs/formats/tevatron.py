"""Tevatron rows: document ids with a corpus file beside them, or the older form with the passages inside."""

from collections.abc import Mapping
from typing import Any

from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_id, as_list, as_text, take
from dialekt.pairs.formats.files import files_named, row_files, stream_documents
from dialekt.store.rows import Row, read_rows

LOOKS_FOR = "rows with query_id and positive_document_ids, or query_id and positive_passages"


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the row has Tevatron's fields."""
    return "query_id" in values and ("positive_document_ids" in values or "positive_passages" in values)


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read rows of either form, and the corpus file beside them if there is one."""
    for path, split in row_files(source.path):
        for row in read_rows(path):
            _add_row(row, builder, place=Place(path, row.line), split=split)
    folder = source.path.parent if source.path.is_file() else source.path
    for path in files_named(folder, "corpus*.jsonl", "corpus*.parquet"):
        builder.document_streams.append(stream_documents(path))


def _add_row(row: Row, builder: JudgmentsBuilder, *, place: Place, split: str) -> None:
    query_id = as_id(take(row.values, ("query_id",), place), place)
    text = as_text(take(row.values, ("query_text", "query"), place), place)
    builder.add_query(query_id, text, place=place)
    for document_id in _document_ids(row, "positive", builder, place):
        builder.add_qrel(query_id, document_id, 1.0, split)
    for document_id in _document_ids(row, "negative", builder, place):
        builder.add_negative(query_id, document_id)


def _document_ids(row: Row, side: str, builder: JudgmentsBuilder, place: Place) -> list[str]:
    """Return the ids of one side; passages that come with their text are added as documents."""
    found = [as_id(item, place) for item in as_list(row.values.get(f"{side}_document_ids"))]
    for passage in as_list(row.values.get(f"{side}_passages")):
        document_id = as_id(take(passage, ("docid",), place), place)
        text, title = as_text(passage.get("text"), place), as_text(passage.get("title"), place)
        if builder.add_document(document_id, text, place=place, title=title):
            found.append(document_id)
    return found
