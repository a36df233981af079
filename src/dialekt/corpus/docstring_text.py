"""A raw docstring → the natural language in it: one summary sentence and the prose that follows."""

import re
import textwrap
from dataclasses import dataclass

SUMMARY_WORDS = range(4, 41)
MINIMUM_BODY_WORDS = 12
MAXIMUM_BODY_CHARACTERS = 1_200

_DROPPED_DIRECTIVES = (
    "admonition|attention|autoclass|autofunction|automodule|autosummary|bibliography|code|code-block|codeblock"
    "|currentmodule|deprecated|doctest|figure|highlight|image|include|index|ipython|jupyter-execute|legacy"
    "|list-table|literalinclude|math|minigallery|module|parsed-literal|plot|raw|rubric|sourcecode|table|testcode"
    "|testoutput|testsetup|toctree|versionadded|versionchanged|versionremoved|wavedrom"
)
# A directive whose content is no prose, a footnote, a link target, the heading of a Google-style section of code.
_DROPPED_BLOCK = re.compile(
    rf"^[ \t]*(?:\.\.[ \t]+(?:(?:{_DROPPED_DIRECTIVES})[ \t]*::|_|\[|\|)"
    r"|(?:examples?|references?|usage|attributes|methods)::?[ \t]*$)",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"^[ \t]*([-=~^*#\"'+`])\1{2,}[ \t]*$")
_NOISE = re.compile(r"^[ \t]*(?::[\w-]+:[ \t]*[\w./-]*[ \t]*$|[-=~^*#\"'+`|\s]{3,}$|\+--|\+==|[|!])")
# Directive names, Markdown quotes with their [!TIP], the second colon before a literal block.
_LINE_MARKUP = re.compile(r"^[ \t]*\.\.[ \t]+[\w-]+[ \t]*::[ \t]*|^[ \t]*(?:>[ \t]?)+(?:\[!\w+\])?|(?<=:):[ \t]*$")
_DROPPED_SECTION = re.compile(
    r"^(?:examples?|references?|see also|notes? to self|usage|methods|attributes|doctest|bibliography|demo)s?:*$",
    re.IGNORECASE,
)
_SECTION = re.compile(
    r"^(?:parameters|other parameters|args|arguments|keyword args|keyword arguments|kwargs|returns?|yields?|raises?"
    r"|warns|warnings?|notes?|explanation|shape|inputs?|outputs?|options|description|algorithm|details|receives)s?:*$",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?<![\w^}\\])\{\{?\w*\}?\}(?!\w)|%\(\w+\)s|^[ \t]*%s[ \t]*$|\|\w+\||Read more in the :ref:`[^`]*`\.?"
)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)
_TAGS = re.compile(r"</?(?:Tip|Added|Deprecated|Changed|br|p|b|i|code|pre|div|span|a|img)\b[^>]*>", re.IGNORECASE)

# (what must be in the text for the pattern to be worth trying, pattern, replacement)
_INLINE = (
    ("`", re.compile(r":[\w:+-]+:`([^`<]*?)\s*<[^`>]*>`"), r"\1"),  # :ref:`text <target>`
    ("`", re.compile(r":[\w:+-]+:`[~!]?(?:[\w.]*\.)?([^`]*)`"), r"\1"),  # :func:`~scipy.linalg.solve`
    ("`", re.compile(r"`([^`<\n]*?)\s*<[^`>]*>`_{0,2}"), r"\1"),  # `text <https://...>`_
    ("](", re.compile(r"!?\[([^\]\[]*)\]\((?:[^()\s]|\([^()\s]*\))*\)"), r"\1"),  # [text](target)
    ("[`", re.compile(r"\[`[~!]?(?:\w+\.)*([^`\]]*)`\]"), r"\1"),  # [`~trainer.Trainer`]
    ("]_", re.compile(r"\s*\[[\w#*-]+\]_(?!\w)"), ""),  # [1]_, [Knuth97]_
    ("`", re.compile(r"``([^`]*)``_{0,2}|`([^`]*)`_{0,2}"), r"\1\2"),
    ("**", re.compile(r"(?<![\w*])\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(?![\w*])"), r"\1"),
    ("*", re.compile(r"(?<![\w*])\*(?=\w)([^*\n]+?)(?<=\w)\*(?![\w*])"), r"\1"),
    ("\\", re.compile(r"\\(?:text|mathrm|mathbf|mathbb|mathcal|operatorname|textbf|textit)\{([^{}]*)\}"), r"\1"),
    ("\\", re.compile(r"\\(?:left|right|quad|qquad|[,;!])(?![A-Za-z])"), " "),
    ("\\", re.compile(r"\\([A-Za-z]+|[*_|`\\{} ])"), r"\1"),  # \alpha, \*args
    ("$", re.compile(r"\$+([^$]*)\$+"), r"\1"),
    ("://", re.compile(r"<?https?://[^\s)>\]]+>?"), ""),
    (" ", re.compile(r"\s+([,.;:)](?:\s|$))"), r"\1"),
    ("(", re.compile(r"\s?\(\s*\)(?!\w)(?<=\s\(\))"), ""),
    ("  ", re.compile(r" {2,}"), " "),
)

