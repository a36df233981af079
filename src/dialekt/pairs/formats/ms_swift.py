"""ms-swift embedding rows: `query`, `response`, `rejected_response`, `label`; or the newer `messages` form."""

from collections.abc import Mapping
from typing import Any

from dialekt.pairs.formats import pairs
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_list, as_text, find_field, take
from dialekt.pairs.formats.files import first_row, row_files
from dialekt.pairs.formats.texts import QueryTexts, add_texts
from dialekt.store.rows import read_rows

LOOKS_FOR = 'rows {"query", "response", "rejected_response"} or {"messages", "positive_messages"}'


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the row has ms-swift's fields."""
    named = {"query", "response"} <= values.keys() and find_field(values, ("rejected_response", "history"))
    return bool(named) or {"messages", "positive_messages"} <= values.keys()


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read rows of either form; the form with plain columns is a pair file."""
    files = row_files(source.path)
    if not files or "messages" not in first_row(files[0][0]):
        pairs.read(source, builder)
        return
    for path, split in files:
        for row in read_rows(path):
            place = Place(path, row.line)
            query = _said(take(row.values, ("messages",), place), place)
            positives = [_said(item, place) for item in as_list(take(row.values, ("positive_messages",), place))]
            negatives = [_said(item, place) for item in as_list(row.values.get("negative_messages"))]
            add_texts(QueryTexts(query, positives, negatives), builder, place=place, split=split)


def _said(messages: object, place: Place) -> str:
    """Return the text of the last message that is not the system's."""
    spoken = [item for item in as_list(messages) if isinstance(item, Mapping) and item.get("role") != "system"]
    return as_text(spoken[-1].get("content"), place) if spoken else ""
