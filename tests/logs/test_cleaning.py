# ruff: noqa: RUF001 - texts in many scripts
"""Each cleaning rule drops what it names, counts it, and can be switched off."""

import random
from pathlib import Path
from typing import Any

import pytest
from tests.logs.written import MINUTE, cleaned, queries_of, search

from dialekt.errors import ConfigError
from dialekt.logs.records import RULE_MEANINGS

Rows = list[dict[str, object]]


def crowd(*, people: int = 60, searches: int = 6, seed: int = 1) -> Rows:
    """Return the searches of people: uneven gaps, one click on two pages of three."""
    generator = random.Random(seed)
    rows: Rows = []
    for person in range(people):
        at = generator.uniform(0, 5e5)
        for number in range(searches):
            at += generator.lognormvariate(4, 1)
            clicked = generator.choice([0, 1, 2])
            rows += search(f"p{person}", f"query {generator.randrange(40)}", clicked=clicked, at=at, number=number)
    return rows


def bot(kind: str) -> Rows:
    """Return the 150 searches of one machine."""
    generator = random.Random(2)
    moments = {
        "fast": [number * 0.9 for number in range(150)],
        "steady": [generator.uniform(0, 3600) for _ in range(150)],
        "even": [number * 600.0 for number in range(150)],
    }
    uneven = [number * 900 + generator.uniform(0, 800) for number in range(150)]
    rows: Rows = []
    for number, at in enumerate(moments.get(kind, uneven)):
        page = search(kind, f"query {number % 40}", clicked=0 if kind == "silent" else 1, at=at, number=number)
        rows += [row | {"clicked": True} for row in page] if kind == "greedy" else page
    return rows


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("fast", "bots_too_fast"),
        ("steady", "bots_too_fast"),
        ("even", "bots_evenly_timed"),
        ("silent", "bots_without_click"),
        ("greedy", "bots_clicking_all"),
    ],
)
def test_machines_go_and_people_stay(tmp_path: Path, kind: str, rule: str) -> None:
    """A machine of each kind is dropped by its rule with all its searches, and not one person's."""
    with cleaned(tmp_path, [*crowd(), *bot(kind)], bot_searches_per_hour=120) as (_, result):
        lost = {step.rule: step.searches_in - step.searches_out for step in result.funnel}
        assert lost[rule] == 150
        assert sum(lost.values()) == 150


def test_machines_stay_when_the_rule_is_off(tmp_path: Path) -> None:
    """With `bots` off nothing is dropped, and the funnel says that the rules were off."""
    with cleaned(tmp_path, [*crowd(), *bot("fast")], bots=False) as (_, result):
        assert all(step.searches_in == step.searches_out for step in result.funnel)
        assert next(step for step in result.funnel if step.rule == "bots_too_fast").switched_off


def test_a_day_without_clock_shows_no_rate(tmp_path: Path) -> None:
    """Times of whole days put a client's searches into one second: that is no machine."""
    rows = [row | {"timestamp": "2026-03-01"} for number in range(40) for row in search("x", f"q {number}", clicked=1)]
    with cleaned(tmp_path, rows) as (connection, _):
        assert connection.execute("SELECT count(*) FROM searches").fetchone() == (40,)


def test_rare_clicks_ask_for_longer_silence(tmp_path: Path) -> None:
    """Where one search in fifty is clicked, a person with 120 searches and no click is likely one."""
    generator = random.Random(4)
    rows: Rows = []
    for person in range(5):
        for number in range(120):
            at = number * 400 + generator.uniform(0, 300) + generator.lognormvariate(4, 1.5)
            clicked = int(person > 0 and number % 40 == 0)
            rows += search(f"p{person}", f"query {number}", clicked=clicked, at=at, number=number)
    with cleaned(tmp_path, rows) as (_, result):
        assert next(step for step in result.funnel if step.rule == "bots_without_click").searches_out == 600


def test_internal_clients_go(tmp_path: Path) -> None:
    """A star stands for anything; a point is a point."""
    rows = [*search("test.1", "shoes"), *search("testx1", "boots"), *search("monitor", "hats")]
    with cleaned(tmp_path, rows, internal_clients=("test.*", "monitor")) as (connection, _):
        assert queries_of(connection) == ["boots"]


@pytest.mark.parametrize(("text", "rule"), [("?!", "malformed"), ("x", "too_short"), ("y" * 501, "too_long")])
def test_queries_that_say_nothing_go(tmp_path: Path, text: str, rule: str) -> None:
    """No letter or digit, one character, a pasted page: each is dropped by its rule."""
    with cleaned(tmp_path, [*search("a", text), *search("a", "shoes")]) as (connection, result):
        assert queries_of(connection) == ["shoes"]
        assert {step.rule: step.queries_in - step.queries_out for step in result.funnel}[rule] == 1


def test_one_ideograph_is_a_word(tmp_path: Path) -> None:
    """A single character that is a word in its script stays."""
    with cleaned(tmp_path, search("a", "猫")) as (connection, _):
        assert queries_of(connection) == ["猫"]


def test_spellings_become_one_query(tmp_path: Path) -> None:
    """Case, accents, punctuation, blanks, apostrophes and plurals do not make a query; the most frequent form stays."""
    spellings = ["Café chairs", "Café chairs", "cafe  chair", "CAFE-CHAIRS!", "cafe' chair"]
    rows = [row for number, text in enumerate(spellings) for row in search(f"c{number}", text)]
    with cleaned(tmp_path, rows) as (connection, _):
        told = connection.execute("SELECT text, normalised, variants, clients, searches FROM queries").fetchall()
        assert told == [("Café chairs", "cafe chair", 4, 5, 5)]


