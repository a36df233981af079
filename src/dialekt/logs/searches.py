"""The table `rows` → one row per search (`searches`), and one per search and document (`shown`)."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from dialekt.config import LogsConfig
from dialekt.logs.database import count_of, run_step
from dialekt.logs.rows import CLICKED, SHOWN
from dialekt.types import ReportProgress, no_progress

SHOWN_NAMES = (SHOWN, "impressions", "shown", "show", "display", "displayed", "exposure", "exposed", "view_item_list")
CODES = 60  # actions told apart; later ones share the last bit
ZERO_BASED_SHARE = 0.1  # of the rank-1 rows: fewer rows at rank 0 are faults

# A search without an id: the same searcher's rows of one text, as long as no gap of a session lies between them;
# without a searcher the rows of one text and moment; without times either, every row. An event that names only its text
# belongs to the client's last search for it.
_DERIVE_SEARCHES = """
    CREATE TABLE keyed AS
    WITH unnamed AS (
        SELECT *, coalesce(session_no, client_no) AS searcher, number_of(query) AS query_key FROM rows
        WHERE kind = 0 AND search_no IS NULL AND query IS NOT NULL
    ),
    named AS (
        SELECT search_no, number_of(query) AS query_key, client_no, time FROM rows
        WHERE kind = 0 AND document IS NULL AND action IS NULL
          AND search_no IS NOT NULL AND query IS NOT NULL AND client_no IS NOT NULL AND time IS NOT NULL
    ),
    joined AS (
        SELECT unnamed.*, CASE WHEN unnamed.time - named.time <= $gap THEN named.search_no END AS found
        FROM unnamed ASOF LEFT JOIN named
        ON unnamed.client_no = named.client_no AND unnamed.query_key = named.query_key AND unnamed.time >= named.time
        WHERE searcher IS NOT NULL AND unnamed.time IS NOT NULL
    ),
    marked AS (
        SELECT *, time - lag(time) OVER (PARTITION BY searcher, query_key ORDER BY time) > $gap AS starts FROM joined
    ),
    islands AS (
        SELECT *, count(*) FILTER (starts) OVER (PARTITION BY searcher, query_key ORDER BY time) AS island FROM marked
    ),
    copies AS (
        SELECT *, row_number() OVER (PARTITION BY query_key, document, rank, action) AS copy FROM unnamed
        WHERE searcher IS NULL AND time IS NULL
    )
    SELECT * EXCLUDE (searcher, query_key, found, starts, island)
        REPLACE (coalesce(found, number_of(hash(searcher, query_key, island))) AS search_no) FROM islands
    UNION ALL
    SELECT * EXCLUDE (searcher, query_key) REPLACE (number_of(hash(searcher, query_key)) AS search_no) FROM unnamed
    WHERE searcher IS NOT NULL AND time IS NULL
    UNION ALL
    SELECT * EXCLUDE (searcher, query_key) REPLACE (number_of(hash(query_key, time)) AS search_no) FROM unnamed
    WHERE searcher IS NULL AND time IS NOT NULL
    UNION ALL
    SELECT * EXCLUDE (searcher, query_key, copy)
        REPLACE (number_of(hash(query_key, document, rank, action, copy)) AS search_no) FROM copies
"""

# No impression events in the whole log: what the engine returned stands for what was shown.
_HITS = """
    INSERT INTO rows
    SELECT file_no, 0, search_no, query, unnest(hits), unnest(range(1, len(hits) + 1)), $shown, time,
           session_no, client_no, internal, NULL, NULL, NULL, NULL
    FROM rows WHERE len(hits) > 0 AND search_no IS NOT NULL
"""

_ZERO_BASED = """
    SELECT counter FROM rows WHERE rank IN (0, 1)
    GROUP BY counter HAVING count(*) FILTER (rank = 0) > $share * count(*) FILTER (rank = 1)
