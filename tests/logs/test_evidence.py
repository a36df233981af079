"""From the tables of a clean log to judgments: simulated logs whose truth is known, and small ones written by hand."""

import json
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from tests.logs.simulated import FULL, TIMELESS, make_truth, open_log, run, true_pairs

from dialekt.errors import ConfigError
from dialekt.logs.records import LogQuery, LogShape, WeakNegative
from dialekt.logs.simulation import SimulatedModel, Simulation
from dialekt.store.tables import read_records

TRUTH = make_truth(queries=120)
CLICKED = "SELECT DISTINCT 'log-' || substr(md5(normalised), 1, 16), document_id FROM impressions"


def simulation(model: SimulatedModel = SimulatedModel.DBN, *, sessions: int = 3000, noise: float = 0.15) -> Simulation:
    """Return a noisy log of four weeks."""
    return Simulation(model=model, sessions=sessions, noise=noise, seed=3)


def f1(found: set[tuple[str, str]], truth: set[tuple[str, str]]) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * len(found & truth) / (len(found) + len(truth))


@pytest.mark.parametrize("model", list(SimulatedModel))
def test_positives_beat_raw_clicks(model: SimulatedModel, tmp_path: Path) -> None:
    """Whatever the searchers do, nine in ten extracted positives are true, and raw clicks are far behind."""
    log = open_log(TRUTH, simulation(model))
    truth = true_pairs(log, TRUTH)
    _, qrels = run(log, tmp_path, shape=TIMELESS)
    clicked = set(
        log.execute(
            f"{CLICKED} JOIN queries USING (query_no) JOIN documents USING (document_no) WHERE grade > 0"
        ).fetchall()
    )
    positives = {(qrel.query_id, qrel.document_id) for qrel in qrels if qrel.grade > 0}
    assert len(positives & truth) > 0.88 * len(positives)
    assert f1(positives, truth) > f1(clicked, truth) + 0.15


def test_browsing_model_is_chosen_where_searchers_stop(tmp_path: Path) -> None:
    """Held-out clicks choose the model, and the chosen one foretells them better than plain click rates."""
    facts, _ = run(open_log(TRUTH, simulation(SimulatedModel.CASCADE)), tmp_path)
    assert facts.click_model == "user_browsing"
    assert facts.perplexity["user_browsing"] < facts.perplexity["position_based"]
    assert facts.perplexity["user_browsing"] < min(facts.perplexity["popularity"], facts.perplexity["rank_only"])


@pytest.mark.parametrize("name", ["position_based", "user_browsing", "coec"])
def test_every_model_can_be_asked_for(name: str, tmp_path: Path) -> None:
    """The settings decide the model, and the examination curve falls with the rank."""
    facts, qrels = run(open_log(TRUTH, simulation(sessions=800)), tmp_path, click_model=name)
    assert facts.click_model == name
    assert facts.examination[0].estimate == pytest.approx(1.0, abs=0.05)
    assert facts.examination[-1].estimate < 0.6
    assert qrels


def test_future_is_held_out(tmp_path: Path) -> None:
    """No query has judgments in two splits, and every split has some; non-matches only where they measure."""
    facts, qrels = run(open_log(TRUTH, simulation()), tmp_path)
    splits = {qrel.query_id: qrel.split for qrel in qrels}
    assert all(splits[qrel.query_id] == qrel.split for qrel in qrels)
    assert set(splits.values()) == {"train", "dev", "test"}
    assert {qrel.split for qrel in qrels if qrel.grade == 0} <= {"dev", "test"}
    assert {query.id for query in read_records(tmp_path / "queries.parquet", LogQuery)} == set(splits)
    assert facts.dropped["past_of_held_out_queries"] > 0


def test_frequent_queries_are_the_head(tmp_path: Path) -> None:
    """Every query is of the head, the torso or the tail, and the tail is the longest."""
    run(open_log(TRUTH, simulation()), tmp_path)
    counts = Counter(query.frequency for query in read_records(tmp_path / "queries.parquet", LogQuery))
    assert set(counts) == {"head", "torso", "tail"}
    assert counts["head"] < counts["torso"] < counts["tail"]


