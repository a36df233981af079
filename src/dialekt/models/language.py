# ruff: noqa: RUF001 - words of many languages
"""Which language a corpus is written in, and what BM25 does about it: stop words and a stemmer.

The language is derived from a sample, by script where one script means one language, else by function words, which
make up a tenth to a third of any running text. Where no language stands out, words are taken as they are.
"""

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from dialekt.store.words import IDEOGRAPHS, KANA, find_words, search_form
from dialekt.types import Language

_WORD = re.compile(r"(?u)\b\w\w+\b")  # bm25s' and scikit-learn's default
_SAMPLE_TEXTS = 1_000
_SAMPLE_CHARACTERS = 2_000
_ENGLISH_SHARE = 0.04  # measured: terse command help 0.08, product names 0.12, prose 0.14 to 0.19
_ENGLISH_WORDS = frozenset({"the", "and", "to", "with", "that", "this", "from", "are", "by"})
_FUNCTION_SHARE = 0.06  # of the running words; prose has 0.10 (Finnish, Turkish) to 0.35
_FEWEST_FUNCTION_WORDS = 4  # different ones: DIN 125 is no Romanian
_AHEAD = 1.15  # so many times the share of the next language
_SCRIPT_SHARE = 0.7  # of the letters: names and codes in another script are usual, two languages are not one
_KANA_SHARE = 0.05  # of Japanese letters; 0.4 in prose, less in headings

_SCRIPTS = {
    "GREEK": Language.GREEK,
    "HANGUL": Language.KOREAN,
    "TAMIL": Language.TAMIL,
    "THAI": Language.THAI,
}
_EAST_ASIAN = re.compile(f"[{IDEOGRAPHS}{KANA}]")
_KANA = re.compile(f"[{KANA}]")

# The most frequent words of each language (wordfreq's lists) that are no frequent words of English.
_FUNCTION_WORDS = {
    Language.ARABIC: "في من على أن لا إلى و ما عن هذا مع التي كل هذه أو هو كان الذي ذلك بعد",
    Language.CATALAN: "de la que el en del un els les una amb va és al es ha com més dels hi",
    Language.CZECH: "se na je že si jsem ale tak pro ve za co jako jak po už od jsou mi když",
    Language.DANISH: "og er det af en til på jeg har ikke med den der de du kan som så et var",
    Language.DUTCH: "de van het een en op ik dat voor je te met niet zijn die als er maar om aan",
    Language.FINNISH: "ja ei että se oli mutta ole kun niin myös hän jos ovat voi nyt sen kuin tai en joka",
    Language.FRENCH: "de la le et à les est en des un que pas une du il pour dans je qui au",
    Language.GERMAN: "die der und das ich ist nicht zu den von mit es ein auf für im sie eine sich auch",
    Language.GREEK: "και το να του η για της με που από την ο τα των στο σε οι δεν τους είναι",
    Language.HINDI: "के है में की से और को का हैं पर भी एक तो नहीं ने कर ही हो लिए कि",
    Language.HUNGARIAN: "az és nem hogy egy de meg csak ha van volt ez vagy már még én kell el jó ki",
    Language.INDONESIAN: "yang dan di ini dari untuk dengan itu bisa ada tidak akan adalah dalam pada kita ke juga",
    Language.ITALIAN: "di che il la non un è del una le si con della da sono ma al ha più dei",
    Language.LITHUANIAN: "ir kad į su iš yra tai kaip ar buvo savo tik bet nuo ne apie taip kai labai",
    Language.NORWEGIAN: "og er det å på som til en av ikke med har jeg de du om den så vi fra",
    Language.PERSIAN: "و به در از که این را با است رو من تو برای بود هم تا یک ها شده",
    Language.POLISH: "nie na się jest że jak ale co tak za od po dla tym czy przez tego są ma tylko",
    Language.PORTUGUESE: "de que em da para não um uma com se por os eu como mais dos mas foi",
    Language.ROMANIAN: "de și în la să din pe cu nu mai un este că pentru se au ce fost ca al",
    Language.RUSSIAN: "в и на не с что я по а как из это за для о но у его",
    Language.SPANISH: "de la que el en los un se por es del las con una para lo su al como más",
    Language.SWEDISH: "är och att det jag på en inte som för med av om du till den ett",
    Language.TURKISH: "ve bir bu için çok ile ne daha gibi olarak kadar olan var ama sonra ki",
}
# What is not derived by these words: a corpus half of it English, and near relatives without a stemmer here.
_OTHER_FUNCTION_WORDS = {
    "en": "the to and of in is for that on with are as this be by it an from or at",
    "bg": "на и в да е от за се с не си че по ще са това като а ми но",
    "mk": "на и во да се од е за со не го што дека ги како ја тоа а кој",
    "sr": "je da se na su za ne sa od iz kao što koji kako bi ali nije još po sve",
    "uk": "в на і не у з що та до за а я як про для так від є але й",
    "ur": "کے میں کی ہے اور سے کا کو اس پر ہیں نے بھی ایک کر یہ نہیں کہ تو کیا",
    "vi": "là và có của được một các không trong cho người này với ở đã thể để như những đến",
}
_STEMMERS = {
    Language.ARABIC: "arabic",
    Language.CATALAN: "catalan",
    Language.CZECH: "czech",
    Language.DANISH: "danish",
    Language.DUTCH: "dutch",
    Language.ENGLISH: "english",
    Language.FINNISH: "finnish",
    Language.FRENCH: "french",
    Language.GERMAN: "german",
    Language.GREEK: "greek",
    Language.HINDI: "hindi",
    Language.HUNGARIAN: "hungarian",
    Language.INDONESIAN: "indonesian",
    Language.ITALIAN: "italian",
    Language.LITHUANIAN: "lithuanian",
    Language.NORWEGIAN: "norwegian",
    Language.PERSIAN: "persian",
    Language.POLISH: "polish",
    Language.PORTUGUESE: "portuguese",
    Language.ROMANIAN: "romanian",
    Language.RUSSIAN: "russian",
    Language.SPANISH: "spanish",
    Language.SWEDISH: "swedish",
    Language.TAMIL: "tamil",
    Language.TURKISH: "turkish",
}
_STOP_WORDS = {
    Language.DANISH: "STOPWORDS_DANISH",
    Language.DUTCH: "STOPWORDS_DUTCH",
    Language.ENGLISH: "STOPWORDS_EN",
    Language.FRENCH: "STOPWORDS_FRENCH",
    Language.GERMAN: "STOPWORDS_GERMAN",
    Language.ITALIAN: "STOPWORDS_ITALIAN",
    Language.NORWEGIAN: "STOPWORDS_NORWEGIAN",
    Language.PORTUGUESE: "STOPWORDS_PORTUGUESE",
    Language.RUSSIAN: "STOPWORDS_RUSSIAN",
    Language.SPANISH: "STOPWORDS_SPANISH",
    Language.SWEDISH: "STOPWORDS_SWEDISH",
    Language.TURKISH: "STOPWORDS_TURKISH",
}


