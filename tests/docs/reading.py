"""The documentation as tests see it: pages, fenced blocks, tables, links.

What happens to a fenced block is told by its language:

    python    executed, page by page, in a copy of a finished project
    console   executed too: each line after "$ " is a command, what follows is its output; "…" stands for anything
    bash      not executed, but every dialekt command, option, make target and extra in it must exist
    toml      must be a valid dialekt.toml
    json      must be JSON
    text      left alone
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
LANGUAGES = ("python", "console", "bash", "toml", "json", "text")

_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its first line, counted from 1."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{name(self.page)}:{self.line}"


@dataclass(frozen=True)
class Call:
    """A command of a console block with the output that the page shows."""

    command: str
    output: str


def name(page: Path) -> str:
    """Return the page's path from the repository's root."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in some languages, or in any."""
    return [block for page in PAGES for block in blocks_of(page) if not languages or block.language in languages]


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        yield Block(page, line, match["language"], match["text"])


def calls(block: Block) -> Iterator[Call]:
    """Yield the commands of a console block."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Call(command, output.rstrip("\n"))


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links."""
    return [match["target"] for match in _LINK.finditer(prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors that MkDocs gives to a page's headings."""
    headings = (match["text"].lower() for match in _HEADING.finditer(prose(page)))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading)).strip("-") for heading in headings}


def rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of all tables that stand under a heading, titles and rules left out."""
    section = re.split(r"^#{1,6} +", prose(page).partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found: list[list[str]] = []
    lines = section.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("|---") and not following.startswith("|---"):
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found
