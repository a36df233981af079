"""Questions that English sentences answer, by their wording: definitions, causes, purposes, instructions."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

MAX_QUESTION_WORDS = 14
_SUBJECT = r"(?P<x>[^\s,;:.?!()][^,;:.?!()]{1,60}?)"
_NOT_A_SUBJECT = frozenset(
    """
    this that these those it they he she we you i there here what which who whose when where why how if as in on at
    for to by with from and but or however while although because some many most each every one another other such its
    their his her our your all both
    """.split()  # noqa: SIM905 - a list of quoted words is unreadable
)
_DEFINITION = re.compile(rf"^(?:the |an? )?{_SUBJECT} (?P<verb>is|are) (?:an?|the|one|any|also|used|the name)\b", re.I)
_CAUSED = re.compile(rf"^(?:the |an? )?{_SUBJECT} (?:is|are|may be|can be) (?:usually |often )?caused by\b", re.I)
_TREATED = re.compile(
    rf"^(?:the |an? )?{_SUBJECT} (?P<verb>is|are|may be|can be) "
    r"(?P<done>treated|diagnosed|detected|prevented|measured|computed|configured|installed|made|repaired|tested)\b",
    re.I,
)
_ASPECT = re.compile(
    r"\b(?P<aspect>symptoms|signs|causes|effects|types|treatments|benefits|advantages|risks|properties|methods"
    r"|treatment|cause|effect|purpose|definition|influence|role|impact) of (?:the |an? )?"
    r"(?P<x>[^\s,;:.?!()]+(?: [^\s,;:.?!()]+){0,4})",
    re.I,
)
_ACT = r"(?P<act>\b[a-z]{3,}(?: [^\s,;:.?!()]+){2,8})"
_PURPOSE = re.compile(rf"\b(?:used|able|possible|allows? \w+|enables? \w+|helps?|in order|how) to {_ACT}")
_MODAL = re.compile(rf"\b(?:can|may|must|should) {_ACT}")
_IMPERATIVE = frozenset(
    """
    abuse access acquire add adjust allow analyze apply assess attach authenticate backup browse build calculate
    change check clean clear clone close collect compare compile compress configure connect convert copy count create
    decode decompress delete deploy detect determine disable display download edit enable encode encrypt estimate
    evaluate execute export extract fetch filter find fix format generate get hide identify import increase initialize
    insert inspect install join kill launch limit list load locate lock log manage manipulate measure merge migrate
    modify monitor mount move open pack parse perform play prevent print process protect publish pull push query read
    rebuild reduce refresh release reload remove rename repair replace reset resize restart restore retrieve reverse
    run save scan schedule search secure select send set show shut sign simulate sort split start stop store submit
    switch sync synchronize tag test track transfer translate uninstall unlock unpack update upgrade upload use
    validate verify view visualize watch write
    """.split()  # noqa: SIM905 - a list of quoted words is unreadable
)
_NOT_AN_ACT = frozenset(
    """
    be been have has also not only then often usually become cause lead result occur include
    """.split()  # noqa: SIM905 - a list of quoted words is unreadable
)
_ASIDE = frozenset(
    """
    often usually also is are was were be may can that which who when where if on at by with from as and or but
    """.split()  # noqa: SIM905 - a list of quoted words is unreadable
)
_ENDING = frozenset(
    """
    the a an of to in on for and or with by from as at that which who is are into its their
    """.split()  # noqa: SIM905 - a list of quoted words is unreadable
)


def questions_of(sentence: str) -> Iterator[str]:
    """Yield the questions that the wording of an English sentence answers; a question is yielded as it is."""
    if sentence.endswith("?"):
        if 3 <= len(sentence.split()) <= MAX_QUESTION_WORDS:
            yield sentence
        return
    yield from _of_subject(sentence)
    for found in _ASPECT.finditer(sentence):
        aspect = found["aspect"].lower()
        verb = "are" if aspect.endswith("s") else "is"
        subject = list(takewhile(lambda part: part.lower() not in _ASIDE, found["x"].split()))
        if subject and subject[0].lower() not in _NOT_A_SUBJECT:
            yield f"what {verb} the {aspect} of {_trimmed(subject)}"
    yield from _of_action(sentence)


def question_of_title(title: str) -> str | None:
    """Return "what is" or "how to" with a short title, or None where the title is long or asks by itself."""
    parts = title.split()
    if not parts or len(parts) > 5 or title.endswith("?") or parts[0].lower() in {"how", "what", "why"}:
        return None
    if parts[0].lower() in _IMPERATIVE and len(parts) > 1:
        return f"how to {parts[0].lower()} {' '.join(parts[1:])}"
    return f"what is {title}"


def _of_subject(sentence: str) -> Iterator[str]:
    if (found := _CAUSED.match(sentence)) and _is_subject(found["x"]):
        yield f"what causes {found['x']}"
    if (found := _TREATED.match(sentence)) and _is_subject(found["x"]):
        verb = found["verb"].lower()
        yield f"how {verb if verb in {'is', 'are'} else 'is'} {found['x']} {found['done'].lower()}"
    elif (found := _DEFINITION.match(sentence)) and _is_subject(found["x"]):
        yield f"what {found['verb'].lower()} {found['x']}"


def _of_action(sentence: str) -> Iterator[str]:
    parts = sentence.rstrip(".!").split()
    if len(parts) >= 3 and parts[0].lower() in _IMPERATIVE:
        yield f"how to {_trimmed([parts[0].lower(), *parts[1:MAX_QUESTION_WORDS]])}"
        return
    if (found := _PURPOSE.search(sentence)) or (found := _MODAL.search(sentence)):
        act = found["act"].split()
        purposeful = found.re is _PURPOSE and act[0] not in _NOT_AN_ACT | _NOT_A_SUBJECT | _ENDING
        if purposeful or act[0] in _IMPERATIVE:
            yield f"how to {_trimmed(act)}"


def _is_subject(text: str) -> bool:
    parts = text.lower().split()
    return 0 < len(parts) <= 6 and parts[0] not in _NOT_A_SUBJECT and not _ASIDE.intersection(parts)


def _trimmed(parts: Sequence[str]) -> str:
    """Join words without function words at the end, where a sentence was cut."""
    kept = list(parts)
    while len(kept) > 1 and kept[-1].lower() in _ENDING:
        kept.pop()
    return " ".join(kept)
