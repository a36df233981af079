"""The generator that needs no network: titles, key phrases, questions by wording, and thinned-out sentences.

A sentence of the document with words left out is the inverse cloze task (Lee, Chang & Toutanova 2019) made harder to
solve by matching words: what was left out must be understood from the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from dialekt.config import Generator, QueryKind
from dialekt.synthesis.language import Vocabulary, is_prose, is_question, is_unspaced, join_words, sentences, words
from dialekt.synthesis.phrases import key_phrases
from dialekt.synthesis.questions import question_of_title, questions_of
from dialekt.synthesis.records import Draft
from dialekt.types import Document, Progress, ReportProgress, no_progress

_MAX_TITLE_WORDS = 25
_SENTENCE_WORDS = (4, 60)
_CROP_WORDS = (6, 15)
_LONG_SENTENCE_WORDS = 18
_MIN_KEYWORDS = 2
_MIN_SENTENCE_CONTENT = 3
_ROUNDS = 3  # how often a document's sentences may be thinned out anew
_REPORT_EVERY = 500


@dataclass(frozen=True, slots=True)
class _Material:
    """What can be said of one document."""

    title: str
    sentences: Sequence[Sequence[str]]
    phrases: Sequence[tuple[str, ...]]
    questions: Sequence[str]


def generate_locally(
    documents: Sequence[Document],
    vocabulary: Vocabulary,
    *,
    per_document: int,
    seed: int,
    progress: ReportProgress = no_progress,
) -> list[Draft]:
    """Make up to `per_document` different queries of every document, kinds in turns."""
    drafts: list[Draft] = []
    for number, document in enumerate(documents, start=1):
        rng = np.random.default_rng([seed, number])
        for kind, text in _queries(_read(document, vocabulary), vocabulary, rng, count=per_document):
            drafts.append(Draft(text, document.id, kind, Generator.LOCAL))
        if number % _REPORT_EVERY == 0 or number == len(documents):
            progress(Progress("make queries locally", number, len(documents)))
    return drafts


def _read(document: Document, vocabulary: Vocabulary) -> _Material:
    pieces = sentences(document.text)
    prose = [piece for piece in pieces if is_prose(piece)]
    least, most = _SENTENCE_WORDS
    sized = [found for piece in prose if least <= len(found := words(piece)) <= most]
    questions = [piece for piece in prose if is_question(piece)]
    if vocabulary.english:
        titled = question_of_title(document.title)
        questions = [question for piece in prose for question in questions_of(piece)] + ([titled] if titled else [])
    return _Material(
        title=document.title if len(words(document.title)) <= _MAX_TITLE_WORDS else "",
        sentences=[found for found in sized if len(vocabulary.content(found)) >= 3],
        phrases=key_phrases(document.content, vocabulary),
        questions=questions,
    )


def _queries(
    material: _Material, vocabulary: Vocabulary, rng: np.random.Generator, *, count: int
) -> Iterator[tuple[QueryKind, str]]:
    """Yield different queries from each kind in turns, until there are enough or nothing is left."""
    writers: list[tuple[QueryKind, Iterator[str]]] = [
        (QueryKind.TITLE, iter([material.title] if material.title else [])),
        (QueryKind.SENTENCE, _sentence_queries(material, vocabulary, rng)),
        (QueryKind.KEYWORD, _keyword_queries(material, rng)),
        (QueryKind.QUESTION, _questions(material, rng)),
        (QueryKind.SENTENCE, _sentence_queries(material, vocabulary, rng)),
    ]
    seen: set[str] = set()
    exhausted: set[int] = set()
    for turn in cycle(range(len(writers))):
        if len(seen) >= count or len(exhausted) == len(writers):
            return
        kind, candidates = writers[turn]
        fresh = next((text for text in candidates if text.casefold() not in seen), None)
        if fresh is None:
            exhausted.add(turn)
        else:
            seen.add(fresh.casefold())
            yield kind, fresh


def _sentence_queries(material: _Material, vocabulary: Vocabulary, rng: np.random.Generator) -> Iterator[str]:
    """Yield sentences with words left out: those that say most first, by chance; the first one has an advantage."""
    if not material.sentences:
        return
    said = np.array([vocabulary.mean_rarity(found) + 1e-6 for found in material.sentences])
    said[0] *= 2
    for _ in range(_ROUNDS):
        for index in rng.choice(len(said), size=len(said), replace=False, p=said / said.sum()):
            thinned = _thin(material.sentences[int(index)], vocabulary, rng)
            if len(vocabulary.content(thinned)) >= _MIN_SENTENCE_CONTENT:
                yield join_words(thinned)


def _thin(sentence: Sequence[str], vocabulary: Vocabulary, rng: np.random.Generator) -> list[str]:
    """Leave words out of a sentence, in one of two manners: a few of any kind, or all that only hold it together.

    Of a script without blanks, where words cannot be told, a piece is taken.
    """
    if is_unspaced(sentence):
        length = round(len(sentence) * rng.uniform(0.4, 0.8))
        start = int(rng.integers(len(sentence) - length + 1))
        return list(sentence[start : start + length])
    chosen = list(sentence)
    if len(chosen) > _LONG_SENTENCE_WORDS and rng.random() < 0.5:
        length = int(rng.integers(*_CROP_WORDS))
        start = int(rng.integers(len(chosen) - length + 1))
        chosen = chosen[start : start + length]
    share = rng.uniform(0.05, 0.25)
    if rng.random() < 0.5:
        chosen = [word.lower() for word in vocabulary.content(chosen)]
        share += 0.1
    if len(chosen) < _MIN_KEYWORDS:
        return []
    out = rng.random(len(chosen)) < share
    out[int(rng.integers(1, max(2, len(chosen) - 1)))] = True  # at least one inside: no piece is copied word for word
    kept = [word for word, left_out in zip(chosen, out, strict=True) if not left_out]
    while kept and not vocabulary.is_content(kept[-1]):
        kept.pop()  # "due to the" is where a sentence was cut, not where a search ends
    return kept


def _keyword_queries(material: _Material, rng: np.random.Generator) -> Iterator[str]:
    """Yield one to three key phrases together, better ones more often; some begin with the title's words."""
    phrases = material.phrases
    if not phrases:
        return
    chances = 1 / np.sqrt(np.arange(1, len(phrases) + 1))
    title = tuple(word.lower() for word in words(material.title))
    for _ in range(2 * len(phrases)):
        size = min(int(rng.choice((1, 2, 3), p=(0.35, 0.4, 0.25))), len(phrases))
        picked = rng.choice(len(phrases), size=size, replace=False, p=chances / chances.sum())
        chosen = [phrases[int(index)] for index in picked]
        if 0 < len(title) <= 3 and rng.random() < 0.25:
            chosen = [title, *chosen]
        if sum(map(len, chosen)) >= _MIN_KEYWORDS:
            yield " ".join(dict.fromkeys(part for phrase in chosen for part in join_words(phrase).split()))


def _questions(material: _Material, rng: np.random.Generator) -> Iterator[str]:
    """Yield the questions in any order, but the document's first one first: it tends to say what it is about."""
    first, rest = material.questions[:1], list(material.questions[1:])
    rng.shuffle(rest)
    yield from (*first, *rest)