@pytest.mark.parametrize(("one", "other"), [("c++", "c"), ("c#", "c++"), ("3.5 inch", "35 inch"), ("bus", "bu s")])
def test_different_queries_stay_apart(tmp_path: Path, one: str, other: str) -> None:
    """Signs that are part of a word, points between digits and words that only look plural make a difference."""
    rows = [*search("a", one), *search("b", other)]
    with cleaned(tmp_path, rows, minimum_query_characters=1) as (connection, _):
        assert len(queries_of(connection)) == 2


def test_spellings_stay_when_the_rule_is_off(tmp_path: Path) -> None:
    """With `merge_spellings` off every text is a query."""
    with cleaned(tmp_path, [*search("a", "Shoes"), *search("b", "shoe")], merge_spellings=False) as (connection, _):
        assert queries_of(connection) == ["Shoes", "shoe"]


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ("mask", ["invoice <mail>", "shoes"]),
        ("drop", ["shoes"]),
        ("keep", ["b@example.com", "invoice a@example.com", "shoes"]),
    ],
)
def test_personal_data_is_masked_dropped_or_kept(tmp_path: Path, choice: str, left: list[str]) -> None:
    """Masking keeps the rest of the query; a query of nothing else goes; the kinds are counted."""
    rows = [row for text in ("invoice a@example.com", "b@example.com", "shoes") for row in search("x", text)]
    with cleaned(tmp_path, rows, personal_data=choice) as (connection, result):
        assert queries_of(connection) == left
        assert result.masked_queries == ({} if choice == "keep" else {"mail": 2})


def test_masked_queries_of_many_people_are_one(tmp_path: Path) -> None:
    """What differs in the personal part only becomes one query of several clients."""
    rows = [row for name in "abc" for row in search(name, f"invoice {name}{name}@example.com")]
    with cleaned(tmp_path, rows, minimum_clients=3) as (connection, _):
        assert queries_of(connection) == ["invoice <mail>"]


def test_rare_queries_go_for_anonymity(tmp_path: Path) -> None:
    """A query of fewer clients than asked is dropped, however often one client repeats it."""
    rows = [
        *search("a", "shoes"),
        *search("b", "shoes"),
        *search("c", "my secret", at=1),
        *search("c", "my secret", at=9),
    ]
    with cleaned(tmp_path, rows, minimum_clients=2) as (connection, _):
        assert queries_of(connection) == ["shoes"]


def test_anonymity_needs_clients(tmp_path: Path) -> None:
    """A log that cannot tell clients cannot keep the promise: an error, not a guess."""
    rows: list[dict[str, Any]] = [{"query": "shoes", "doc_id": "a"}]
    with (
        pytest.raises(ConfigError, match="cannot be kept: the log knows no clients"),
        cleaned(tmp_path, rows, minimum_clients=2),
    ):
        pass


def test_navigational_queries_go(tmp_path: Path) -> None:
    """A short query whose clicks all go one way goes, and so does an address; a long one stays."""
    rows: Rows = []
    for number in range(30):
        rows += search(f"c{number}", "intranet", clicked=1, at=number * MINUTE * 1.7)
        rows += search(f"c{number}", "how to log in", clicked=1, at=number * MINUTE * 2.3)
    rows += search("c1", "https://example.com/login", clicked=1)
    with cleaned(tmp_path, rows, navigational_minimum_clicks=20) as (connection, _):
        assert queries_of(connection) == ["how to log in"]


def test_every_rule_has_a_name_for_people(tmp_path: Path) -> None:
    """The funnel asks the rules in the order in which reports name them."""
    with cleaned(tmp_path, search("a", "shoes")) as (_, result):
        assert [step.rule for step in result.funnel] == list(RULE_MEANINGS)


@pytest.mark.parametrize(
    ("one", "other"), [("バス", "パス"), ("का", "की"), ("ใกล้", "ไกล"), ("мой счёт", "мои счета"), ("밸브", "벨브")]
)
def test_signs_of_other_scripts_are_no_accents(tmp_path: Path, one: str, other: str) -> None:
    """What would be another word without its sign stays another query."""
    with cleaned(tmp_path, [*search("a", one), *search("b", other)]) as (connection, _):
        assert queries_of(connection) == sorted((one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("مُحَمَّد", "محمد"),
        ("Αντλία", "ΑΝΤΛΙΑ"),
        ("ёлка!", "Елка"),
        ("ﾊﾞｽ", "バス"),
        ("ISPARTA", "ısparta"),
        ("《水泵》", "水泵"),
    ],
)
def test_spellings_of_every_script_become_one_query(tmp_path: Path, one: str, other: str) -> None:
    """Case, width, optional signs, accents on letters with case and punctuation make no query."""
    with cleaned(tmp_path, [*search("a", one), *search("b", other)]) as (connection, _):
        assert len(queries_of(connection)) == 1


def test_a_long_search_without_blanks_is_no_name(tmp_path: Path) -> None:
    """A question of ten ideographs stays where a name of three is navigational."""
    rows = [
        row
        for query in ("如何重置登录密码呢", "百度网")
        for person in range(40)
        for row in search(f"p{person}", query, clicked=1)
    ]
    with cleaned(tmp_path, rows, navigational_minimum_clicks=20) as (connection, _):
        assert queries_of(connection) == ["如何重置登录密码呢"]


def test_one_korean_syllable_is_a_word(tmp_path: Path) -> None:
    """As one ideograph is."""
    with cleaned(tmp_path, search("a", "책")) as (connection, _):
        assert queries_of(connection) == ["책"]
