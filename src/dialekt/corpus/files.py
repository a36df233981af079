"""A folder of Markdown, HTML, PDF, Word and text files → one document per file."""

import importlib.util
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Set
from pathlib import Path

from dialekt.corpus.records import FoundDocument
from dialekt.errors import MissingExtraError

PLAIN_SUFFIXES = (".txt", ".text", ".md", ".markdown", ".rst")
CONVERTED_SUFFIXES = (".html", ".htm", ".pdf", ".docx")
CONVERTER_MODULES = {".pdf": "pdfminer", ".docx": "mammoth"}
HEADED_SUFFIXES = (".md", ".markdown", ".rst", *CONVERTED_SUFFIXES)

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n(?:---|\.\.\.)\s*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_HEADING = re.compile(
    r"^(?:#{1,6}[ \t]+(?P<marked>[^\n]+?)[ \t]*#*[ \t]*$|(?P<underlined>[^\n]+)\n(?:={3,}|-{3,})[ \t]*$)",
    re.MULTILINE,
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s\"[^\"\n]*\")?\)")
_TEXT_BEFORE_HEADING = 400  # characters; a heading further down heads a section, not the document


def document_files(folder: Path, *, excluded: Collection[Path] = ()) -> tuple[Path, ...]:
    """Return the documents under a folder in the order of their relative paths, without hidden and excluded ones."""
    found = []
    for parent, folders, names in os.walk(folder):
        inner = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in inner if Path(parent, name).resolve() not in excluded]
        found += [Path(parent, name) for name in names if not name.startswith(".") and is_document(Path(name))]
    return tuple(sorted(found, key=lambda file: file.relative_to(folder).as_posix()))


def is_document(path: Path) -> bool:
    """Say whether a file of this name is a document."""
    return path.suffix.lower() in (*PLAIN_SUFFIXES, *CONVERTED_SUFFIXES)


class UnreadableFileError(Exception):
    """One file cannot be read; the others can. The message is the reason that is counted."""


def read_files(files: tuple[Path, ...], root: Path, *, unreadable: Counter[str]) -> Iterator[FoundDocument]:
    """Yield one document per file; its id is the path relative to `root`.

    A file that cannot be read is counted in `unreadable` by its reason.

    Raises `MissingExtraError` when a file needs the converter and it is not installed.
    """
    suffixes = {file.suffix.lower() for file in files}.intersection(CONVERTED_SUFFIXES)
    convert = _converter(suffixes) if suffixes else None
    for file in files:
        suffix = file.suffix.lower()
        try:
            named, text = convert(file) if convert and suffix in CONVERTED_SUFFIXES else ("", _read_plain(file))
        except UnreadableFileError as error:
            unreadable[f"unreadable file: {error}"] += 1
            continue
        heading, body = split_title(text) if suffix in HEADED_SUFFIXES else ("", text)
        title = (heading or named or file.stem) if body.strip() else ""
        yield FoundDocument(id=file.relative_to(root).as_posix(), title=title, text=body, path=file)


def split_title(markdown: str) -> tuple[str, str]:
    """Return the title (front matter, else the first heading, else "") and the text without it.

    Links keep their words and lose their targets. A document that is nothing but its
    heading keeps the heading as its text.
    """
    front = _FRONT_MATTER.match(markdown)
    body = _COMMENT.sub("", markdown[front.end() :] if front else markdown)
    body = _LINK.sub(r"\1", body)
    named = _FRONT_TITLE.search(front.group(1)) if front else None
    heading = _HEADING.search(body, 0, _TEXT_BEFORE_HEADING)
    title = (heading["marked"] or heading["underlined"]).strip() if heading else ""
    if heading and not named and (rest := body[: heading.start()] + body[heading.end() :]).strip():
        body = rest
    return (named.group(1).strip("\"'") if named else title), body


def _read_plain(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(error.strerror or "cannot be opened") from None
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise UnreadableFileError("not UTF-8") from None


def _converter(suffixes: Set[str]) -> Callable[[Path], tuple[str, str]]:
    """Return a function from file to title ("" if it names none) and Markdown, through markitdown."""
    for module in (
        "markitdown",
        *(CONVERTER_MODULES[suffix] for suffix in suffixes & CONVERTER_MODULES.keys()),
    ):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("files", needed_for=f"reading {', '.join(sorted(suffixes))} files")
    from markitdown import MarkItDown, MarkItDownException

    converter = MarkItDown(enable_plugins=False)

    def convert(path: Path) -> tuple[str, str]:
        try:
            result = converter.convert_local(path)
        except MarkItDownException:
            raise UnreadableFileError(f"damaged or protected {path.suffix.lower()}") from None
        except OSError as error:
            raise UnreadableFileError(error.strerror or "cannot be opened") from None
        if result.markdown.startswith("%PDF-"):  # a cut PDF passes for plain text
            raise UnreadableFileError("damaged or protected .pdf")
        return result.title or "", result.markdown

    return convert
