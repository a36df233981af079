"""The tables of the stage as a BEIR-like folder, and any table of documents as the list of those that exist."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dialekt.errors import InputError
from dialekt.logs.records import QRELS_NAME, QUERIES_NAME, LogQrel, LogQuery
from dialekt.store.rows import bare_suffix, read_rows
from dialekt.store.tables import read_records, write_records

ID_NAMES = ("_id", "id", "doc_id", "docid", "document_id")
QRELS_HEADER = "query-id\tcorpus-id\tscore"
WITHOUT_TIMES = "train"  # the file of judgments that belong to no split


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document that exists. `parent_id` is the whole document that a chunk belongs to."""

    id: str
    parent_id: str


def write_beir(folder: Path) -> None:
    """Write `queries.jsonl` and `qrels/<split>.tsv` beside the stage's tables."""
    queries = read_records(folder / QUERIES_NAME, LogQuery)
    lines = (json.dumps({"_id": query.id, "text": query.text}, ensure_ascii=False) for query in queries)
    (folder / "queries.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    by_split: dict[str, list[str]] = defaultdict(lambda: [QRELS_HEADER])
    for qrel in read_records(folder / QRELS_NAME, LogQrel):
        by_split[qrel.split or WITHOUT_TIMES].append(f"{qrel.query_id}\t{qrel.document_id}\t{qrel.grade:g}")
    (folder / "qrels").mkdir()
    for split, rows in by_split.items():
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def known_documents(corpus: Path, folder: Path) -> Path:
    """Return a table of the documents' ids: the corpus artefact itself, or one made of a file of rows.

    Raises `InputError` for rows without an id.
    """
    table = corpus / "documents.parquet" if corpus.is_dir() and (corpus / "documents.parquet").is_file() else corpus
    if bare_suffix(table) == ".parquet":
        return table
    written = folder / "known_documents.parquet"
    write_records(written, _known(_rows_file(table)), KnownDocument)
    return written


def _rows_file(corpus: Path) -> Path:
    inside = (corpus / name for name in ("corpus.jsonl", "corpus.jsonl.gz"))
    return next((file for file in inside if file.is_file()), corpus) if corpus.is_dir() else corpus


def _known(path: Path) -> Iterator[KnownDocument]:
    for row in read_rows(path):
        name = next((name for name in ID_NAMES if row.values.get(name) not in {None, ""}), None)
        if name is None:
            raise InputError(
                "the document has no id", path=path, line=row.line, hint=f"name it one of {', '.join(ID_NAMES)}"
            )
        identity = str(row.values[name])
        yield KnownDocument(identity, identity)
