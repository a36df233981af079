# ruff: noqa: RUF001 - texts in many scripts
"""The language of a corpus, derived from its texts."""

import pytest

from dialekt.models.language import derive_language, describe_analysis, function_words, looks_english, stemmer
from dialekt.types import Language

ENGLISH = ["The solar panels are installed on the roof by an electrician.", "Reset the password from the login page."]
TEXTS = {
    Language.ENGLISH: ENGLISH[0],
    Language.GERMAN: "Die Pumpe ist undicht und muss ersetzt werden. Das Ventil wird mit dem Schlüssel "
    "geschlossen, es ist nicht für den Betrieb gedacht.",
    Language.FRENCH: "La pompe fuit et doit être remplacée. La vanne est fermée avec la clé. "
    "Pour la maintenance il faut couper le courant dans un tableau.",
    Language.SPANISH: "La bomba tiene una fuga y se debe cambiar. La válvula se cierra con la llave, "
    "para el mantenimiento hay que cortar la corriente.",
    Language.PORTUGUESE: "A bomba tem um vazamento e deve ser trocada. A válvula é fechada com a chave. "
    "Para a manutenção não se esqueça de cortar a energia do motor.",
    Language.RUSSIAN: "Насос течёт и его нужно заменить. Клапан закрывается ключом. Для обслуживания "
    "нужно отключить питание на щите, что не сложно.",
    Language.TURKISH: "Pompa sızdırıyor ve değiştirilmesi gerekiyor. Vana bir anahtar ile kapatılır. "
    "Bakım için makinenin elektriği kesilmeli, bu çok önemli.",
    Language.GREEK: "Η αντλία έχει διαρροή και πρέπει να αντικατασταθεί.",
    Language.ARABIC: "المضخة تسرب الماء ويجب استبدالها. يتم إغلاق الصمام في الوحدة من قبل الفني على أن لا تعمل.",
    Language.PERSIAN: "پمپ نشت می\u200cکند و باید تعویض شود. برای تعمیر باید برق را از تابلو قطع کرد که این مهم است.",
    Language.HINDI: "पंप से पानी रिस रहा है और उसे बदलना होगा। वाल्व को चाबी से बंद करें।",
    Language.CHINESE: "水泵漏水，必须更换。用钥匙关闭阀门。",
    Language.JAPANESE: "ポンプが漏れているため交換が必要です。",
    Language.KOREAN: "펌프가 새서 교체해야 합니다. 밸브는 열쇠로 닫습니다.",
    Language.THAI: "ปั๊มรั่วและต้องเปลี่ยน",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_language_is_told_by_its_script_or_its_function_words(language: Language) -> None:
    """A sentence or two of running text are enough."""
    assert derive_language([TEXTS[language]]) is language


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["AX-100 BX-200 CX-300"],
        ["hex bolt M8 zinc 40 mm steel washer DIN 125 screw set for wood"],
        [
            "Насос протікає, і його треба замінити. Для обслуговування треба вимкнути живлення, "
            "але це не складно, що є добре."
        ],
        ["پمپ سے پانی رس رہا ہے اور اس کو تبدیل کرنا ضروری ہے۔ والو کو چابی سے بند کریں۔"],
        list(TEXTS.values()),
    ],
)
def test_what_is_not_known_is_called_other(texts: list[str]) -> None:
    """Codes, a language beside one that is known, and many languages together have no stemmer."""
    assert derive_language(texts) is Language.OTHER


def test_english_is_recognised_by_its_function_words() -> None:
    """Prose and terse help texts are English; lists of part numbers and other languages are not."""
    assert looks_english(ENGLISH)
    assert not looks_english(["Il cavo e collegato alla presa e la batteria si carica di notte."])
    assert not looks_english(["AX-100 BX-200 CX-300"])
    assert not looks_english([])


def test_every_language_can_be_analysed() -> None:
    """A stemmer, where there is one, loads; what is done is said in words."""
    for language in Language:
        assert stemmer(language) is None or stemmer(language).stemWord("x")
        assert describe_analysis(language)
    assert function_words(Language.OTHER) == frozenset()
    assert describe_analysis(Language.GERMAN) == "without stop words, stemmed (german)"
    assert describe_analysis(Language.CHINESE) == "by overlapping pairs"
    assert describe_analysis(Language.OTHER) == "words as they are"
