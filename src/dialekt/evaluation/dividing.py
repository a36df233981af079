"""By what the test queries are divided: their words, their frequency, their answers."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.metrics import Judgments
from dialekt.measures.retrieval import Collection as Documents
from dialekt.measures.retrieval import units_of_documents
from dialekt.models.language import derive_language
from dialekt.models.lexical import Analyzer
from dialekt.store.words import count_words, find_words, search_form
from dialekt.types import Language, Query

OTHER = "other"
LEAST_QUERIES = 10
_LENGTHS = ((2, "1-2 words"), (5, "3-5 words"), (10, "6-10 words"))
_FREQUENCIES = ("head", "torso", "tail")
_RARE_ZIPF = 3.0  # once in a million words; "hepatitis" 3.5, "metformin" 2.6, "gzip" 1.8
_LITTLE_OVERLAP = 0.5
_FEWEST_VALUES, _MOST_VALUES, _MOST_FIELDS, _COVERAGE = 2, 8, 3, 0.5
_LONGEST_VALUE = 40
_UNTOLD_WORDS = frozenset({Language.CHINESE, Language.JAPANESE, Language.KOREAN, Language.THAI})  # or of many forms


@dataclass(frozen=True, slots=True)
class Division:
    """The queries divided by one thing: `parts` has one value per query, "" where it belongs to no part."""

    dimension: str
    parts: tuple[str, ...]
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Dividers:
    """What is known of the test queries.

    `trained` are the ids of documents that training saw as answers, None when nothing was trained; `metadata` holds the
    fields of whole documents; `frequencies` says of a query's text whether it is of the head, the torso or the tail of
    the log; `fields` are the metadata fields to divide by, None for those with few values.
    """

    queries: Sequence[Query]
    judgments: Judgments
    documents: Documents
    trained: Collection[str] | None
    metadata: Mapping[str, Mapping[str, str]]
    frequencies: Mapping[str, str]
    fields: tuple[str, ...] | None


def divide(known: Dividers) -> Iterator[Division]:
    """Yield every division with at least two parts of ten queries or more; smaller parts stand for nothing."""
    language = known.documents.language or derive_language(known.documents.texts)
    units = units_of_documents(known.documents)
    answers = [
        [name for name in known.judgments.positives(query.id) if name in units] for query in known.queries
    ]  # per query, those in the corpus
    texts = [[" ".join(known.documents.texts[unit] for unit in units[name]) for name in names] for names in answers]
    found = [
        _by_length(known.queries),
        _by_frequency(known.queries, known.frequencies),
        _by_jargon(known.queries, language),
        _by_overlap(known.queries, texts, language),
        _by_training(answers, known.trained),
        _by_number([len(known.judgments.positives(query.id)) for query in known.queries]),
        _by_answer_length(texts),
        *_by_metadata(answers, known.metadata, known.fields),
    ]
    for division in found:
        kept = _without_small_parts(division)
        if len(kept.order) > 1:
            yield kept


def _without_small_parts(division: Division) -> Division:
    """Keep the parts of ten queries or more, and the others together where they are as many."""
    counts = Counter(division.parts)
    small = [part for part in division.order if counts[part] < LEAST_QUERIES]
    kept = tuple(part for part in division.order if part not in small)
    if sum(counts[part] for part in small) < LEAST_QUERIES:
        parts = tuple("" if part in small else part for part in division.parts)
        return Division(division.dimension, parts, kept)
    parts = tuple(OTHER if part in small else part for part in division.parts)
    return Division(division.dimension, parts, (*kept, OTHER))


def _by_length(queries: Sequence[Query]) -> Division:
    longer = "more than 10 words"

    def part(count: int) -> str:
        return next((name for most, name in _LENGTHS if count <= most), longer)

    order = (*(name for _, name in _LENGTHS), longer)
    return Division("query length", tuple(part(count_words(query.text)) for query in queries), order)


def _by_frequency(queries: Sequence[Query], frequencies: Mapping[str, str]) -> Division:
    """Divide by how often a query was searched; one that the log does not know belongs nowhere."""
    return Division("query frequency", tuple(frequencies.get(query.text, "") for query in queries), _FREQUENCIES)


def _by_jargon(queries: Sequence[Query], language: Language) -> Division:
    """Divide into thirds by the share of words that the general language has less than once in a million words.

    Nothing where most words are rare: then the queries are of another language. Nothing either where words are not
    told apart, as in Chinese, or are not listed. What the documents' language is not known for is tried as English.
    """
    from wordfreq import available_languages, zipf_frequency

    code = Language.ENGLISH if language is Language.OTHER else language
    if language in _UNTOLD_WORDS or code not in available_languages():
        return Division("rare words", ("",) * len(queries), ())
    words = [find_words(search_form(query.text)) for query in queries]
    rare = {word: zipf_frequency(word, code) < _RARE_ZIPF for word in {word for row in words for word in row}}
    shares = np.array([sum(rare[word] for word in row) / max(1, len(row)) for row in words])
    if np.mean(shares) > 0.5:
        return Division("rare words", ("",) * len(queries), ())
    return _thirds("rare words", shares, lambda low, high: f"{_percent(low)} to {_percent(high)} of the words")


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _by_overlap(queries: Sequence[Query], texts: Sequence[Sequence[str]], language: Language) -> Division:
    """Divide by whether the answer that has most of the query's words has half of them; stop words do not count."""
    analyzer = Analyzer(language)
    few, many = "under half", "half or more"

    def part(query: Query, answers: Sequence[str]) -> str:
        wanted = set(analyzer.terms(query.text))
        if not wanted or not answers:
            return ""
        share = max(len(wanted & set(analyzer.terms(answer))) for answer in answers) / len(wanted)
        return few if share < _LITTLE_OVERLAP else many

    parts = tuple(part(query, answers) for query, answers in zip(queries, texts, strict=True))
    return Division("words shared with the answer", parts, (few, many))


