"""The sections on search logs: where they are, how they are cleaned, what counts as evidence."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from dialekt.config.section import PositiveInt, Section, Share

Grades = Mapping[str, float]


class LogFormat(StrEnum):
    """How a search log lies on disk. `auto` looks at the first rows."""

    AUTO = "auto"
    UBI = "ubi"
    FLAT = "flat"


class ClickModel(StrEnum):
    """How the bias of the rank is taken out of clicks.

    `auto` fits the position-based and the user browsing model and takes the one that foretells held-out clicks better.
    """

    AUTO = "auto"
    USER_BROWSING = "user_browsing"
    POSITION_BASED = "position_based"
    COEC = "coec"
    INVERSE_PROPENSITY = "inverse_propensity"


class LogsConfig(Section):
    """Where the search logs are, and how clicks become graded relevance."""

    path: tuple[str, ...] = Field(
        default=(), description="files, folders, globs or object-store URLs (s3://, gs://, https://); unset: no logs"
    )
    format: LogFormat = Field(default=LogFormat.AUTO, description="'auto' looks at the first rows")
    query_column: str | None = Field(
        default=None, description="flat log: the query text; unset: query, user_query, ..."
    )
    document_column: str | None = Field(default=None, description="flat log: the document id; unset: doc_id, ...")
    search_column: str | None = Field(
        default=None, description="flat log: what tells one result page from the next; unset: search_id, query_id, ..."
    )
    rank_column: str | None = Field(default=None, description="flat log: rank on the page; unset: rank, position, ...")
    action_column: str | None = Field(
        default=None, description="flat log: action name, or clicked as true/false or 1/0; unset: action, clicked, ..."
    )
    timestamp_column: str | None = Field(
        default=None, description="flat log: ISO 8601 or seconds; unset: timestamp, ..."
    )
    session_column: str | None = Field(default=None, description="flat log: session; unset: session_id, ...")
    client_column: str | None = Field(
        default=None, description="flat log: client or user; unset: client_id, user_id, ..."
    )
    dwell_column: str | None = Field(
        default=None, description="seconds spent on the document; unset: dwell_seconds, ..."
    )
    propensity_column: str | None = Field(
        default=None, description="probability that the rank was examined; unset: propensity if present"
    )
    action_grades: Grades = Field(
        default={"click": 1.0, "view": 1.0, "watch": 1.0, "add_to_cart": 2.0, "purchase": 3.0},
        description="what an action says about a document; any other action is no evidence",
    )
    click_model: ClickModel = Field(
        default=ClickModel.AUTO,
        description="'position_based' and 'user_browsing' are fitted by EM, and 'auto' takes the one that foretells "
        "held-out clicks better; 'coec' is clicks over expected clicks; 'inverse_propensity' needs propensities",
    )
    short_dwell_seconds: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="a click that came back sooner is no evidence; 0 counts every click"
    )
    long_dwell_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="a click with at least this dwell time counts as satisfied"
    )
    reformulations: bool = Field(
        default=True, description="credit the first query of a chain with the document that ended the search"
    )
    reformulation_weight: Share = Field(default=0.5, description="of such a credit, beside a click's own 1")
    skip_above: bool = Field(
        default=True, description="documents passed over above a click become weak negatives; other non-clicks never"
    )
    skip_above_weight: Share = Field(default=0.3, description="of a weak negative in the loss, beside 1")
    minimum_impressions: PositiveInt = Field(default=1, description="times a query must have shown a document")
    minimum_clicks: PositiveInt = Field(
        default=1,
        description="clicks that a positive needs, whatever its bound; the bound alone asks for more where it must",
    )
    minimum_relevance: Share | None = Field(
        default=None, description="lower bound of the relevance from which a pair is a positive; unset: from the log"
    )
    confidence: Share = Field(default=0.6, description="of the one-sided lower bound that decides")
    max_positives_per_query: PositiveInt = Field(default=10, description="highest lower bound first")
    memory_limit: str = Field(default="", description="for DuckDB, such as '4GB'; unset: a quarter of the machine's")
    examples: Annotated[int, Field(ge=0)] = Field(
        default=0, description="texts of this many queries per rule in the data report; 0 keeps texts out"
    )


class CleaningConfig(Section):
    """The rules that clean search logs, each of which can be switched off; every one is counted."""

    session_gap_minutes: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="a longer silence of a client starts a new session"
    )
    bots: bool = Field(default=True, description="drop clients that search like machines")
    bot_searches_per_minute: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="more searches than this in a minute are a machine's"
    )
    bot_searches_per_hour: PositiveInt = Field(
        default=200, description="more searches than this in an hour are a machine's"
    )
    bot_evenly_timed_searches: PositiveInt = Field(
        default=20, description="so many searches at nearly the same distance in time are a machine's"
    )
    bot_searches_without_click: PositiveInt = Field(
        default=100,
        description="a client with so many searches and not one click is a machine; more, where clicks are rare",
    )
    bot_clicks_per_search: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="a client whose mean clicks per search lie above this is a machine"
    )
    internal_clients: tuple[str, ...] = Field(default=(), description="client ids to leave out; * stands for anything")
    navigational: bool = Field(
        default=True, description="drop queries whose clicks nearly all go to one document, from many clients"
    )
    navigational_click_share: Share = Field(default=0.95, description="share of the clicks from which that is so")
    navigational_minimum_clicks: PositiveInt = Field(default=100, description="fewer clicks cannot show it")
    navigational_max_words: PositiveInt = Field(default=2, description="a longer query is no name")
    minimum_query_characters: PositiveInt = Field(default=2, description="shorter queries are dropped")
    max_query_characters: PositiveInt = Field(default=500, description="longer queries are dropped")
    merge_spellings: bool = Field(
        default=True, description="queries equal but for case, accents, punctuation and word forms become one"
    )
    personal_data: Literal["mask", "drop", "keep"] = Field(
        default="mask", description="mail addresses, phone, card and account numbers in queries"
    )
    personal_patterns: tuple[str, ...] = Field(
        default=(), description="your own regular expressions of personal data, for example staff numbers"
    )
    minimum_clients: PositiveInt = Field(
        default=1, description="k-anonymity: a query must come from this many different clients"
    )
