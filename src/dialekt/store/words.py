# ruff: noqa: RUF002 - Turkish has a letter i without a dot
"""The words of a text in any script, the same for every room that counts, compares or searches them.

Most scripts put blanks between words: there a word is a run of letters, digits and marks. Marks are no letters to `re`,
so that its `\\w+` tears हिन्दी and نُقْطَة apart. Chinese, Japanese, Thai, Lao, Khmer and Burmese write without blanks, and
telling their words takes a dictionary: there the unit is the ideograph, the kana, or the syllable as it is written (a
letter with its vowel signs), and rooms that search take overlapping pairs of units, as Lucene does.
"""

import re
import unicodedata
from itertools import pairwise

IDEOGRAPHS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
_SYLLABIC = (  # letters of Thai, Lao, Burmese and Khmer, without their marks and digits
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd\u0ec0-\u0ec6\u0edc-\u0edf"
    "\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u106e-\u1070\u1075-\u1081\u1780-\u17b3\u17d7\u17dc"
)
UNSPACED = IDEOGRAPHS + KANA + _SYLLABIC
"""The letters of scripts without blanks between words, as the inside of a regular expression's class."""

_LEADING, _FOLLOWING = "\u0e40-\u0e44\u0ec0-\u0ec4", "\u0e30\u0e32\u0e33\u0e45\u0e46\u0eb0\u0eb2\u0eb3\u0ec6"  # vowels
_STACKING = "\u1039\u17d2"  # the next letter is written below
JOINERS = "\u200c\u200d"
_OPTIONAL = re.compile(
    "[\u00ad\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u0652\u0670\ufe0e\ufe0f\u200c\u200d]"
)
_WIDE = re.compile("[\uff00-\uffef]+")
_ACCENTED = re.compile("([a-z\u03b1-\u03c9\u0430-\u0437\u0439-\u04ff])[\u0300-\u036f]+")
_DIGIT = re.compile(r"[^\W\D0-9]")
UNITS_PER_WORD = 2
"""How many ideographs, kana or syllables make a word on average, where a length in words is wanted."""


def _marks() -> str:
    """Return the combining marks up to U+FE2F as ranges, as the Unicode tables of this Python know them."""
    ranges: list[list[int]] = []
    for code in range(0x300, 0xFE30):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


MARKS = _marks()
UNIT = (
    rf"(?:[{_LEADING}]?[{UNSPACED}](?:[{_STACKING}][{UNSPACED}]|[{MARKS}])*[{_FOLLOWING}]*)"  # one unit without blanks
)
LETTERS = rf"(?:[^\W_{UNSPACED}](?:[^\W_{UNSPACED}]|[{MARKS}{JOINERS}])*)"
"""A run of letters, digits and marks of a script with blanks, without underscores."""

_CARE = re.compile(rf"[{UNSPACED}{MARKS}{JOINERS}]")  # without any of these, `\w+` finds the same
_PLAIN = re.compile(r"\w+")
_PLAIN_TOKEN = re.compile(r"[^\W_]+")
_RUN = re.compile(rf"(?P<units>{UNIT}+)|[^\W{UNSPACED}](?:[^\W{UNSPACED}]|[{MARKS}{JOINERS}])*")
_TOKEN = re.compile(rf"{UNIT}|{LETTERS}")
_UNIT = re.compile(UNIT)
_UNSPACED = re.compile(f"[{UNSPACED}]")
_STAYING, _LEADERS = frozenset(_FOLLOWING), frozenset(map(chr, (*range(0xE40, 0xE45), *range(0xEC0, 0xEC5))))


def may_break(text: str, place: int) -> bool:
    """Say whether a text without a blank at a place may be cut there: between two units of a script without blanks.

    A mark stays with its letter, and a vowel of Thai or Lao with its consonant, before it or after.
    """
    before, after = text[place - 1 : place], text[place : place + 1]
    if not has_unspaced(before + after) or after in _STAYING or before in _LEADERS:
        return False
    return _CARE.match(after) is None or _UNSPACED.match(after) is not None


