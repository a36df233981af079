"""GPL folder: generated queries and qrels (`qgen-*`), `hard-negatives.jsonl`; the corpus room reads `corpus.jsonl`."""

from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.formats import beir
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_id, as_list, split_of_name, take
from dialekt.pairs.formats.files import files_named, read_qrels, read_queries
from dialekt.store.rows import read_rows

LOOKS_FOR = "a folder with qgen-queries.jsonl and qgen-qrels/train.tsv"


def in_folder(folder: Path) -> bool:
    """Tell whether the folder has generated queries under GPL's names, whatever their prefix."""
    return bool(_query_files(folder) and _qrel_files(folder))


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read the generated queries as train, the negatives of all retrievers, and human BEIR judgments if there."""
    if not in_folder(source.path):
        raise InputError("is no GPL folder", path=source.path, hint=f"expected {LOOKS_FOR}")
    for path in _query_files(source.path):
        read_queries(path, builder, time_field=source.time_field)
    for path in _qrel_files(source.path):
        read_qrels(path, builder, split=split_of_name(path) or "train")
    for path in files_named(source.path, "hard-negatives.jsonl"):
        _read_negatives(path, builder)
    if beir.in_folder(source.path):
        beir.read(source, builder)


def _query_files(folder: Path) -> list[Path]:
    return files_named(folder, "*-queries.jsonl")


def _qrel_files(folder: Path) -> list[Path]:
    return [path for inner in sorted(folder.glob("*-qrels")) for path in files_named(inner, "*.tsv")]


def _read_negatives(path: Path, builder: JudgmentsBuilder) -> None:
    for row in read_rows(path):
        place = Place(path, row.line)
        query_id = as_id(take(row.values, ("qid",), place), place)
        by_retriever = take(row.values, ("neg",), place)
        groups = by_retriever.values() if isinstance(by_retriever, dict) else [by_retriever]
        for document_id in (item for group in groups for item in as_list(group)):
            builder.add_negative(query_id, as_id(document_id, place))
