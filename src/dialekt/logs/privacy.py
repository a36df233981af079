"""Personal data in queries: mail addresses, phone, card and account numbers, and an organisation's own patterns.

A pattern alone would take part numbers for phone numbers, so check digits decide where there are any: a card number
passes Luhn's test, an IBAN its remainder by 97; a number that passes as a product's (GTIN, ISBN) is none of a person.
The digits of every script count as digits. A letter beside a number makes it a code, except one of a script without
capitals, where words stand against numbers without a blank (电话13912345678).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dialekt.errors import ConfigError
from dialekt.store.words import plain_digits

_WORD = re.compile(r"\w")
_PLACEHOLDER = re.compile(r"<(?:mail|card|account|phone|own)>")
_SUSPICIOUS = re.compile(r"\d[\d ()./-]{4,}\d|@|[(\[]at[)\]]|\b[a-z]{2}\d{2}", re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d\d[./ -]\d\d?[./ -]\d\d?|\d\d?[./ -]\d\d?[./ -](?:19|20)\d\d")
_CARD_START = re.compile(r"4|5[1-5]|2[2-7]|3[4-8]|6")
_SHORTEST_IBAN = 15
_CASED = r"0-9A-Za-z_\u00aa-\u052f"  # what a code is written with: digits and the letters of scripts with capitals


@dataclass(frozen=True, slots=True)
class Masked:
    """A query in which personal data is replaced by its kind, such as `<mail>`; `kinds` is empty if there was none."""

    text: str
    kinds: tuple[str, ...] = ()

    @property
    def is_only_personal(self) -> bool:
        """Say whether nothing but placeholders is left."""
        return bool(self.kinds) and not _WORD.search(_PLACEHOLDER.sub("", self.text))


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of personal data. `extent` says how many characters of a match are personal; 0 for a false alarm.

    `spares_shared` leaves a match alone in a text that several people typed: it is then a thing's number.
    """

    kind: str
    pattern: re.Pattern[str]
    extent: Callable[[str], int] = len
    spares_shared: bool = False


def own_rules(patterns: Sequence[str]) -> tuple[Rule, ...]:
    """Return the organisation's own patterns as rules; raise `ConfigError` for one that is no regular expression."""
    rules = []
    for pattern in patterns:
        try:
            rules.append(Rule("own", re.compile(pattern, re.IGNORECASE)))
        except re.error as error:
            raise ConfigError(
                f"cleaning.personal_patterns: {pattern!r} is no regular expression: {error}",
                hint=r"in TOML, write it in single quotes: '\bEMP-\d{6}\b'",
            ) from None
    return tuple(rules)


def mask(text: str, *, own: Sequence[Rule] = (), is_shared: bool = False) -> Masked:
    """Replace personal data in a query. `is_shared` says that several people typed this very text."""
    typed, text = text, plain_digits(text)
    rules = [*own, *RULES] if _SUSPICIOUS.search(text) else own
    found: dict[str, None] = {}
    for rule in rules:
        if rule.spares_shared and is_shared:
            continue

        def replace(match: re.Match[str], rule: Rule = rule) -> str:
            extent = rule.extent(match[0])
            if not extent:
                return match[0]
            found[rule.kind] = None
            return f"<{rule.kind}>{match[0][extent:]}"

        text = rule.pattern.sub(replace, text)
    return Masked(text if found else typed, tuple(found))