_SIGNATURE = re.compile(r"^[\w.*]+\s*\([^)]*.*\)\s*(?:(?:->|→).*|:)?$", re.DOTALL)
_SENTENCE_END = re.compile(
    r"(?<![.\s][a-zA-Z])(?<!etc)(?<!\bvs)(?<!\bcf)[.!?][\"')\]]*(?=\s+[\"'(\[]?[A-Z0-9])|:(?=\s+[-*] )"
)
_UNNATURAL_START = re.compile(
    r"^(?:deprecated|alias|see|refer|same as|inherit|auto-?generated|todo|fixme|warning|note|internal|private"
    r"|helper|hack|mock|stub|placeholder|undocumented|not implemented|this is an? (?:internal|private)"
    r"|wrapper (?:for|around)|\w+\s*[:(=]|in-place version|override|overrides|overridden|usage|example|copyright"
    r"|adapted from|copied from|this function takes the|constructs? an? \w+ configuration"
    r"|instantiat\w+ an? configuration)",
    re.IGNORECASE,
)
_UNNATURAL_PART = re.compile(
    r"[=<>{}\\|@^]|->|::|__|https?:|\bdeprecated\b|\bself\b|\bTODO\b|\.py\b|\w\(\w*[,)]", re.IGNORECASE
)
_DEPRECATED_BODY = re.compile(
    r"^\W*(?:deprecat|this (?:function|method|class|module) (?:is|was|has been) deprecat)", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Described:
    """A summary sentence and the text that explains it, neither containing the other."""

    summary: str
    body: str


def describe(docstring: str) -> Described | None:
    """Return the summary and the rest of a docstring, or None where either is no natural text of useful length."""
    if len(docstring.split(maxsplit=SUMMARY_WORDS[0] + MINIMUM_BODY_WORDS)) < SUMMARY_WORDS[0] + MINIMUM_BODY_WORDS:
        return None
    paragraphs = _paragraphs(docstring)
    while paragraphs and _SIGNATURE.match(paragraphs[0]):
        paragraphs = paragraphs[1:]
    if not paragraphs:
        return None
    summary, rest = _first_sentence(paragraphs[0])
    body = _cap("\n".join(part for part in (rest, *paragraphs[1:]) if part))
    if not _is_natural_summary(summary) or not _is_natural_body(body) or normalise(summary) in normalise(body):
        return None
    return Described(summary, body)


def normalise(text: str) -> str:
    """Return the words of a text in lower case: what is compared to find repetitions."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _paragraphs(docstring: str) -> list[str]:
    first, newline, rest = docstring.strip("\n").partition("\n")
    text = _TAGS.sub("", _FENCE.sub("", first.strip() + newline + textwrap.dedent(rest.expandtabs())))
    paragraphs: list[str] = []
    current: list[str] = []
    for line in [*_prose_lines(text.split("\n")), ""]:
        if line.strip() and not _SECTION.match(line.strip()):
            current.append(line.strip())
        elif current:
            paragraphs.append(_clean_inline(" ".join(current)))
            current = []
    return [paragraph for paragraph in paragraphs if paragraph.strip(" .:-*")]


def _prose_lines(lines: list[str]) -> list[str]:
    """Keep the lines of prose: no code, doctests, formulas, tables, references, nor sections that hold those."""
    skipped = _Skipped()
    kept = []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if not line.strip():
            skipped.in_doctest = False
            kept.append("")
        elif not skipped.covers(line, below):
            kept.append(_PLACEHOLDER.sub("", _LINE_MARKUP.sub("", line)))
    return kept


@dataclass
class _Skipped:
    """What is being skipped while lines go by: an indented block, a section, a doctest."""

    deeper_than: int | None = None
    in_section: bool = False
    in_doctest: bool = False

    def covers(self, line: str, below: str) -> bool:
        """Take the next line that is not empty and say whether it is skipped."""
        indent = len(line) - len(line.lstrip())
        if self.deeper_than is not None and indent > self.deeper_than:
            return True
        self.deeper_than = indent if _DROPPED_BLOCK.match(line) or line.rstrip().endswith("::") else None
        self._follow_sections(line.strip(), indent, below)
        self.in_doctest = self.in_doctest or line.lstrip().startswith((">>>", "In ["))
        return self.in_section or self.in_doctest or bool(_DROPPED_BLOCK.match(line) or _NOISE.match(line))

    def _follow_sections(self, stripped: str, indent: int, below: str) -> None:
        underlined = bool(_UNDERLINE.match(below)) and len(stripped.split()) <= 4
        if _DROPPED_SECTION.match(stripped) and (underlined or stripped.endswith(":")):
            self.in_section = underlined
            self.deeper_than = indent
        elif underlined:
            self.in_section = False


def _clean_inline(text: str) -> str:
    for needed, pattern, replacement in _INLINE:
        if needed in text:
            text = pattern.sub(replacement, text)
    return text.strip()


def _first_sentence(paragraph: str) -> tuple[str, str]:
    end = _SENTENCE_END.search(paragraph)
    summary, rest = (paragraph[: end.end()], paragraph[end.end() :]) if end else (paragraph, "")
    return summary.strip().rstrip(".:").strip(), rest.strip()


def _is_natural_summary(summary: str) -> bool:
    words = summary.split()
    return (
        len(words) in SUMMARY_WORDS
        and summary[0].isalpha()
        and summary.count("(") == summary.count(")")
        and len(_WORD.findall(summary)) >= max(4, 0.75 * len(words))
        and not _UNNATURAL_START.match(summary)
        and not _UNNATURAL_PART.search(summary)
        and summary.isascii()
    )


def _is_natural_body(body: str) -> bool:
    words = body.split()
    return (
        len(words) >= MINIMUM_BODY_WORDS
        and len(_WORD.findall(body)) >= 0.6 * len(words)
        and not _DEPRECATED_BODY.match(body)
        and sum(map(str.isalpha, body)) + sum(map(str.isspace, body)) >= 0.75 * len(body)
    )


def _cap(body: str) -> str:
    """Cut a long body at the last sentence or line end before the limit."""
    if len(body) <= MAXIMUM_BODY_CHARACTERS:
        return body
    head = body[:MAXIMUM_BODY_CHARACTERS]
    end = max(head.rfind(". "), head.rfind("\n"), head.rfind(".\n"))
    return head[: end + 1].strip() if end > MAXIMUM_BODY_CHARACTERS // 2 else head.rsplit(" ", 1)[0]