def _by_training(answers: Sequence[Sequence[str]], trained: Collection[str] | None) -> Division:
    """Divide by whether an answer of the query was an answer to a training query too."""
    seen, new = "seen in training", "new"
    if trained is None:
        return Division("answer", ("",) * len(answers), ())
    parts = tuple((seen if any(name in trained for name in names) else new) if names else "" for names in answers)
    return Division("answer", parts, (seen, new))


def _by_number(counts: Sequence[int]) -> Division:
    one, several = "one", "several"
    return Division("answers", tuple(one if count == 1 else several for count in counts), (one, several))


def _by_answer_length(texts: Sequence[Sequence[str]]) -> Division:
    """Divide into thirds by the words of the shortest answer."""
    lengths = np.array([min((count_words(text) for text in answers), default=-1) for answers in texts], dtype=float)
    return _thirds("answer length", lengths, lambda low, high: f"{low:.0f} to {high:.0f} words")


def _thirds(dimension: str, values: NDArray[np.float64], name: Callable[[float, float], str]) -> Division:
    """Divide queries into thirds by a value of 0 or more; equal values stay together."""
    known = values[values >= 0]
    if not len(known):
        return Division(dimension, ("",) * len(values), ())
    edges = np.quantile(known, [1 / 3, 2 / 3], method="inverted_cdf")
    places = np.searchsorted(edges, values, side="left")  # value <= first edge: 0
    places[values < 0] = -1
    names = [
        name(values[places == place].min(), values[places == place].max()) for place in np.unique(places[places >= 0])
    ]
    labels = dict(zip(np.unique(places[places >= 0]).tolist(), names, strict=True))
    return Division(dimension, tuple(labels.get(place, "") for place in places.tolist()), tuple(names))


def _by_metadata(
    answers: Sequence[Sequence[str]], metadata: Mapping[str, Mapping[str, str]], fields: tuple[str, ...] | None
) -> Iterator[Division]:
    """Divide by fields of the first answer that has them: those asked for, or up to three with two to eight values."""
    every = list(dict.fromkeys(field for names in answers for name in names for field in metadata.get(name, {})))
    chosen = 0
    for field in every if fields is None else fields:
        parts = tuple(_value_of(names, metadata, field) for names in answers)
        order = tuple(value for value, _ in Counter(part for part in parts if part).most_common())
        covered = sum(map(bool, parts)) >= _COVERAGE * len(parts)
        suits = covered and _FEWEST_VALUES <= len(order) <= _MOST_VALUES and chosen < _MOST_FIELDS
        if fields is None and not suits:
            continue
        chosen += 1
        yield Division(f"answer's {field}", parts, order)


def _value_of(names: Sequence[str], metadata: Mapping[str, Mapping[str, str]], field: str) -> str:
    return next((value[:_LONGEST_VALUE] for name in names if (value := metadata.get(name, {}).get(field))), "")
