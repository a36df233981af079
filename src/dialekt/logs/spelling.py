"""The texts of queries: personal data masked, spellings of the same query merged."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from dialekt.config import CleaningConfig
from dialekt.logs.privacy import Masked, Rule, mask, own_rules
from dialekt.store.words import spelling_form
from dialekt.types import Progress, ReportProgress, no_progress

BATCH_ROWS = 50_000
SHARED_CLIENTS = 5  # a text that so many typed is nobody's own

_OTHER_SCRIPTS = re.compile("[\u0130\u0131\u0370-\u1dff\u2c00-\ua71f\ua800-\U0003ffff]")

# From the inside out: case and accents; apostrophes vanish; + and # stay with a word (c++, c#), points between digits
# stay (3.5); everything else that is no letter or digit is a blank; then plural endings of English (Harman's
# S-stemmer, 1991), only on words of Latin letters. Only the comparison uses this form: a query keeps its most
# frequent spelling. The first step is `store.words`' where a query has letters of scripts other than Latin (`folded`):
# `strip_accents` takes the vowels from Hindi, and makes バス (bus) ハス (lotus).
_NORMALISE = r"""
    CREATE MACRO normalise(value, folded) AS trim(
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(
        regexp_replace(regexp_replace(regexp_replace(
            coalesce(folded, strip_accents(lower(value))),
            '[''’`]', '', 'g'),
            '([0-9])[.,]([0-9])', '\1·\2', 'g'),
            '[^\p{L}\p{M}\p{N}+#<>·]+', ' ', 'g'),
            '\b([a-z]+[b-df-z])ies\b', '\1y', 'g'),
            '\b([a-z]+[b-df-np-z])es\b', '\1e', 'g'),
            '\b([a-z]{2,}[a-rtv-z])s\b', '\1', 'g'),
            ' +', ' ', 'g'))
"""

_TYPED = """
    SELECT query_key, raw, clients >= $shared
    FROM spellings JOIN (
        SELECT query_key, count(DISTINCT coalesce(client_no, session_no)) AS clients FROM searches GROUP BY query_key
    ) USING (query_key)
"""

_QUERIES = """
    CREATE TABLE spelled AS
    WITH counted AS (
        SELECT query_key, count(*) AS searches FROM searches GROUP BY query_key
    ),
    formed AS (
        SELECT query_key, text, searches, CASE WHEN $merge THEN normalise(text, folded) ELSE text END AS normalised
        FROM counted JOIN texts USING (query_key)
    ),
    numbered AS (
        SELECT normalised, (row_number() OVER (ORDER BY normalised) - 1)::BIGINT AS query_no
        FROM (SELECT DISTINCT normalised FROM formed)
    )
    SELECT query_no, query_key, text, normalised, searches FROM formed JOIN numbered USING (normalised)
"""

_MERGED = """
    CREATE TABLE queries AS
    WITH people AS (
        SELECT query_no, count(DISTINCT coalesce(client_no, session_no)) AS clients
        FROM searches JOIN spelled USING (query_key) GROUP BY query_no
    ),
    merged AS (
        SELECT query_no, arg_max(text, (searches, text)) AS text, any_value(normalised) AS normalised,
               count(DISTINCT text)::INTEGER AS variants, sum(searches)::BIGINT AS searches
        FROM spelled GROUP BY query_no
    )
    SELECT query_no, text, normalised, variants, clients, searches FROM merged JOIN people USING (query_no)
"""


def read_texts(
    connection: duckdb.DuckDBPyConnection, config: CleaningConfig, *, progress: ReportProgress = no_progress
) -> dict[str, int]:
    """Write `texts`: each query with personal data masked and blanks in order; return the masked queries by kind."""
    connection.execute(
        "CREATE TABLE texts (query_key BIGINT, text VARCHAR, folded VARCHAR, personal BOOLEAN, only_personal BOOLEAN)"
    )
    own = own_rules(config.personal_patterns)
    masks = config.personal_data != "keep"
    counts: Counter[str] = Counter()
    done = 0
    typed = connection.cursor().execute(_TYPED, {"shared": SHARED_CLIENTS})
    while rows := typed.fetchmany(BATCH_ROWS):
        texts = [_masked(raw, own, is_shared=shared) if masks else Masked(_tidy(raw)) for _, raw, shared in rows]
        counts.update(kind for masked in texts for kind in masked.kinds)
        _insert(connection, [key for key, _, _ in rows], texts)
        done += len(rows)
        progress(Progress("masking personal data", done))
    return dict(sorted(counts.items()))


def merge_spellings(connection: duckdb.DuckDBPyConnection, config: CleaningConfig) -> None:
    """Write `queries`, one row per query with its spellings merged, and give every search its `query_no`."""
    connection.execute(_NORMALISE)
    connection.execute(_QUERIES, {"merge": config.merge_spellings})
    connection.execute(_MERGED)
    connection.execute("""
        CREATE OR REPLACE TABLE searches AS
        SELECT searches.* EXCLUDE (query_key), query_no FROM searches JOIN spelled USING (query_key)
    """)
    connection.execute("DROP TABLE spelled; DROP TABLE texts; DROP TABLE spellings")


def _masked(raw: str, own: Sequence[Rule], *, is_shared: bool) -> Masked:
    return mask(_tidy(raw), own=own, is_shared=is_shared)


def _tidy(raw: str) -> str:
    """Return one form for letters that Unicode writes in several ways, and single blanks."""
    return " ".join(unicodedata.normalize("NFKC", raw).split())


def _folded(text: str) -> str | None:
    """Return the form in which a query with letters of other scripts than Latin is compared, None for others."""
    return spelling_form(text) if _OTHER_SCRIPTS.search(text) else None


def _insert(connection: duckdb.DuckDBPyConnection, keys: Sequence[int], texts: Sequence[Masked]) -> None:
    columns = {
        "query_key": pa.array(keys, pa.int64()),
        "text": pa.array([masked.text for masked in texts], pa.string()),
        "folded": pa.array([_folded(masked.text) for masked in texts], pa.string()),
        "personal": pa.array([bool(masked.kinds) for masked in texts], pa.bool_()),
        "only_personal": pa.array([masked.is_only_personal for masked in texts], pa.bool_()),
    }
    connection.register("batch", pa.table(columns))
    connection.execute("INSERT INTO texts SELECT * FROM batch")
    connection.unregister("batch")
