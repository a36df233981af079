# ruff: noqa: RUF001 - texts in many scripts
"""BM25."""

import bm25s
import numpy as np
import pytest
import Stemmer

from dialekt.models.lexical import Analyzer, Bm25
from dialekt.types import Language, Progress

DOCUMENTS = [
    "The solar panels are installed on the roof by an electrician.",
    "Reset the password of your account from the login page.",
    "The invoice and the receipt are sent to the billing address.",
    "Panels and batteries: charging the battery with solar power.",
    "",
]


def test_scores_equal_bm25s_with_its_own_tokenizer() -> None:
    """Our terms and ties change nothing about bm25s' scores with English stop words and stemmer."""
    queries = ["charging batteries with solar panels", "resetting passwords", "invoices", "the of"]
    stemmer = Stemmer.Stemmer("english")
    reference = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    reference.index(
        bm25s.tokenize(DOCUMENTS, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False
    )
    tokens = bm25s.tokenize(queries, stopwords="en", stemmer=stemmer, show_progress=False)
    _, expected = reference.retrieve(tokens, k=5, show_progress=False)
    found = Bm25.build(DOCUMENTS, language=Language.ENGLISH).search(queries, 5)
    assert np.where(found.indices >= 0, found.scores, 0).tolist() == expected.tolist()


def test_documents_without_a_common_term_are_left_out() -> None:
    """Rows with fewer than k matches are padded with index -1 and score -inf."""
    found = Bm25.build(DOCUMENTS).search(["password", "zebra", ""], 3)
    assert found.indices.tolist() == [[1, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    assert np.isneginf(found.scores[found.indices < 0]).all()


def test_equal_scores_come_in_the_order_of_the_documents() -> None:
    """Ties go to the lower index, so that a run is reproducible."""
    found = Bm25.build(["solar roof"] * 40 + ["wind"]).search(["solar"], 4)
    assert found.indices.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("texts", [[], ["", "!"]])
def test_a_corpus_without_words_finds_nothing(texts: list[str]) -> None:
    """An index without a single term answers every query with nothing."""
    assert Bm25.build(texts).search(["solar"], 2).indices.tolist() == [[-1, -1]]


def test_words_of_an_unknown_language_are_taken_as_they_are() -> None:
    """Nothing is stemmed, and no word counts as a stop word."""
    assert Analyzer(Language.OTHER).terms("Was in Schächten war") == ["was", "in", "schächten", "war"]


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        (Language.GERMAN, "Die Pumpen und das Ventil", ["pump", "ventil"]),
        (Language.RUSSIAN, "Солнечных панелей", ["солнечн", "панел"]),
        (Language.TURKISH, "IŞIKLAR", ["ışık"]),
        (Language.ARABIC, "المُضَخَّات", ["مضخ"]),
        (Language.HINDI, "पंपों", ["पंप"]),
        (Language.GREEK, "ΑΝΤΛΊΕΣ", ["αντλι"]),
    ],
)
def test_each_language_has_its_stemmer(language: Language, text: str, terms: list[str]) -> None:
    """Forms of a word become one, capitals and optional signs included; the language's own stop words go."""
    assert Analyzer(language).terms(text) == terms


@pytest.mark.parametrize(
    ("documents", "query"),
    [
        (["重置密码的方法", "太阳能电池板"], "密码"),
        (["パスワードをリセットする", "太陽電池の設置"], "リセット"),
        (["วิธีรีเซ็ตรหัสผ่าน", "แผงโซลาร์เซลล์"], "รหัสผ่าน"),
        (["पासवर्ड कैसे रीसेट करें", "सौर पैनल"], "पासवर्ड"),
        (["비밀번호 재설정 방법", "태양광 패널"], "비밀번호"),
        (["إعادة تعيين كلمة المرور", "لوح شمسي"], "كَلِمَة"),
        (["ＡＢＣ１２３ 手順", "XYZ"], "abc123"),
        (["cafe\u0301 au lait", "tea"], "CAFÉ"),
        (["饮水机", "电池"], "水"),
    ],
)
def test_every_script_is_searched(documents: list[str], query: str) -> None:
    """Without blanks by overlapping pairs, a single ideograph by the pairs that hold it; marks belong to words."""
    assert Bm25.build(documents).search([query], 2).indices.tolist() == [[0, -1]]


def test_progress_counts_documents_and_queries() -> None:
    """Building and searching report the work done and its total."""
    steps: list[Progress] = []
    Bm25.build(DOCUMENTS, progress=steps.append).search(["solar", "roof"], 1, progress=steps.append)
    assert [(step.done, step.total) for step in steps] == [(5, 5), (2, 2)]