def test_nothing_is_held_out_when_judgments_measure(tmp_path: Path) -> None:
    """With no share for dev and test, the whole log trains, and reformulations count as ever."""
    log = open_log(TRUTH, simulation(sessions=1500))
    everything, qrels = run(log, tmp_path, held_out=False)
    parted, _ = run(log, tmp_path)
    assert {qrel.split for qrel in qrels} == {""}
    assert everything.positives[""] > parted.positives["train"]
    assert everything.chains > 0
    assert not any("no times" in warning for warning in everything.warnings)


def test_training_sees_nothing_after_the_cut(tmp_path: Path) -> None:
    """Clicks after the dev cut change no training judgment."""
    log = open_log(TRUTH, simulation(sessions=1500))
    _, before = run(log, tmp_path, click_model="position_based")
    log.execute(
        "UPDATE impressions SET grade = 1 - grade WHERE time >= (SELECT quantile_disc(time, 0.7) FROM impressions)"
    )
    _, after = run(log, tmp_path, click_model="position_based")
    past = {(q.query_id, q.document_id): q.relevance for q in before if q.split == "train"}
    both = [
        (past[key], q.relevance) for q in after if q.split == "train" and (key := (q.query_id, q.document_id)) in past
    ]
    assert len(both) > 20
    assert all(first == pytest.approx(second) for first, second in both)


