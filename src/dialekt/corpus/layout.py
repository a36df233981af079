"""Which of the known layouts a path has: BEIR folder, files of rows, JSON corpus, folder of files."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import CorpusConfig, CorpusFormat
from dialekt.corpus.files import document_files
from dialekt.corpus.readers import holds_documents
from dialekt.errors import InputError
from dialekt.store.rows import bare_suffix

TABLE_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
CORPUS_NAMES = ("corpus", "collection", "documents")
NO_PAGES = frozenset(("README", "LICENSE", "LICENCE", "SOURCE", "NOTICE", "CHANGELOG"))  # beside tables
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


def find_layout(path: Path, config: CorpusConfig, *, inline: bool, excluded: Collection[Path] = ()) -> Layout:
    """Look at the path and decide.

    `inline` says that judgments brought texts of their own, so that a folder that holds only pair files is no
    mistake and the README beside them is no corpus. Folders in `excluded` are no part of a folder of files.

    Raises `InputError` when the path does not exist or does not have the layout that `corpus.format` names.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", path=path, hint="correct corpus.path")
    if path.is_file():
        layout = _file_layout(path, config, inline=inline)
    else:
        layout = _folder_layout(path, config, inline=inline, excluded=excluded)
    if not layout.found and not inline:
        raise InputError(
            "holds no documents that can be read",
            path=path,
            hint="expected corpus.jsonl, rows with a text column, or Markdown, HTML, PDF or text files",
        )
    return layout


def _file_layout(path: Path, config: CorpusConfig, *, inline: bool) -> Layout:
    is_table = bare_suffix(path) in (*TABLE_SUFFIXES, ".json")
    if config.format is CorpusFormat.FILES or (config.format is CorpusFormat.AUTO and not is_table):
        return Layout(CorpusFormat.FILES, path.parent, files=(path,))
    pairs_only = inline and is_table and not holds_documents(path, config)
    return Layout(CorpusFormat.ROWS, path.parent, tables=() if pairs_only else (path,))


def _folder_layout(path: Path, config: CorpusConfig, *, inline: bool, excluded: Collection[Path]) -> Layout:
    named = _named_corpus(path)
    if config.format is CorpusFormat.FILES:
        return Layout(CorpusFormat.FILES, path, files=document_files(path, excluded=excluded))
    if config.format is CorpusFormat.BEIR or (named and config.format is CorpusFormat.AUTO):
        return Layout(CorpusFormat.BEIR, path, tables=named)
    documents = tuple(table for table in _tables(path) if holds_documents(table, config))
    files = () if config.format is CorpusFormat.ROWS else document_files(path, excluded=excluded)
    pages = [file for file in files if file.stem.upper() not in NO_PAGES]
    if len(pages) > len(documents):  # pages with a table among them
        return Layout(CorpusFormat.FILES, path, files=files)
    if documents or config.format is CorpusFormat.ROWS or (inline and _pair_files(path)):
        return Layout(CorpusFormat.ROWS, path, tables=documents)
    return Layout(CorpusFormat.FILES, path, files=files)


def _pair_files(folder: Path) -> bool:
    """Say whether rows of any kind lie where judgments look for them: the folder and its `data/`."""
    found = (file for parent in (folder, folder / "data") if parent.is_dir() for file in parent.iterdir())
    return any(bare_suffix(file) in (*TABLE_SUFFIXES, ".json") for file in found)


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
