"""Markdown that says what was meant: text that cannot turn into markup, code that cannot leave its fence."""

import re

from markupsafe import Markup

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")
_BLANK_LINES = re.compile(r"\n{3,}")


def escape(text: str) -> Markup:
    """Return text in one line in which no character has a meaning in Markdown, tables or HTML."""
    line = " ".join(str(text).split())
    return Markup(_SPECIAL.sub(r"\\\1", line.replace("&", "&amp;")))  # noqa: S704 - escaped on this very line


def fence(text: str) -> Markup:
    """Return lines as a code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return Markup(f"{marks}sh\n{text}\n{marks}")  # noqa: S704 - a fence holds text as it is


def tidy(text: str) -> str:
    """Return Markdown with at most one empty line between blocks and one line end at the end."""
    return _BLANK_LINES.sub("\n\n", text).strip() + "\n"