def test_equal_logs_give_equal_files(tmp_path: Path) -> None:
    """The same tables and seed give the same bytes."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run(open_log(TRUTH, simulation(sessions=500)), tmp_path / name)
    for file in sorted((tmp_path / "first").iterdir()):
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes()


def test_log_without_times_names_no_split(tmp_path: Path) -> None:
    """Without times there is no future to hold out: the split is left to the project, and a warning says so."""
    facts, qrels = run(open_log(TRUTH, simulation(sessions=500)), tmp_path, shape=TIMELESS)
    assert {qrel.split for qrel in qrels} == {""}
    assert any("no times" in warning for warning in facts.warnings)


def test_log_of_clicks_only(tmp_path: Path) -> None:
    """Where only clicks are known, a document's share of its query's searches decides."""
    log = open_log(TRUTH, simulation())
    log.execute("DELETE FROM impressions WHERE grade = 0")
    shape = LogShape(False, False, False, False, False, False, False)
    facts, qrels = run(log, tmp_path, shape=shape)
    found = {(qrel.query_id, qrel.document_id) for qrel in qrels}
    assert len(found & true_pairs(log, TRUTH)) > 0.7 * len(found)
    assert facts.perplexity == {} or facts.click_model == "position_based"


def test_passed_over_documents_are_weak_negatives(tmp_path: Path) -> None:
    """Weak negatives are truly no answers, were never clicked for their query, and weigh less than asked for."""
    log = open_log(TRUTH, simulation())
    facts, _ = run(log, tmp_path, skip_above_weight=0.3)
    negatives = read_records(tmp_path / "weak_negatives.parquet", WeakNegative)
    pairs = {(negative.query_id, negative.document_id) for negative in negatives}
    assert len(negatives) == facts.weak_negatives > 20
    assert len(pairs & true_pairs(log, TRUTH)) < 0.05 * len(pairs)
    assert all(0 < negative.weight <= 0.3 and negative.count >= 2 for negative in negatives)


def test_skip_above_can_be_switched_off(tmp_path: Path) -> None:
    """No weak negatives when the settings say so."""
    facts, _ = run(open_log(TRUTH, simulation(sessions=500)), tmp_path, skip_above=False)
    assert facts.weak_negatives == 0


def test_unknown_documents_shape_the_model_but_are_no_judgment(tmp_path: Path) -> None:
    """A document that the corpus no longer has is counted and left out."""
    log = open_log(TRUTH, simulation())
    log.execute("UPDATE documents SET known = document_no % 2 = 0")
    facts, qrels = run(log, tmp_path)
    assert all(int(qrel.document_id[1:]) % 2 == 0 for qrel in qrels)
    assert facts.dropped["unknown_document"] > 0


def test_purchase_is_worth_more_than_a_click(tmp_path: Path) -> None:
    """A pair that led to a purchase has the highest grade."""
    log = open_log(TRUTH, simulation())
    log.execute("UPDATE impressions SET grade = 3 WHERE grade > 0 AND document_no % 3 = 0")
    _, qrels = run(log, tmp_path, shape=TIMELESS)
    bought = [qrel.grade for qrel in qrels if qrel.grade > 0 and int(qrel.document_id[1:]) % 3 == 0]
    assert bought
    assert set(bought) == {3.0}
    assert all(1 <= qrel.grade <= 3 and 0 < qrel.weight <= 1 for qrel in qrels)


def test_short_visits_are_no_evidence(tmp_path: Path) -> None:
    """Dwell times raise precision: a click that came straight back speaks against its document."""
    log = open_log(TRUTH, simulation(noise=0.3), dwell=True)
    truth = true_pairs(log, TRUTH)
    scores = []
    for seconds in (0.0, 10.0):
        _, qrels = run(log, tmp_path, shape=TIMELESS, short_dwell_seconds=seconds)
        scores.append(f1({(qrel.query_id, qrel.document_id) for qrel in qrels if qrel.grade > 0}, truth))
    assert scores[1] > scores[0]


def reformulating(times: int) -> duckdb.DuckDBPyConnection:
    """Return a log where searchers of query 0 find nothing, search query 1, and click document 7."""
    log = open_log(TRUTH, simulation(sessions=600))
    rows = []
    for number in range(times):
        session, time = 90_000 + number, 1_767_300_000 + number * 1000
        rows += [(900_000 + 2 * number, 0, session, 1, time, 1700 + number % 5, 1, 0.0)]
        rows += [(900_001 + 2 * number, 1, session, 1, time + 30, 7, 1, 1.0)]
    log.executemany("INSERT INTO impressions VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, true, NULL)", rows)
    return log


def test_reformulation_credits_the_first_query(tmp_path: Path) -> None:
    """The document that ended a chain is a positive of the query that began it, though it was never shown for it."""
    names = [
        row[0]
        for row in reformulating(1)
        .execute("SELECT 'log-' || substr(md5(normalised), 1, 16) FROM queries WHERE query_no = 0")
        .fetchall()
    ]
    facts, qrels = run(reformulating(60), tmp_path)
    without, plain = run(reformulating(60), tmp_path, reformulations=False)
    assert (names[0], "d7") in {(qrel.query_id, qrel.document_id) for qrel in qrels if qrel.grade > 0}
    assert (names[0], "d7") not in {(qrel.query_id, qrel.document_id) for qrel in plain}
    assert facts.credited >= 60
    assert without.credited == 0


def test_propensities_are_used_when_given(tmp_path: Path) -> None:
    """Known propensities take the place of the fitted curve."""
    log = open_log(TRUTH, simulation(SimulatedModel.POSITION_BASED))
    log.execute("UPDATE impressions SET propensity = 1.0 / rank")
    shape = LogShape(True, True, False, False, False, False, True)
    _, qrels = run(log, tmp_path, shape=shape, click_model="inverse_propensity")
    found = {(qrel.query_id, qrel.document_id) for qrel in qrels}
    assert len(found & true_pairs(log, TRUTH)) > 0.88 * len(found)


def test_missing_propensities_are_an_error(tmp_path: Path) -> None:
    """Asking for propensities that the log does not have says what to do instead."""
    with pytest.raises(ConfigError, match="the log has none"):
        run(open_log(TRUTH, simulation(sessions=100)), tmp_path, shape=FULL, click_model="inverse_propensity")


def test_report_holds_curves_and_no_texts(tmp_path: Path) -> None:
    """The data report has the curves; texts of queries only when examples are asked for."""
    log = open_log(TRUTH, simulation(sessions=500))
    run(log, tmp_path)
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    report = json.loads(text)
    assert "query 1" not in text
    assert [point["rank"] for point in report["examination"]] == list(range(1, 11))
    assert sum(report["query_shares"].values()) == pytest.approx(1)
    searches = [point["searches"] for point in report["frequency"]]
    assert searches == sorted(searches, reverse=True)
    run(log, tmp_path, examples=2)
    assert "query " in (tmp_path / "report.json").read_text(encoding="utf-8")


def test_empty_log(tmp_path: Path) -> None:
    """A log of which cleaning left nothing gives empty tables and a warning, not an error."""
    log = open_log(TRUTH, simulation(sessions=50))
    log.execute("DELETE FROM impressions; DELETE FROM queries")
    facts, qrels = run(log, tmp_path, shape=TIMELESS)
    assert qrels == []
    assert any("only 0 positives" in warning for warning in facts.warnings)
