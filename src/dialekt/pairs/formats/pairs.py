"""Pair files in the manner of sentence-transformers: pairs, triplets, n-tuples, scored pairs, labelled lists.

Known column names are taken by name. Unknown ones by order: (anchor, positive[, negative …]), as that library does.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import (
    as_id,
    as_list,
    as_number,
    as_text,
    find_field,
    split_of_value,
    take,
    time_of,
)
from dialekt.pairs.formats.files import first_row, row_files
from dialekt.store.rows import Row, read_rows

LOOKS_FOR = "rows with a query and a document (anchor, positive[, negative][, score]; column order decides)"
ANCHOR_NAMES = ("anchor", "query", "question", "sentence1", "query_text")
POSITIVE_NAMES = (
    *("positive", "positives", "document", "documents", "docs", "passage", "passages", "answer", "answers"),
    *("sentence2", "response", "pos", "doc", "document_text", "text", "content", "body", "context"),
)
SCORE_NAMES = ("label", "labels", "score", "scores")
QUERY_ID_NAMES = ("query_id", "qid")
DOCUMENT_ID_NAMES = ("document_id", "doc_id", "docid", "passage_id", "pid", "corpus_id")
_NEGATIVE = re.compile(r"(hard_)?negatives?(_\d+)?|rejected_response|neg")
_NO_TEXT = re.compile(r"_?id|.*[_-]id|idx|index|__index_level_\d+__|split|timestamp|metadata")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a pair file holds what."""

    anchor: str
    positive: str
    negatives: tuple[str, ...]
    score: str | None
    by_order: bool


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the row can be a pair: at least two columns of text."""
    return len(_text_columns(values)) >= 2


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read every row of one file, or of a folder with a file per split."""
    for path, split in row_files(source.path):
        columns = find_columns(first_row(path), Place(path, 1))
        if columns.by_order:
            builder.warnings.append(f"{path.name}: columns taken by order: {_describe(columns)}")
        reader = _PairReader(source, columns, builder)
        for row in read_rows(path):
            reader.add(row, place=Place(path, row.line), split=split)
        builder.warnings += reader.warnings(path)


def find_columns(values: Mapping[str, Any], place: Place) -> Columns:
    """Say which column is which, by name where names are known, else by order; raise `InputError` when it cannot be."""
    score = find_field(values, SCORE_NAMES)
    anchor = find_field(values, ANCHOR_NAMES)
    positive = find_field(values, POSITIVE_NAMES)
    negatives = tuple(name for name in values if _NEGATIVE.fullmatch(name))
    if anchor and positive:
        return Columns(anchor, positive, negatives, score, by_order=False)
    rest = [name for name in _text_columns(values) if name not in (anchor, positive, *negatives)]
    wanted = [name for name in (anchor, positive) if name is None]
    if len(rest) < len(wanted):
        raise InputError(
            f"has no pair of query and document columns, found {', '.join(map(repr, values))}",
            path=place.path,
            line=place.line,
            hint="name the columns anchor, positive and negative, or set judgments.format",
        )
    anchor = anchor or rest.pop(0)
    positive = positive or rest.pop(0)
    return Columns(anchor, positive, (*negatives, *rest), score, by_order=True)


def _text_columns(values: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in values.items()
        if isinstance(value, str | list) and name not in SCORE_NAMES and not _NO_TEXT.fullmatch(name.lower())
    ]


def _describe(columns: Columns) -> str:
    roles = [f"{columns.anchor!r} = query", f"{columns.positive!r} = positive"]
    return ", ".join([*roles, *(f"{name!r} = negative" for name in columns.negatives)])


class _PairReader:
    """Turns rows of one file into queries, documents, qrels and negatives."""

    def __init__(self, source: Source, columns: Columns, builder: JudgmentsBuilder):
        self._source = source
        self._columns = columns
        self._builder = builder
        self._highest_score = 0.0
        self._margins = 0

    def add(self, row: Row, *, place: Place, split: str) -> None:
        values = row.values
        query_id = self._add_query(values, place)
        if query_id is None:
            return
        split = split_of_value(values.get("split")) or split
        positives = as_list(take(values, (self._columns.positive,), place))
        negatives = [text for name in self._columns.negatives for text in as_list(values.get(name))]
        grades = self._grades(values, len(positives), negatives, place)
        for text, grade in zip(positives, grades, strict=True):
            document_id = self._add_document(text, values if len(positives) == 1 else {}, place)
            if document_id is not None:
                self._builder.add_qrel(query_id, document_id, grade, split)
                if grade == 0:
                    self._builder.add_negative(query_id, document_id)
        self._add_negatives(query_id, negatives, place)

    def warnings(self, path: Path) -> list[str]:
        """Say what about the scores of the file is doubtful."""
        found = []
        if self._highest_score > 1:
            found.append(
                f"{path.name}: scores reach {self._highest_score:g}; judgments.minimum_score = "
                f"{self._source.minimum_score:g} is meant for scores from 0 to 1"
            )
        if self._margins:
            found.append(
                f"{path.name}: {self._margins} scores of rows with negatives were left out (margins, not grades)"
            )
        return found

    def _add_query(self, values: Mapping[str, Any], place: Place) -> str | None:
        text = as_text(take(values, (self._columns.anchor,), place), place)
        time = time_of(values, self._source.time_field)
        name = find_field(values, QUERY_ID_NAMES)
        if name is None or not text.strip():
            return self._builder.add_query_text(text, timestamp=time)
        query_id = as_id(values[name], place)
        self._builder.add_query(query_id, text, place=place, timestamp=time)
        return query_id

    def _add_document(self, text: object, values: Mapping[str, Any], place: Place) -> str | None:
        content = as_text(text, place)
        title = "" if self._columns.by_order else as_text(values.get("title"), place)
        name = find_field(values, DOCUMENT_ID_NAMES)
        if name is None:
            return self._builder.add_document_text(content, title)
        document_id = as_id(values[name], place)
        return document_id if self._builder.add_document(document_id, content, place=place, title=title) else None

    def _add_negatives(self, query_id: str, negatives: Iterable[object], place: Place) -> None:
        for text in negatives:
            document_id = self._builder.add_document_text(as_text(text, place))
            if document_id is not None:
                self._builder.add_negative(query_id, document_id)

    def _grades(self, values: Mapping[str, Any], count: int, negatives: list[object], place: Place) -> list[float]:
        """Return a grade per positive: 1, or what the row's score or labels say about it."""
        name = self._columns.score
        if name is None or name not in values:
            return [1.0] * count
        if negatives:
            self._margins += 1
            return [1.0] * count
        scores = [as_number(score, place) for score in as_list(values[name])]
        if len(scores) != count:
            raise InputError(
                f"has {count} documents but {len(scores)} values of {name!r}",
                path=place.path,
                line=place.line,
                hint="one label or score per document",
            )
        self._highest_score = max(self._highest_score, *scores)
        return [1.0 if score >= self._source.minimum_score else 0.0 for score in scores]