def looks_english(texts: Iterable[str]) -> bool:
    """Say whether a sample of texts is English: mostly ASCII words, a share of them function words of English."""
    words = [word for text in islice(texts, _SAMPLE_TEXTS) for word in _WORD.findall(text[:_SAMPLE_CHARACTERS].lower())]
    if not words:
        return False
    ascii_share = sum(word.isascii() for word in words) / len(words)
    english_share = sum(word in _ENGLISH_WORDS for word in words) / len(words)
    return ascii_share > 0.9 and english_share > _ENGLISH_SHARE


def derive_language(texts: Sequence[str]) -> Language:
    """Return the language of a corpus, from the first thousand texts; `OTHER` where none stands out."""
    if looks_english(texts):
        return Language.ENGLISH
    sample = [text[:_SAMPLE_CHARACTERS] for text in texts[:_SAMPLE_TEXTS]]
    scripts: Counter[str] = Counter()
    for letter, count in Counter(character for character in "".join(sample) if character.isalpha()).items():
        scripts[_script(letter)] += count
    least = _SCRIPT_SHARE * scripts.total()
    if scripts["HAN"] + scripts["KANA"] > least:
        return Language.JAPANESE if scripts["KANA"] > _KANA_SHARE * scripts.total() else Language.CHINESE
    script = next((name for name, count in scripts.items() if count > least), None)
    if script is None:
        return Language.OTHER
    return _SCRIPTS.get(script) or _of_function_words(sample)


def _script(letter: str) -> str:
    if _EAST_ASIAN.match(letter):
        return "KANA" if _KANA.match(letter) else "HAN"
    return unicodedata.name(letter, "").partition(" ")[0]


def _of_function_words(sample: Sequence[str]) -> Language:
    """Return the language whose function words make up the greatest share, if it is clearly ahead."""
    words = Counter(word for text in sample for word in find_words(search_form(text)))
    shares = {code: sum(words[word] for word in known) / max(1, words.total()) for code, known in _lists().items()}
    first, second = sorted(shares, key=lambda code: -shares[code])[:2]
    if len(_lists()[first] & words.keys()) < _FEWEST_FUNCTION_WORDS:
        return Language.OTHER
    if shares[first] < _FUNCTION_SHARE or shares[first] < _AHEAD * shares[second]:
        return Language.OTHER
    return Language.OTHER if first in _OTHER_FUNCTION_WORDS else Language(first)


@functools.cache
def _lists() -> dict[str, frozenset[str]]:
    every = {code.value: text for code, text in _FUNCTION_WORDS.items()} | _OTHER_FUNCTION_WORDS
    return {code: frozenset(text.split()) for code, text in every.items()}


@functools.cache
def stop_words(language: Language) -> frozenset[str]:
    """Return the words that BM25 leaves out, as bm25s lists them; none for a language without a list."""
    import bm25s.stopwords

    name = _STOP_WORDS.get(language)
    return frozenset(getattr(bm25s.stopwords, name)) if name else frozenset()


@functools.cache
def function_words(language: Language) -> frozenset[str]:
    """Return the words that only hold a language's sentences together: its stop words and its most frequent words."""
    return stop_words(language) | _lists().get(language.value, frozenset())


def stemmer(language: Language) -> Any:
    """Return a new Snowball stemmer, None for a language without one. It is not safe between threads."""
    import Stemmer

    name = _STEMMERS.get(language)
    return Stemmer.Stemmer(name) if name else None


def describe_analysis(language: Language) -> str:
    """Say in words what BM25 does with a language."""
    parts = []
    if language in _STOP_WORDS:
        parts.append("without stop words")
    if language in _STEMMERS:
        parts.append(f"stemmed ({_STEMMERS[language]})")
    if language in {Language.CHINESE, Language.JAPANESE, Language.THAI}:
        parts.append("by overlapping pairs")
    return ", ".join(parts) or "words as they are"