def passes_luhn(digits: str) -> bool:
    """Say whether the last digit checks the others, as on payment cards (ISO/IEC 7812-1)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def passes_iban(compact: str) -> bool:
    """Say whether the check digits of an account number hold (ISO 13616: remainder 1 by 97)."""
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def is_product_number(digits: str) -> bool:
    """Say whether the check digit is that of a product (GTIN-12, -13, -14) or a book (ISBN-10)."""
    if len(digits) == 10:
        return sum(int(digit) * (10 - place) for place, digit in enumerate(digits)) % 11 == 0
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return len(digits) in {12, 13, 14} and weighted % 10 == 0


def _digits(text: str) -> str:
    return "".join(sign for sign in text if "0" <= sign <= "9")


def _card(text: str) -> int:
    digits = _digits(text)
    return len(text) if _CARD_START.match(digits) and passes_luhn(digits) else 0


def _iban(text: str) -> int:
    """Return the length of the longest beginning that is a valid IBAN: a word may follow the number."""
    for end in range(len(text), _SHORTEST_IBAN - 1, -1):
        compact = re.sub(r"[ -]", "", text[:end])
        if text[end - 1].isalnum() and len(compact) >= _SHORTEST_IBAN and passes_iban(compact):
            return end
    return 0


def _phone(text: str) -> int:
    return len(text) if 7 <= len(_digits(text)) <= 15 and not _DATE.search(text) else 0


def _long_number(text: str) -> int:
    return 0 if text.isdecimal() and is_product_number(text) else len(text)


# The order matters: what an earlier rule took, a later one no longer sees.
RULES = (
    Rule(
        "mail",
        re.compile(
            rf"(?:[{_CASED}.+'-]+|[^\W{_CASED}]+)(?:@|\s?[(\[]at[)\]]\s?)"
            rf"(?:[{_CASED}-]+(?:\.[{_CASED}-]+)+|[\w-]+(?:\.[\w-]+)+)",
            re.IGNORECASE,
        ),
    ),
    Rule(
        "account",
        re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?\b", re.IGNORECASE | re.ASCII),
        _iban,
    ),
    Rule("card", re.compile(rf"(?<![{_CASED}.-])[0-9](?:[ -]?[0-9]){{13,18}}(?![{_CASED}-])"), _card),
    Rule(
        "account", re.compile(rf"(?<![{_CASED}-])[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}(?![{_CASED}-])")
    ),  # social security, United States
    Rule(  # a number of six digits or more that a word calls a person's
        "account",
        re.compile(
            r"(?<=\b)(?:account|acct|konto|kontonummer|customer|kunde|kundennummer|member|passport|ssn|iban)\b"
            r"[^0-9<]{0,12}[0-9](?:[ -]?[0-9]){5,}",
            re.IGNORECASE,
        ),
    ),
    Rule(  # the same words in other languages
        "account",
        re.compile(
            r"(?:账号|账户|帐号|帳號|帳戶|卡号|身份证|護照|护照|口座|会員番号|免許証|계좌|회원번호|주민번호|여권"
            r"|\b(?:сч[её]т|паспорт|снилс|инн|рахунок|cuenta|pasaporte|compte|passeport|conto|passaporto|conta|passaporte"
            r"|rekening|paspoort|hesap|pasaport|konta|paszport|λογαριασμ\w+|διαβατηρ\w+)|حساب|جواز|هوية|खाता|पासपोर्ट"
            r"|บัญชี|หนังสือเดินทาง)[^0-9<]{0,12}[0-9](?:[ -]?[0-9]){5,}[xX]?",
            re.IGNORECASE,
        ),
    ),
    Rule(
        "phone",
        re.compile(
            rf"(?<![{_CASED}.@/-])(?:(?:\+|00)[1-9][0-9]{{0,2}}(?:[ ./-]?\(?[0-9]+\)?){{1,6}}"
            rf"|\([0-9]{{2,5}}\)[ ./-]?[0-9]{{2,5}}(?:[ ./-]?[0-9]{{2,5}}){{0,3}})(?![{_CASED}/-])"
        ),
        _phone,
    ),
    Rule(
        "phone",
        re.compile(
            rf"(?<![{_CASED}.@/-])"
            r"(?:[2-9][0-9]{2}[ .-][0-9]{3}[ .-][0-9]{4}|0[0-9]{1,5}(?:[ /-][0-9]{2,8}){1,4})"
            rf"(?![{_CASED}/-])"
        ),
        _phone,
        spares_shared=True,
    ),
    Rule(
        "account",
        re.compile(rf"(?<![{_CASED}.-])(?:[0-9]{{17}}[xX]|[0-9]{{10,34}})(?![{_CASED}-]|\.[0-9])"),
        _long_number,
        spares_shared=True,
    ),
)
