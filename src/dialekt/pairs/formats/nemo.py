"""NeMo retriever data: corpus-id JSON with a corpus folder beside it, or inline JSONL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_id, as_list, as_text, take
from dialekt.pairs.formats.files import files_named, first_row, row_files, stream_documents
from dialekt.pairs.formats.texts import QueryTexts, add_texts
from dialekt.store.rows import read_json, read_rows

LOOKS_FOR = '.json {"corpus": …, "data": [{"question", "pos_doc"}]}, or rows {"query", "pos_doc", "neg_doc"}'


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the object is NeMo's corpus-id JSON or a row of its inline form."""
    return _by_id(values) or {"query", "pos_doc"} <= values.keys()


def _by_id(values: Mapping[str, Any]) -> bool:
    return "corpus" in values and isinstance(values.get("data"), list)


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read files of either form."""
    for path, split in row_files(source.path):
        if _by_id(first_row(path)):
            _read_by_id(path, builder, split=split)
        else:
            _read_inline(path, builder, split=split)


def _read_inline(path: Path, builder: JudgmentsBuilder, *, split: str) -> None:
    for row in read_rows(path):
        place = Place(path, row.line)
        query = as_text(take(row.values, ("query", "question"), place), place)
        texts = QueryTexts(query, take(row.values, ("pos_doc",), place), row.values.get("neg_doc"))
        add_texts(texts, builder, place=place, split=split)


def _read_by_id(path: Path, builder: JudgmentsBuilder, *, split: str) -> None:
    values = read_json(path)
    for number, entry in enumerate(values["data"], start=1):
        place = Place(path, number)
        query_id = as_id(take(entry, ("question_id",), place), place)
        builder.add_query(query_id, as_text(take(entry, ("question", "query"), place), place), place=place)
        for document in as_list(take(entry, ("pos_doc",), place)):
            builder.add_qrel(query_id, _document_id(document, place), 1.0, split)
        for document in as_list(entry.get("neg_doc")):
            builder.add_negative(query_id, _document_id(document, place))
    for corpus in as_list(values["corpus"]):
        builder.document_streams += [stream_documents(file) for file in _corpus_files(path, corpus)]


def _document_id(document: object, place: Place) -> str:
    return as_id(take(document, ("id",), place) if isinstance(document, Mapping) else document, place)


def _corpus_files(path: Path, corpus: object) -> list[Path]:
    """Return the files of a corpus entry (`{"path": folder}` or the folder itself), relative to the JSON file."""
    name = corpus.get("path") if isinstance(corpus, Mapping) else corpus
    folder = path.parent / str(name)
    files = [folder] if folder.is_file() else files_named(folder, "*.parquet", "*.jsonl")
    if not files:
        raise InputError(
            f"its corpus {str(name)!r} holds no Parquet or JSONL file",
            path=path,
            hint="is the corpus folder beside it?",
        )
    return files
