"""The texts that are sent: made of everyday words, so many tokens long, or the lines of a file."""

import random
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dialekt.errors import InputError, UsageError

ENDS = 2  # tokens that a tokenizer puts around a text
_WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which
one you were her all she there would their we him been has when who will more no if out so said what up its about
into than them can only other new some could time these two may then do first any my now such like our over man me
even most made after also did many before must through years where much your way well down should because each just
those people how too little state good very make world still own see men work long get here between both life being
under never day same another know while last might us great old year off come since against go came right used take
three states himself few house use during without again place american around however home small found thought went
say part once general high upon school every don does got united left number course war until always away something
fact though water less public put think almost hand enough far took head yet government system better set told
nothing night end why called eyes find going look asked later knew point next program city business give group
toward young days let room word face second rate open power change light music field paper book road music money door
""".split()  # noqa: SIM905 - a list of 200 quoted words is unreadable


class Length(StrEnum):
    """How long texts are: 8 to 16 tokens; 128; or a mixture from a few to 512 with a median near 40."""

    SHORT = "short"
    PASSAGE = "passage"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Exactly:
    """Texts of one length."""

    tokens: int


def parse_length(word: str) -> Length | Exactly:
    """Read what `--length` takes; raises `UsageError`."""
    if word in set(Length):
        return Length(word)
    if word.isdigit() and int(word) > ENDS:
        return Exactly(int(word))
    raise UsageError(
        f"--length {word!r} is no length", hint=f"one of {', '.join(Length)}, or a number of tokens from {ENDS + 1} on"
    )


def make_texts(count: int, length: Length | Exactly, *, seed: int) -> list[str]:
    """Draw texts; each word is one token for the usual English tokenizers."""
    draw = random.Random(seed)  # noqa: S311 - a draw, not a secret
    return [" ".join(draw.choices(_WORDS, k=_tokens(length, draw) - ENDS)) for _ in range(count)]


def _tokens(length: Length | Exactly, draw: random.Random) -> int:
    match length:
        case Length.SHORT:
            return draw.randint(8, 16)
        case Length.PASSAGE:
            return 128
        case Length.MIXED:
            return min(max(round(draw.lognormvariate(3.7, 1.0)), ENDS + 1), 512)
        case Exactly(tokens):
            return tokens


def read_texts(path: Path) -> list[str]:
    """Read one text a line; raises `InputError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path, hint="a text file in UTF-8, one text a line") from error
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise InputError("holds no text", path=path, hint="one text a line")
    return texts
