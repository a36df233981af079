"""The rules that clean searches, as SQL that a reader can check; each is counted, and each can be switched off."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from dialekt.config import CleaningConfig
from dialekt.errors import ConfigError
from dialekt.logs.database import run_step
from dialekt.logs.records import FunnelStep
from dialekt.logs.spelling import merge_spellings, read_texts
from dialekt.types import ReportProgress, no_progress

CHANCE_OF_NO_CLICK = 0.001  # so unlikely must a person's silence be
EVEN_SPREAD = 0.3  # quartile distance of the gaps over their median; people's lies near 1
FEWEST_SEARCHES = 5  # of a client whose clicks are judged
FEWEST_SHOWN = 30
SHARE_CLICKED = 0.8  # of what was shown
NAVIGATING_CLIENTS = 10
CHARACTERS_PER_WORD = 3  # of scripts without blanks; a name of two words has five at most

# What a client did, or a session where the log knows no clients.
_SEARCHERS = """
    CREATE TABLE searchers AS
    WITH told AS (
        SELECT coalesce(client_no, CASE WHEN session_given THEN session_no END) AS searcher, time, shown, acted
        FROM searches
    ),
    timed AS (
        SELECT *, time - lag(time) OVER (PARTITION BY searcher ORDER BY time) AS gap,
               CASE WHEN time IS NOT NULL THEN count(*) OVER (
                   PARTITION BY searcher ORDER BY time RANGE BETWEEN 60 PRECEDING AND CURRENT ROW) END AS in_a_minute,
               CASE WHEN time IS NOT NULL THEN count(*) OVER (
                   PARTITION BY searcher ORDER BY time RANGE BETWEEN 3600 PRECEDING AND CURRENT ROW) END AS in_an_hour
        FROM told WHERE searcher IS NOT NULL
    )
    SELECT searcher, count(*) AS searches, sum(shown) AS shown, sum(acted) AS acted,
           max(in_a_minute) AS busiest_minute, max(in_an_hour) AS busiest_hour, count(*) FILTER (gap > 0) AS gaps,
           (quantile_cont(gap, 0.75) FILTER (gap > 0) - quantile_cont(gap, 0.25) FILTER (gap > 0))
               / median(gap) FILTER (gap > 0) AS spread
    FROM timed GROUP BY searcher
"""
_OF_SEARCHERS = """
    coalesce(client_no, CASE WHEN session_given THEN session_no END)
    IN (SELECT searcher FROM searchers WHERE {condition})
"""

_NAVIGATIONAL = """
    query_no IN (
        WITH clicks AS (
            SELECT query_no, document_key, count(*) AS clicks,
                   count(DISTINCT coalesce(client_no, session_no)) AS clients
            FROM searches JOIN shown USING (search_no) WHERE grade > 0 GROUP BY query_no, document_key
        ),
        tops AS (
            SELECT query_no, sum(clicks) AS clicks, max(clicks) AS top, arg_max(clients, clicks) AS clients
            FROM clicks GROUP BY query_no
        )
        SELECT query_no FROM tops JOIN queries USING (query_no)
        WHERE tops.clicks >= $clicks AND top >= $share * tops.clicks AND tops.clients >= $clients
          AND len(string_split(normalised, ' '))
              + length(regexp_replace(normalised, $spaced, '', 'g')) // $characters <= $words
        UNION ALL
        SELECT query_no FROM queries WHERE regexp_full_match(lower(text), '(https?://|www\\.)\\S+')
    )
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the searches that it drops are those for which the SQL condition holds."""

    name: str
    condition: str
    is_on: bool = True
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What cleaning did: the funnel, and how many queries were masked, by kind of personal data."""

    funnel: tuple[FunnelStep, ...]
    masked_queries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Counts:
    rows: int
    searches: int
    queries: int


def clean(
    connection: duckdb.DuckDBPyConnection, config: CleaningConfig, *, progress: ReportProgress = no_progress
) -> Cleaned:
    """Apply the rules to `searches` in order, and write `queries`.

    Raises `ConfigError` when `minimum_clients` is asked of a log that knows neither clients nor sessions.
    """
    _require_clients(connection, config)
    run_step(connection, _SEARCHERS, label="looking at clients", progress=progress)
    funnel = [_apply(connection, rule, key="query_key") for rule in client_rules(connection, config)]
    masked = read_texts(connection, config, progress=progress)
    funnel += [_apply(connection, rule, key="query_key") for rule in text_rules(config)]
    before = _count(connection, "query_key")
    merge_spellings(connection, config)
    funnel.append(_step("merge_spellings", before, _count(connection, "query_no"), is_on=config.merge_spellings))
    funnel += [_apply(connection, rule, key="query_no") for rule in query_rules(config)]
    connection.execute("DELETE FROM queries WHERE query_no NOT IN (SELECT query_no FROM searches)")
    connection.execute("DROP TABLE searchers")
    return Cleaned(tuple(funnel), masked)


