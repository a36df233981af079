"""BEIR folder: `queries.jsonl`, `qrels/{train,dev,test}.tsv` or `qrels.tsv`; the corpus room reads `corpus.jsonl`."""

from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Source
from dialekt.pairs.formats.fields import split_of_name, split_of_value
from dialekt.pairs.formats.files import files_named, read_qrels, read_queries

LOOKS_FOR = "a folder with queries.jsonl and qrels/*.tsv or qrels.tsv"


def in_folder(folder: Path) -> bool:
    """Tell whether the folder has BEIR's queries and qrels."""
    return bool(_query_files(folder) and _qrel_files(folder))


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read queries and qrels. Of several qrels files, those named exactly train, dev or test are the splits."""
    query_files, qrel_files = _query_files(source.path), _qrel_files(source.path)
    if not query_files or not qrel_files:
        raise InputError("is no BEIR folder", path=source.path, hint=f"expected {LOOKS_FOR}")
    for path in query_files:
        read_queries(path, builder, time_field=source.time_field)
    named = {path: split_of_value(path.name.split(".")[0]) for path in qrel_files}
    exact = any(named.values())
    for path in qrel_files:
        if exact and not named[path]:
            builder.warnings.append(f"{path.name} was left out: its name is not train, dev or test")
            continue
        read_qrels(path, builder, split=named[path] if exact else split_of_name(path))


def _query_files(folder: Path) -> list[Path]:
    return files_named(folder, "queries.jsonl", "queries.parquet")[:1]


def _qrel_files(folder: Path) -> list[Path]:
    return files_named(folder / "qrels", "*.tsv") or files_named(folder, "qrels.tsv")