"""

_SHOWN = """
    CREATE TABLE shown AS
    SELECT search_no,
           number_of(document) AS document_key,
           min(CASE WHEN counter IN (SELECT counter FROM zero_based) THEN rank + 1 ELSE rank END)
               FILTER (rank > 0 OR (rank = 0 AND counter IN (SELECT counter FROM zero_based))) AS rank,
           max(actions.grade) AS grade,
           max(dwell_seconds) FILTER (actions.grade > 0) AS dwell_seconds,
           max(time) FILTER (actions.grade > 0) AS acted_time,
           max(propensity) FILTER (propensity > 0 AND propensity <= 1) AS propensity,
           count(*)::INTEGER AS events,
           bit_count(bit_or(1::BIGINT << actions.code))::INTEGER AS kinds
    FROM rows JOIN actions ON rows.action = actions.action
    WHERE kind = 0 AND search_no IS NOT NULL AND document IS NOT NULL AND actions.known
    GROUP BY ALL
"""

_DOCUMENTS = """
    CREATE TABLE documents AS
    SELECT (row_number() OVER (ORDER BY document_id) - 1)::BIGINT AS document_no, document_key, document_id
    FROM (SELECT number_of(document) AS document_key, min(document) AS document_id FROM rows
          WHERE kind = 0 AND document IS NOT NULL GROUP BY document_key)
"""

_SEARCHES = """
    CREATE TABLE searches AS
    WITH told AS (
        SELECT search_no,
               coalesce(min(query) FILTER (action IS NULL), min(query)) AS query,
               min(time) AS time,
               min(session_no) AS given_session,
               min(client_no) AS client_no,
               bool_or(internal) AS internal
        FROM rows WHERE kind = 0 AND search_no IS NOT NULL GROUP BY search_no
    ),
    counted AS (
        SELECT search_no, count(*) AS shown, count(*) FILTER (grade > 0) AS acted FROM shown GROUP BY search_no
    )
    SELECT told.*, coalesce(shown, 0) AS shown, coalesce(acted, 0) AS acted
    FROM told LEFT JOIN counted USING (search_no)
"""

_SPELLINGS = """
    CREATE TABLE spellings AS
    SELECT number_of(query) AS query_key, min(query) AS raw FROM searches GROUP BY query_key