def client_rules(connection: duckdb.DuckDBPyConnection, config: CleaningConfig) -> tuple[Rule, ...]:
    """Return the rules on who searched."""
    row = connection.execute("""
        SELECT coalesce(avg((acted > 0)::INTEGER), 0), coalesce(avg((time % 60 <> 0)::INTEGER), 0),
               coalesce(sum(shown) > 1.05 * sum(acted), false)
        FROM searches
    """).fetchone()
    acting, fine, impressions = row or (0.0, 0.0, False)
    silent = config.bot_searches_without_click
    if 0 < acting < 1:
        silent = max(silent, math.ceil(math.log(CHANCE_OF_NO_CLICK) / math.log1p(-acting)))
    times_fine = fine > 0.1  # times of whole minutes cannot show a rate
    return (
        Rule("internal_clients", "internal", bool(config.internal_clients)),
        _bots(
            "bots_too_fast",
            "busiest_minute > $minute OR busiest_hour > $hour",
            config.bots and times_fine,
            minute=config.bot_searches_per_minute,
            hour=config.bot_searches_per_hour,
        ),
        _bots(
            "bots_evenly_timed",
            "gaps >= $fewest AND spread < $even",
            config.bots and times_fine,
            fewest=config.bot_evenly_timed_searches,
            even=EVEN_SPREAD,
        ),
        _bots("bots_without_click", "acted = 0 AND searches >= $fewest", config.bots and acting > 0, fewest=silent),
        _bots(
            "bots_clicking_all",
            """searches >= $fewest AND (acted > $most * searches
                OR ($impressions AND shown >= $fewest_shown AND acted > $share * shown))""",
            config.bots,
            fewest=FEWEST_SEARCHES,
            most=config.bot_clicks_per_search,
            impressions=impressions,
            fewest_shown=FEWEST_SHOWN,
            share=SHARE_CLICKED,
        ),
    )


def text_rules(config: CleaningConfig) -> tuple[Rule, ...]:
    """Return the rules on what was typed. One ideograph or Korean syllable is a word; one letter is none."""
    dropped = "personal" if config.personal_data == "drop" else "only_personal"
    return (
        _texts("malformed", r"NOT regexp_matches(text, '[\p{L}\p{N}]') OR regexp_matches(text, '[\x{FFFD}\x00-\x1F]')"),
        _texts(
            "too_short",
            r"length(text) < $fewest AND NOT regexp_matches(text, '[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]')",
            fewest=config.minimum_query_characters,
        ),
        _texts("too_long", "length(text) > $most", most=config.max_query_characters),
        Rule("personal_data", _TEXTS.format(condition=dropped), config.personal_data != "keep"),
    )


def query_rules(config: CleaningConfig) -> tuple[Rule, ...]:
    """Return the rules on merged queries."""
    limits = {
        "clicks": config.navigational_minimum_clicks,
        "share": config.navigational_click_share,
        "clients": NAVIGATING_CLIENTS,
        "words": config.navigational_max_words,
        "characters": CHARACTERS_PER_WORD,
        "spaced": r"[^\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]",
    }
    few = "query_no IN (SELECT query_no FROM queries WHERE clients < $fewest)"
    return (
        Rule("navigational", _NAVIGATIONAL, config.navigational, limits),
        Rule("too_few_clients", few, config.minimum_clients > 1, {"fewest": config.minimum_clients}),
    )


_TEXTS = "query_key IN (SELECT query_key FROM texts WHERE {condition})"


def _texts(name: str, condition: str, **parameters: object) -> Rule:
    return Rule(name, _TEXTS.replace("{condition}", condition), parameters=parameters)


def _bots(name: str, condition: str, is_on: bool, **parameters: object) -> Rule:  # noqa: FBT001 - a rule's own field
    return Rule(name, _OF_SEARCHERS.format(condition=condition), is_on, parameters)


def _require_clients(connection: duckdb.DuckDBPyConnection, config: CleaningConfig) -> None:
    if config.minimum_clients == 1:
        return
    row = connection.execute("SELECT bool_or(client_no IS NOT NULL OR session_given) FROM searches").fetchone()
    if not (row and row[0]):
        raise ConfigError(
            f"cleaning.minimum_clients = {config.minimum_clients} cannot be kept: the log knows no clients or sessions",
            hint="name logs.client_column or logs.session_column, or set cleaning.minimum_clients = 1",
        )


def _apply(connection: duckdb.DuckDBPyConnection, rule: Rule, *, key: str) -> FunnelStep:
    before = _count(connection, key)
    if rule.is_on:
        connection.execute(f"DELETE FROM searches WHERE {rule.condition}", dict(rule.parameters) or None)
    return _step(rule.name, before, _count(connection, key) if rule.is_on else before, is_on=rule.is_on)


def _step(name: str, before: _Counts, after: _Counts, *, is_on: bool) -> FunnelStep:
    return FunnelStep(
        rule=name,
        rows_in=before.rows,
        rows_out=after.rows,
        searches_in=before.searches,
        searches_out=after.searches,
        queries_in=before.queries,
        queries_out=after.queries,
        switched_off=not is_on,
    )


def _count(connection: duckdb.DuckDBPyConnection, key: str) -> _Counts:
    row = connection.execute(
        f"SELECT coalesce(sum(shown), 0), count(*), count(DISTINCT {key}) FROM searches"
    ).fetchone()
    assert row is not None
    return _Counts(*(int(value) for value in row))
