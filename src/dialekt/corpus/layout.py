"""Which of the known layouts a path has: BEIR folder, files of rows, JSON corpus, folder of files."""

from dataclasses import dataclass
from pathlib import Path

from dialekt.config import CorpusConfig, CorpusFormat
from dialekt.corpus.fields import looks_like_documents
from dialekt.corpus.files import document_files
from dialekt.errors import InputError
from dialekt.store.rows import bare_suffix, read_rows

TABLE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
CORPUS_NAMES = ("corpus", "collection", "documents")
JUDGMENT_PREFIXES = ("queries", "qrels", "topics", "qgen-", "hard-negatives", "gpl-training")


@dataclass(frozen=True)
class Layout:
    """What to read: tables of rows, or files under `root` that are one document each. Both may be empty."""

    format: CorpusFormat
    root: Path
    tables: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.tables or self.files)


def find_layout(path: Path, config: CorpusConfig, *, inline: bool) -> Layout:
    """Look at the path and decide.

    `inline` says that judgments brought texts of their own, so that a folder that holds only pair files is no
    mistake and the README beside them is no corpus.

    Raises `InputError` when the path does not exist or does not have the layout that `corpus.format` names.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", path=path, hint="correct corpus.path")
    layout = (
        _file_layout(path, config, inline=inline)
        if path.is_file()
        else _folder_layout(path, config, inline=inline)
    )
    if not layout.found and not inline:
        raise InputError(
            "holds no documents that can be read",
            path=path,
            hint="expected corpus.jsonl, rows with a text column, or Markdown, HTML, PDF or text files",
        )
    return layout


def _file_layout(path: Path, config: CorpusConfig, *, inline: bool) -> Layout:
    suffix = bare_suffix(path)
    if config.format is CorpusFormat.FILES or (
        config.format is CorpusFormat.AUTO and suffix not in (*TABLE_SUFFIXES, ".json")
    ):
        return Layout(CorpusFormat.FILES, path.parent, files=(path,))
    if suffix == ".json":
        return Layout(CorpusFormat.ROWS, path.parent, tables=(path,))
    if inline and not _holds_documents(path, config):
        return Layout(CorpusFormat.ROWS, path.parent)
    return Layout(CorpusFormat.ROWS, path.parent, tables=(path,))


def _folder_layout(path: Path, config: CorpusConfig, *, inline: bool) -> Layout:
    wanted = config.format
    auto = wanted is CorpusFormat.AUTO
    named = _named_corpus(path) if wanted is not CorpusFormat.FILES else ()
    if named or wanted is CorpusFormat.BEIR:
        return Layout(CorpusFormat.BEIR, path, tables=named)
    tables = _tables(path)
    documents = tuple(table for table in tables if _holds_documents(table, config))
    files = document_files(path)
    if wanted is CorpusFormat.ROWS or (
        auto and tables and (inline or documents) and not _mostly_files(files, documents)
    ):
        return Layout(CorpusFormat.ROWS, path, tables=documents)
    if auto and inline and tables:
        return Layout(CorpusFormat.ROWS, path)
    return Layout(CorpusFormat.FILES, path, files=files)


def _mostly_files(files: tuple[Path, ...], tables: tuple[Path, ...]) -> bool:
    """Tell pages with a table among them from tables with a README and a LICENSE beside them."""
    pages = [
        file
        for file in files
        if file.stem.upper() not in {"README", "LICENSE", "LICENCE", "SOURCE", "NOTICE", "CHANGELOG"}
    ]
    return len(pages) > len(tables)


def _named_corpus(folder: Path) -> tuple[Path, ...]:
    """Find `corpus.jsonl[.gz]`, MS MARCO's `collection.tsv`, or a `corpus/` folder of row files."""
    tables = [table for table in _tables(folder) if table.name.split(".")[0] in CORPUS_NAMES]
    if tables:
        return (min(tables, key=lambda table: (CORPUS_NAMES.index(table.name.split(".")[0]), table.name)),)
    inner = folder / "corpus"
    return _tables(inner) if inner.is_dir() else ()


def _tables(folder: Path) -> tuple[Path, ...]:
    return tuple(
        file
        for file in sorted(folder.iterdir())
        if file.is_file()
        and bare_suffix(file) in TABLE_SUFFIXES
        and not file.name.startswith((".", *JUDGMENT_PREFIXES))
    )


def _holds_documents(path: Path, config: CorpusConfig) -> bool:
    first = next(read_rows(path), None)
    return first is not None and looks_like_documents(first.values, config)
