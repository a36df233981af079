"""Held-out click prediction: our click models beside EM as the published click-model library does it, on one log.

    python benchmarks/click_models.py --log impressions.tsv.gz      # columns: session_id, query, rank, doc_id, clicked

The published library (PyClick, github.com/markovi/PyClick, not on PyPI) fits point estimates by EM, every parameter
with one success in five trials to start from. It walks over each search in Python; here the same updates run over
counts, which gives the same numbers. 5 rounds are its default; 50 are shown too. Every tenth search is held out.

Perplexity is per impression (as in our report) and, in brackets, as the library prints it: the mean over the ranks of
the perplexity at each rank. Predictions are conditional on the clicks above, which changes nothing for the
position-based model.
"""

import argparse
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from dialekt.config import ClickModel, LogsConfig
from dialekt.logs.collapse import DISTANCES, STATES, collapse
from dialekt.logs.estimation import estimate
from dialekt.logs.records import EvidencePlan, LogShape

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
SHAPE = LogShape(
    impressions_known=True,
    ranks_known=True,
    times_known=False,
    sessions_known=False,
    clients_known=False,
    dwell_known=False,
    propensities_known=False,
)
START = (1.0, 5.0)  # successes and trials that each of the library's parameters starts from


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--query", default="query")
    parser.add_argument("--document", default="doc_id")
    parser.add_argument("--rank", default="rank")
    parser.add_argument("--clicked", default="clicked")
    parser.add_argument("--search", default="session_id", help="what tells one result page from the next")
    arguments = parser.parse_args()
    connection = duckdb.connect()
    read(connection, arguments)
    plan = EvidencePlan(SHAPE, 0.1, 0.2, seed=1)
    collapse(connection, LogsConfig(), plan=plan, cuts=None)
    for name in (ClickModel.POSITION_BASED, ClickModel.USER_BROWSING):
        found = estimate(connection, LogsConfig(click_model=name), plan)
        print_row(f"dialekt {name}", found.perplexity[name.value], found.rank_perplexity[name.value])
    for baseline in ("popularity", "rank_only"):
        print_row(baseline, found.perplexity[baseline], found.rank_perplexity[baseline])
    compare(connection)


def read(connection: duckdb.DuckDBPyConnection, arguments: argparse.Namespace) -> None:
    """Make the table of impressions from a flat log."""
    source = "read_parquet(?)" if arguments.log.suffix == ".parquet" else "read_csv(?, all_varchar = true)"
    names = (arguments.search, arguments.query, arguments.document)
    numbers = [f'(dense_rank() OVER (ORDER BY "{name}"))::BIGINT' for name in names]
    connection.execute(
        f"""CREATE TABLE impressions AS
        SELECT {numbers[0]} AS search_no, {numbers[1]} AS query_no, NULL::BIGINT AS session_no,
            NULL::BIGINT AS client_no, NULL::DOUBLE AS time, {numbers[2]} AS document_no,
            "{arguments.rank}"::INTEGER AS rank,
            "{arguments.clicked}"::DOUBLE AS grade, NULL::DOUBLE AS dwell_seconds, true AS last_click,
            NULL::DOUBLE AS propensity
        FROM {source}""",
        [str(arguments.log)],
    )
    row = connection.execute("SELECT count(*), count(DISTINCT search_no), sum(grade) FROM impressions").fetchone()
    print("impressions, searches, clicks:", row)


def compare(connection: duckdb.DuckDBPyConnection) -> None:
    """Fit the library's models to the same searches and print them."""
    columns = connection.execute(
        "SELECT dense_rank() OVER (ORDER BY query_no, document_no) - 1 AS pair, state, shown - held_shown AS shown, "
        "clicks - held_clicks AS clicks, held_shown, held_clicks FROM cells"
    ).fetchnumpy()
    pair, state = columns["pair"].astype(np.int64), columns["state"].astype(np.int64)
    for label, places in (("position_based", state // DISTANCES * DISTANCES), ("user_browsing", state)):
        for rounds in (5, 50):
            chance = library_em(pair, places, columns["shown"], columns["clicks"], rounds=rounds)
            bits, by_rank = perplexities(state // DISTANCES, columns["held_shown"], columns["held_clicks"], chance)
            print_row(f"library {label}, {rounds} rounds", bits, by_rank)


def library_em(pair: Integers, state: Integers, shown: Floats, clicks: Floats, *, rounds: int) -> Floats:
    """Return the click probability of each cell after EM with point estimates."""
    attraction, examination = np.full(pair.max() + 1, START[0] / START[1]), np.full(STATES, START[0] / START[1])
    for _ in range(rounds):
        drawn, looked = attraction[pair], examination[state]
        none = (shown - clicks) / (1 - drawn * looked)
        attraction = ratio(pair, clicks + none * drawn * (1 - looked), shown, len(attraction))
        examination = ratio(state, clicks + none * looked * (1 - drawn), shown, STATES)
    chance: Floats = attraction[pair] * examination[state]
    return chance


def ratio(group: Integers, successes: Floats, trials: Floats, size: int) -> Floats:
    """Return successes over trials by group, with the library's start and its ceiling."""
    above = START[0] + np.bincount(group, weights=successes, minlength=size)
    below = START[1] + np.bincount(group, weights=trials, minlength=size)
    return np.minimum(above / below, 1 - 1e-6)


def perplexities(bucket: Integers, shown: Floats, clicks: Floats, chance: Floats) -> tuple[float, tuple[float, ...]]:
    """Return the perplexity per impression, and by rank (1 where a rank does not occur)."""
    safe = np.clip(chance, 1e-6, 1 - 1e-6)
    bits = -(clicks * np.log2(safe) + (shown - clicks) * np.log2(1 - safe))
    by_rank = np.bincount(bucket, weights=bits) / np.clip(np.bincount(bucket, weights=shown), 1, None)
    return float(2 ** (bits.sum() / shown.sum())), tuple(float(value) for value in 2**by_rank)


def print_row(label: str, perplexity: float, by_rank: tuple[float, ...]) -> None:
    """Print one model."""
    present = [value for value in by_rank if value > 1]
    print(f"{label:36s} {perplexity:.4f} [{np.mean(present):.4f}]", flush=True)


if __name__ == "__main__":
    main()
