"""LlamaIndex `EmbeddingQAFinetuneDataset`: one JSON object with `queries`, `corpus` and `relevant_docs`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_id, as_list, as_text
from dialekt.pairs.formats.files import row_files
from dialekt.store.rows import read_json

LOOKS_FOR = 'a .json object {"queries": {…}, "corpus": {…}, "relevant_docs": {…}}'
_PARTS = ("queries", "corpus", "relevant_docs")


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the object has LlamaIndex's three parts."""
    return all(isinstance(values.get(part), dict) for part in _PARTS)


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read the object of one file, or those of a folder with a file per split."""
    for path, split in row_files(source.path):
        _read_file(path, builder, split=split)


def _read_file(path: Path, builder: JudgmentsBuilder, *, split: str) -> None:
    values = read_json(path)
    place = Place(path)
    if not isinstance(values, dict) or not in_row(values):
        raise InputError("is no LlamaIndex data set", path=path, hint=f"expected {LOOKS_FOR}")
    for query_id, text in values["queries"].items():
        builder.add_query(query_id, as_text(text, place), place=place)
    for document_id, text in values["corpus"].items():
        builder.add_document(document_id, as_text(text, place), place=place)
    for query_id, documents in values["relevant_docs"].items():
        for document_id in as_list(documents):
            builder.add_qrel(query_id, as_id(document_id, place), 1.0, split)
