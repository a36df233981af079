"""Reads a report back as a browser would: tags in balance, tables as rows of text, addresses that would be loaded."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "circle", "line", "path", "rect"}
LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href"}


class Reader(HTMLParser):
    """Collects what the tests ask about; raises `AssertionError` at the first tag out of balance."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.labels: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, its anchor, its link and what it would load."""
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                assert value not in self.anchors, f"id {value!r} is given twice"
                self.anchors.add(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name in LOADING:
                self.loads.append(value or "")
        if tag == "svg":
            self.labels.append(dict(attrs).get("aria-label") or "")
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser gives it
        """Note a tag that closes itself."""
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check the balance and keep a finished table."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        """Add text to the caption or cell it stands in."""
        if "caption" in self.open:
            self._caption = data
        elif "svg" not in self.open and ("td" in self.open or "th" in self.open):
            self._rows[-1][-1] = f"{self._rows[-1][-1]} {data.strip()}".strip()


def read(html: str) -> Reader:
    """Return a report as read to its end, with every tag closed."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    return reader


def drawings(html: str) -> list[str]:
    """Return every inline SVG."""
    return re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)


def unescaped(markdown: str) -> str:
    """Return Markdown without its backslashes before special characters."""
    return re.sub(r"\\([\\`*_\[\]<>|~#])", r"\1", markdown).replace("&amp;", "&")
