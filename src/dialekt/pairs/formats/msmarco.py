"""MS MARCO folder: `queries.*.tsv`, `qrels.*.tsv`, `qidpidtriples.*.tsv` (given negatives), `collection.tsv`."""

from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_id, split_of_name
from dialekt.pairs.formats.files import files_named, read_qrels, read_queries, stream_documents
from dialekt.store.rows import read_lines

LOOKS_FOR = "a folder with queries.*.tsv and qrels.*.tsv"


def in_folder(folder: Path) -> bool:
    """Tell whether the folder has queries and qrels under MS MARCO's names."""
    return bool(files_named(folder, "queries.*.tsv") and files_named(folder, "qrels.*.tsv"))


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read queries, qrels with the split of their names, triples as given negatives, and the collection if there."""
    if not in_folder(source.path):
        raise InputError("is no MS MARCO folder", path=source.path, hint=f"expected {LOOKS_FOR}")
    for path in files_named(source.path, "queries.*.tsv"):
        read_queries(path, builder, time_field=source.time_field)
    for path in files_named(source.path, "qrels.*.tsv"):
        read_qrels(path, builder, split=split_of_name(path))
    for path in files_named(source.path, "qidpidtriples*.tsv"):
        _read_triples(path, builder)
    for path in files_named(source.path, "collection.tsv"):
        builder.document_streams.append(stream_documents(path, header=("pid", "text")))


def _read_triples(path: Path, builder: JudgmentsBuilder) -> None:
    for text, line in read_lines(path):
        if not text.strip():
            continue
        cells = text.split()
        if len(cells) != 3:
            raise InputError(
                f"has {len(cells)} columns, expected 3 (query, positive, negative)",
                path=path,
                line=line,
                hint="is the line cut short?",
            )
        place = Place(path, line)
        builder.add_negative(as_id(cells[0], place), as_id(cells[2], place))
