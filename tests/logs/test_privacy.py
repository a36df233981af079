# ruff: noqa: RUF001 - texts in many scripts
"""Personal data is masked; numbers of things are not."""

import pytest

from dialekt.errors import ConfigError
from dialekt.logs.privacy import is_product_number, mask, own_rules, passes_iban, passes_luhn


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("orders of jane.doe+x@example.co.uk late", "orders of <mail> late"),
        ("jane (at) example.com", "<mail>"),
        ("refund 4111 1111 1111 1111", "refund <card>"),
        ("378282246310005 declined", "<card> declined"),
        ("DE89 3704 0044 0532 0130 00 bank", "<account> bank"),
        ("iban gb29nwbk60161331926819", "iban <account>"),
        ("my ssn 078-05-1120", "my ssn <account>"),
        ("account no. 1234567 closed", "<account> closed"),
        ("transfer to 12345678901", "transfer to <account>"),
        ("call +49 171 1234567 now", "call <phone> now"),
        ("0049 (171) 1234567", "<phone>"),
        ("(555) 123-4567", "<phone>"),
        ("555-123-4567", "<phone>"),
        ("030 12345678", "<phone>"),
    ],
)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    """Mail, card, account and phone give way to their kind; the rest of the query stays."""
    assert mask(text).text == masked
    assert mask(text).kinds


@pytest.mark.parametrize(
    "text",
    [
        "iphone 14 pro max 256",
        "release notes 2024-12-10",
        "report 01-12-2024",
        "error 0x80070057",
        "4006381333931",  # GTIN-13
        "036000291452",  # GTIN-12
        "0306406152",  # ISBN-10
        "4111 1111 1111 1112",  # not Luhn's
        "1920x1080 monitor",
        "c++ 11 14 17",
        "price < 1000 usd",
        "m8x40 din 933 8.8",
        "192.168.100.200",
        "@dataclass frozen",
    ],
)
def test_numbers_of_things_stay(text: str) -> None:
    """Dates, sizes, versions, products' and books' numbers are nobody's."""
    assert mask(text).text == text


def test_a_number_that_several_people_type_is_a_things() -> None:
    """A part number of ten digits stays when clients share it; a mail address never does."""
    assert mask("0445110183", is_shared=True).text == "0445110183"
    assert mask("0445110183").text == "<account>"
    assert mask("a@example.com", is_shared=True).text == "<mail>"


def test_own_patterns_come_first() -> None:
    """The organisation's patterns mask what no general rule knows."""
    rules = own_rules([r"\bEMP-\d{6}\b"])
    assert mask("badge of emp-123456", own=rules).text == "badge of <own>"
    with pytest.raises(ConfigError, match=r"'\(' is no regular expression"):
        own_rules(["("])


def test_nothing_but_personal_data() -> None:
    """A query of placeholders only says so."""
    assert mask("a@example.com, b@example.com").is_only_personal
    assert not mask("invoice a@example.com").is_only_personal


def test_check_digits() -> None:
    """The published examples of each scheme pass, and fail with a digit changed."""
    assert passes_luhn("79927398713")
    assert not passes_luhn("79927398714")
    assert passes_iban("GB82WEST12345698765432")
    assert not passes_iban("GB82WEST12345698765433")
    assert is_product_number("4006381333931")
    assert not is_product_number("4006381333932")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("电话13912345678怎么办", "电话<account>怎么办"),
        ("联系zhang@example.com谢谢", "联系<mail>谢谢"),
        ("身份证11010519491231002X", "<account>"),
        ("口座1234567 振込", "<account> 振込"),
        ("٠٥٠١٢٣٤٥٦٧٨ رقم", "<account> رقم"),
        ("هاتف +٩٧١ ٥٠ ١٢٣ ٤٥٦٧", "هاتف <phone>"),
        ("हेल्प ९८७६५४३२१०१", "हेल्प <account>"),
        ("01012345678로 전화", "<account>로 전화"),
        ("паспорт 4509 123456", "<account>"),
    ],
)
def test_personal_data_is_masked_in_every_script(text: str, masked: str) -> None:
    """Digits of every script are digits, and a word without blanks stands directly before a number."""
    assert mask(text).text == masked


@pytest.mark.parametrize("text", ["पंप ३ किलोवाट", "水泵AX1234567890", "٣ مضخات", "насос К-1234567890"])
def test_numbers_of_things_stay_in_every_script(text: str) -> None:
    """A letter with capitals makes a number a code; what is not masked keeps its own digits."""
    assert mask(text).text == text
