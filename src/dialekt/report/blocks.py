"""The parts of a page, as values: both templates show the same blocks, so HTML and Markdown hold the same facts."""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

SLIM_COLUMNS = 4
"""A table of up to this many columns is not stretched over the full width, which would tear its rows apart."""


@dataclass(frozen=True, slots=True)
class Column:
    """A table column. A `graphic` column holds a drawing of numbers that other columns spell out."""

    title: str
    numeric: bool = False
    graphic: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell: its text, a smaller second line, and how it is marked."""

    text: str = ""
    detail: str = ""
    best: bool = False
    code: bool = False
    tag: str = ""
    graphic: Markup | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One table row; `notes` are shown below it over the full width."""

    cells: tuple[Cell, ...]
    highlighted: bool = False
    notes: "tuple[Note, ...]" = ()


@dataclass(frozen=True, slots=True)
class Note:
    """A named text below a table row."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; a `collapsed` one opens on a click and is always there in print and Markdown."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    collapsed: bool = False
    kind: ClassVar[str] = "table"

    @property
    def is_slim(self) -> bool:
        """Whether the table has so few columns that it keeps to a part of the width."""
        return len(self.columns) <= SLIM_COLUMNS and not any(column.wide for column in self.columns)


@dataclass(frozen=True, slots=True)
class TablePair:
    """Two tables of the same shape: side by side where the page is wide enough."""

    tables: tuple[Table, ...]
    kind: ClassVar[str] = "pair"


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Names and values that need no rows of their own; a `code` value is shown letter by letter."""

    caption: str
    pairs: tuple[tuple[str, str], ...]
    code: bool = False
    collapsed: bool = False
    note: str = ""
    kind: ClassVar[str] = "values"


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawing. `narrow` replaces `drawing` on a small screen, where the wide one would be too small to read."""

    drawing: Markup
    title: str = ""
    narrow: Markup | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One or more drawings with a caption, and the numbers behind them as a table."""

    title: str
    caption: str
    panels: tuple[Panel, ...]
    table: Table | None = None
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain running text."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A short list; `warning` marks what the reader must not overlook."""

    items: tuple[str, ...]
    title: str = ""
    warning: bool = False
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be typed as they stand."""

    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do: what, why, and what to type where there is such a command."""

    action: str
    why: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """Things to do, the most important first."""

    items: tuple[Step, ...]
    kind: ClassVar[str] = "steps"


Block = Table | TablePair | KeyValues | Figure | Paragraph | Bullets | Code | Steps


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter: heading, one sentence that says what to see in it, and its blocks.

    A `folded` one shows its heading only and opens on a click; in print and in Markdown it is open.
    """

    anchor: str
    title: str
    lead: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """A key number at the top of the page."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Hero:
    """The one number of the page, what it counts, and drawings that show how sure it is; `lines` say them in words."""

    value: str
    caption: str
    panels: tuple[Panel, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page in one sentence: what to do, the evidence for it; then why.

    `tone` is good, caution or neutral and colours the mark beside `label`. A `hero` shows the evidence large, so the
    headline does not repeat it.
    """

    headline: str
    evidence: str
    reasons: tuple[str, ...]
    label: str
    tone: str
    hero: Hero | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page; `kind` is what it calls itself."""

    project: str
    created: str
    verdict: Verdict
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    kind: str = "report"