"""

# A session that the log names is still cut where its searcher was silent for longer than the gap. Where only the pages
# with a click name one, the client holds a session together.
_SESSIONS = """
    CREATE OR REPLACE TABLE searches AS
    WITH habit AS (SELECT count(given_session) > 0.95 * count(*) AS by_session FROM searches),
    owned AS (
        SELECT searches.*, CASE WHEN by_session THEN coalesce(given_session, client_no, search_no)
                                ELSE coalesce(client_no, given_session, search_no) END AS searcher
        FROM searches CROSS JOIN habit
    ),
    marked AS (
        SELECT *, coalesce(time - lag(time) OVER (PARTITION BY searcher ORDER BY time) > $gap, false) AS starts
        FROM owned
    ),
    counted AS (SELECT *, count(*) FILTER (starts) OVER (PARTITION BY searcher ORDER BY time) AS part FROM marked)
    SELECT search_no, number_of(query) AS query_key, number_of(hash(searcher, part)) AS session_no,
           given_session IS NOT NULL AS session_given, client_no, internal, time, shown, acted
    FROM counted
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What the rows held. `repeated` rows say again what another row of their search and document says."""

    acted: int
    repeated: int
    unknown_actions: Mapping[str, int]
    events_without_query: int
    events_without_document: int
    hits_used: bool
    ranks_from_zero: bool


def find_searches(
    connection: duckdb.DuckDBPyConnection,
    config: LogsConfig,
    *,
    gap_seconds: float,
    progress: ReportProgress = no_progress,
) -> Found:
    """Fill `searches`, `spellings`, `shown` and `documents` from `rows`, and drop `rows`."""
    gap = {"gap": gap_seconds}
    if count_of(connection, "SELECT count(*) FROM rows WHERE kind = 0 AND search_no IS NULL AND query IS NOT NULL"):
        run_step(connection, _DERIVE_SEARCHES, label="telling searches apart", parameters=gap, progress=progress)
        connection.execute("DELETE FROM rows WHERE search_no IS NULL AND query IS NOT NULL")
        connection.execute("INSERT INTO rows SELECT * FROM keyed; DROP TABLE keyed")
    unknown = _name_actions(connection, config)
    hits_used = _use_hits(connection, progress)
    connection.execute("CREATE TABLE zero_based AS " + _ZERO_BASED, {"share": ZERO_BASED_SHARE})
    run_step(connection, _SHOWN, label="joining impressions and clicks", progress=progress)
    run_step(connection, _DOCUMENTS, label="numbering documents", progress=progress)
    run_step(connection, _SEARCHES, label="numbering searches", progress=progress)
    _drop_without_query(connection)
    run_step(connection, _SPELLINGS, label="collecting queries", progress=progress)
    run_step(connection, _SESSIONS, label="cutting sessions", parameters=gap, progress=progress)
    found = _found(connection, unknown, hits_used=hits_used)
    connection.execute("DROP TABLE rows")
    return found


def _name_actions(connection: duckdb.DuckDBPyConnection, config: LogsConfig) -> dict[str, int]:
    """Write the table `actions`: what each action says of a document; return the actions that say nothing."""
    counts = connection.execute(
        "SELECT action, count(*) FROM rows WHERE kind = 0 AND action IS NOT NULL GROUP BY action ORDER BY 2 DESC, 1"
    ).fetchall()
    grades = {CLICKED: 1.0} | {name.lower(): grade for name, grade in config.action_grades.items()}
    grades |= {name: 0.0 for name in SHOWN_NAMES if name not in grades}
    connection.execute("CREATE TABLE actions (action VARCHAR, grade DOUBLE, code INTEGER, known BOOLEAN)")
    names = [name for name, _ in counts] + [SHOWN] * (SHOWN not in {name for name, _ in counts})
    rows = [(name, grades.get(name, 0.0), min(code, CODES), name in grades) for code, name in enumerate(names)]
    connection.executemany("INSERT INTO actions VALUES (?, ?, ?, ?)", rows)
    return {name: count for name, count in counts if name not in grades}


def _use_hits(connection: duckdb.DuckDBPyConnection, progress: ReportProgress) -> bool:
    shown = ", ".join(f"'{name}'" for name in SHOWN_NAMES)
    if count_of(connection, f"SELECT count(*) FROM rows WHERE kind = 0 AND action IN ({shown}) LIMIT 1"):
        return False
    if not count_of(connection, "SELECT count(*) FROM rows WHERE len(hits) > 0"):
        return False
    run_step(connection, _HITS, label="unfolding result lists", parameters={"shown": SHOWN}, progress=progress)
    return True


def _drop_without_query(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("DELETE FROM shown WHERE search_no IN (SELECT search_no FROM searches WHERE query IS NULL)")
    connection.execute("DELETE FROM searches WHERE query IS NULL")


def _found(connection: duckdb.DuckDBPyConnection, unknown: Mapping[str, int], *, hits_used: bool) -> Found:
    told = connection.execute(
        "SELECT count(*) FILTER (grade > 0), coalesce(sum(events - kinds), 0) FROM shown"
    ).fetchone()
    acted, repeated = told or (0, 0)
    without_query = """
        SELECT count(*) FROM rows WHERE kind = 0 AND document IS NOT NULL
        AND (search_no IS NULL OR search_no NOT IN (SELECT search_no FROM searches))
    """
    without_document = "SELECT count(*) FROM rows WHERE kind = 0 AND action IS NOT NULL AND document IS NULL"
    return Found(
        acted=int(acted),
        repeated=int(repeated),
        unknown_actions=unknown,
        events_without_query=count_of(connection, without_query),
        events_without_document=count_of(connection, without_document),
        hits_used=hits_used,
        ranks_from_zero=bool(count_of(connection, "SELECT count(*) FROM zero_based")),
    )