def has_unspaced(text: str) -> bool:
    """Say whether a text has a letter of a script without blanks between words."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def is_unit(word: str) -> bool:
    """Say whether a word is one unit of a script without blanks."""
    return not word.isascii() and _UNIT.fullmatch(word) is not None


def find_words(text: str) -> list[str]:
    """Return the words of a text in order, as they are written; of scripts without blanks each unit.

    Underscores belong to words, as in identifiers.
    """
    if not _needs_care(text):
        return _PLAIN.findall(text)
    return [word for run in _runs(text) for word in run]


def find_terms(text: str) -> list[str]:
    """Return what a search compares: words, and overlapping pairs of units where there are no blanks.

    A unit that stands alone is a term by itself.
    """
    if not _needs_care(text):
        return _PLAIN.findall(text)
    return [term for run in _runs(text) for term in (map("".join, pairwise(run)) if len(run) > 1 else run)]


def run_ends(text: str) -> list[str]:
    """Return the last unit of every run without blanks of two units or more: no pair begins with it."""
    if not has_unspaced(text):
        return []
    return [run[-1] for run in _runs(text) if len(run) > 1]


def is_plain(text: str) -> bool:
    """Say whether a text is searched by its words as they stand: in one encoding, blanks between words, no marks."""
    if text.isascii():
        return True
    return not (_CARE.search(text) or _OPTIONAL.search(text) or _WIDE.search(text)) and unicodedata.is_normalized(
        "NFC", text
    )


def _needs_care(text: str) -> bool:
    return not text.isascii() and _CARE.search(text) is not None


def _runs(text: str) -> list[list[str]]:
    """Return each word by itself, and the units of each run without blanks together."""
    return [_UNIT.findall(found[0]) if found["units"] else [found[0]] for found in _RUN.finditer(text)]


def count_words(text: str) -> int:
    """Return a text's length in words as people count: parts between blanks; two units without blanks are one."""
    parts = text.split()
    if not has_unspaced(text):
        return len(parts)
    return sum(_length(part) for part in parts)


def _length(part: str) -> int:
    if not has_unspaced(part):
        return 1
    return -(-sum(map(_weight, _TOKEN.findall(part))) // UNITS_PER_WORD)


def _weight(token: str) -> int:
    """Return how many units a token counts for."""
    return 1 if is_unit(token) else UNITS_PER_WORD


def first_words(text: str, most: int) -> str:
    """Return the beginning of a text of at most so many words, on one line."""
    parts = text.split()
    if not has_unspaced(text):
        return " ".join(parts[:most])
    kept, left = [], most
    for part in parts:
        if left <= 0:
            break
        kept.append(part if _length(part) <= left else _cut(part, left))
        left -= _length(part)
    return " ".join(kept)


def _cut(part: str, words: int) -> str:
    """Return the beginning of a part without blanks: so many pairs of units."""
    left, end = UNITS_PER_WORD * words, 0
    for found in _TOKEN.finditer(part):
        left -= _weight(found[0])
        if left < 0:
            break
        end = found.end()
    return part[:end]


def search_form(text: str, *, turkish: bool = False) -> str:
    """Return a text as it is searched: lower case, one form of each letter, without what writers may leave out.

    Full-width forms become plain ones. Arabic vowel signs and stretches, Hebrew points, joiners and soft hyphens go.
    In Turkish, I is the capital of ı, and İ that of i. ASCII text is lower-cased and nothing else.
    """
    if turkish:
        text = text.replace("\u0130", "i").replace("I", "\u0131")
    if text.isascii():
        return text.lower()
    text = _WIDE.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _OPTIONAL.sub("", unicodedata.normalize("NFC", text).lower().replace("i\u0307", "i"))


def comparison_form(text: str) -> str:
    """Return a text as it is compared for sameness: case folded, in one encoding, without what may be left out."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isascii():
        return folded
    return _OPTIONAL.sub("", folded.replace("i\u0307", "i").replace("\u0131", "i"))


def spelling_form(text: str) -> str:
    """Return a text as spellings of one search are compared: `comparison_form`, and no accents on letters with case.

    An accent on Latin, Greek and Cyrillic letters is often left out; й is another letter than и. The marks of other
    scripts are letters or change them (か and が, का and की), and stay.
    """
    parts = unicodedata.normalize("NFD", comparison_form(text))
    return unicodedata.normalize("NFC", _ACCENTED.sub(r"\1", parts))


def plain_digits(text: str) -> str:
    """Return a text with the decimal digits of every script as 0 to 9; its length stays."""
    return text if text.isascii() else _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0], found[0])), text)


def normalised_tokens(text: str) -> frozenset[str]:
    """Return the distinct words of a text, without case, accents' encoding or punctuation.

    The split keeps near-duplicates apart and the leak check looks for them again: both must mean the same by it.
    A text without any word ("???") is one token by itself, so that it is like nothing but itself.
    """
    folded = comparison_form(text)
    pattern = _TOKEN if _needs_care(folded) else _PLAIN_TOKEN
    return frozenset(pattern.findall(folded)) or frozenset([folded.strip()])


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the share of tokens that both sets have among those that either has, in [0, 1]."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)
