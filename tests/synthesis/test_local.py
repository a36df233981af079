"""The generator that needs no network."""

from collections import Counter

from tests.synthesis.samples import DOCUMENTS

from dialekt.config import QueryKind
from dialekt.synthesis.language import Vocabulary, words
from dialekt.synthesis.local import generate_locally
from dialekt.synthesis.phrases import key_phrases
from dialekt.synthesis.records import Draft
from dialekt.types import Document

VOCABULARY = Vocabulary.of([document.content for document in DOCUMENTS])


def make(count: int, *, documents: tuple[Document, ...] = DOCUMENTS, seed: int = 1) -> list[Draft]:
    """Make queries with the vocabulary of the sample corpus."""
    return generate_locally(documents, VOCABULARY, per_document=count, seed=seed)


def test_every_document_gets_different_queries_of_several_kinds() -> None:
    """Kinds take turns, a document without a title has none of that kind, and no query is made twice."""
    drafts = make(6)
    texts = [draft.text.casefold() for draft in drafts if draft.document_id == "pump"]
    assert len(texts) == len(set(texts)) == 6
    kinds = {draft.kind for draft in drafts if draft.document_id == "pump"}
    assert kinds == {QueryKind.TITLE, QueryKind.SENTENCE, QueryKind.QUESTION, QueryKind.KEYWORD}
    assert QueryKind.TITLE not in {draft.kind for draft in drafts if draft.document_id == "refund"}


def test_sentences_are_never_copied() -> None:
    """A made sentence leaves out words of the document's, adds none, and does not end in the middle of a phrase."""
    for draft in make(10):
        document = next(one for one in DOCUMENTS if one.id == draft.document_id)
        if draft.kind is QueryKind.SENTENCE:
            assert draft.text not in document.text
            assert VOCABULARY.is_content(words(draft.text)[-1])
            assert {word.casefold() for word in words(draft.text)} <= {word.casefold() for word in words(document.text)}


def test_lengths_vary() -> None:
    """Queries of two words and of more than eight are among those of a few documents."""
    lengths = Counter(len(words(draft.text)) for draft in make(10))
    assert min(lengths) <= 2
    assert max(lengths) > 8


def test_the_same_seed_makes_the_same_queries() -> None:
    """Another seed makes others."""
    assert make(5) == make(5)
    assert make(5) != make(5, seed=2)


def test_a_document_with_one_word_gets_what_it_can() -> None:
    """Nothing is invented, and nothing fails."""
    assert make(5, documents=(Document("one", "pump"),)) == []


def test_key_phrases_are_rare_here_and_do_not_repeat_each_other() -> None:
    """Runs of content words inside a clause; no function word, no phrase made of a better one's words."""
    phrases = key_phrases(DOCUMENTS[1].content, VOCABULARY)
    assert ("solar", "inverter") in [phrase[:2] for phrase in phrases] or ("inverter",) in phrases
    assert all(VOCABULARY.is_content(word) for phrase in phrases for word in phrase)
    assert len({word for phrase in phrases for word in phrase}) > len(phrases)


def test_scripts_without_blanks_give_pieces_of_sentences_and_phrases() -> None:
    """Characters are never dropped one by one, and phrases are kept apart."""
    text = "太阳能逆变器将太阳能电池板的直流电转换为交流电。当电网电压过高时，逆变器显示错误代码七。"  # noqa: RUF001 - full-width comma
    vocabulary = Vocabulary.of([text, *(document.content for document in DOCUMENTS)])
    drafts = generate_locally([Document("zh", text)], vocabulary, per_document=8, seed=1)
    assert {draft.kind for draft in drafts} == {QueryKind.SENTENCE, QueryKind.KEYWORD}
    assert all(part in "".join(words(text)) for draft in drafts for part in draft.text.split())


def test_no_english_question_is_made_of_another_language() -> None:
    """A document's own questions stay; titles become no "what is" where the corpus is not English."""
    document = Document("a", "水泵漏水，必须更换。为什么水泵会发热？因为轴承磨损严重。", title="更换水泵")  # noqa: RUF001
    vocabulary = Vocabulary.of([document.content])
    drafts = generate_locally([document], vocabulary, per_document=10, seed=1)
    assert [draft.text for draft in drafts if draft.kind is QueryKind.QUESTION] == ["为什么水泵会发热？"]  # noqa: RUF001
    assert all(draft.text.isascii() is False for draft in drafts)
    phrases = key_phrases(document.content, vocabulary)
    assert not any(set("，。？") & set("".join(phrase)) for phrase in phrases)  # noqa: RUF001
    assert not any("水必" in "".join(phrase) for phrase in phrases)  # a comma lies between
