"""TREC qrels (`query 0 document grade` per line) with a file of queries beside them."""

from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Source
from dialekt.pairs.formats.fields import split_of_name
from dialekt.pairs.formats.files import files_named, first_cells, is_qrels_header, read_qrels, read_queries
from dialekt.store.rows import bare_suffix

LOOKS_FOR = "a folder with *qrels* (query 0 document grade) and queries.tsv, topics.tsv or queries.jsonl"
_QRELS_SUFFIXES = {".txt", ".tsv", ".qrels", ".qrel", ".trec", ""}


def in_folder(folder: Path) -> bool:
    """Tell whether the folder has qrels and queries in the manner of TREC."""
    return bool(_qrel_files(folder) and _query_files(folder))


def is_qrels_file(path: Path) -> bool:
    """Tell whether a file is qrels: four columns with a grade last, or a header that says so."""
    if bare_suffix(path) not in _QRELS_SUFFIXES:
        return False
    cells = first_cells(path)
    if len(cells) == 4:
        return not is_qrels_header(cells)
    return [cell.lower() for cell in cells] == ["query-id", "corpus-id", "score"]


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read the qrels of a folder, or one qrels file with the queries beside or above it."""
    path = source.path
    qrel_files = [path] if path.is_file() else _qrel_files(path)
    folders = [path.parent, path.parent.parent] if path.is_file() else [path]
    query_files = next((files for folder in folders if (files := _query_files(folder))), [])
    if not qrel_files or not query_files:
        missing = "queries" if qrel_files else "qrels"
        raise InputError(f"has no {missing} in the manner of TREC", path=path, hint=f"expected {LOOKS_FOR}")
    for file in query_files:
        read_queries(file, builder, time_field=source.time_field)
    for file in qrel_files:
        read_qrels(file, builder, split="" if path.is_file() else split_of_name(file))


def _query_files(folder: Path) -> list[Path]:
    return files_named(folder, "*queries*.tsv", "*queries*.jsonl", "*queries*.txt", "topics*.tsv", "topics*.txt")


def _qrel_files(folder: Path) -> list[Path]:
    inside = files_named(folder / "qrels", "*")
    return [
        path
        for path in inside or files_named(folder, "*qrel*")
        if bare_suffix(path) in _QRELS_SUFFIXES | {".train", ".dev", ".test"}
    ]
