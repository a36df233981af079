"""Simulated searchers do what their model says, and logs of them can be read again."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.logs.simulated import make_truth

from dialekt.errors import InputError, UsageError
from dialekt.logs.known_truth import read_truth
from dialekt.logs.simulation import SimulatedModel, Simulation, Truth, simulate
from dialekt.logs.simulation_files import SimulationFacts, write_log

TRUTH = make_truth(queries=60)
SETTINGS = Simulation(sessions=4000, seed=2)


def clicks(settings: Simulation, truth: Truth = TRUTH) -> np.ndarray:
    """Return who clicked what (searches, page)."""
    return np.concatenate([block.clicked for block in simulate(truth, settings)])


def test_position_based_examination_falls_as_asked() -> None:
    """Where nothing tells documents apart, the click rate falls with the rank as rank^-bias."""
    flat = replace(TRUTH, grades=np.where(TRUTH.grades > -1, 1.0, 0.0))
    rates = clicks(replace(SETTINGS, sessions=20_000, position_bias=1.0), flat).mean(axis=0)
    assert rates / rates[0] == pytest.approx(1 / np.arange(1, 11), abs=0.03)


def test_cascade_stops_at_the_first_click() -> None:
    """Nobody clicks twice on a page."""
    assert clicks(replace(SETTINGS, model=SimulatedModel.CASCADE)).sum(axis=1).max() == 1


def test_dbn_goes_on_after_an_unsatisfying_click() -> None:
    """Some pages have several clicks, most have at most one."""
    per_page = clicks(replace(SETTINGS, model=SimulatedModel.DBN, noise=0.2)).sum(axis=1)
    assert per_page.max() > 1
    assert (per_page <= 1).mean() > 0.5


def test_bots_make_their_share() -> None:
    """Machines of three kinds make the share of searches that was asked for; time only moves forward."""
    blocks = list(simulate(TRUTH, replace(SETTINGS, bots=0.3)))
    kinds = np.concatenate([block.sessions.kind for block in blocks])
    times = np.concatenate([block.sessions.time for block in blocks])
    assert (kinds > 0).mean() == pytest.approx(0.3, abs=0.01)
    assert set(kinds.tolist()) == {0, 1, 2, 3}
    assert (np.diff(times) >= 0).all()


def test_impossible_settings() -> None:
    """A share of bots of one or more is refused."""
    with pytest.raises(UsageError, match="must lie in"):
        next(simulate(TRUTH, replace(SETTINGS, bots=1.0)))


def written(path: Path) -> SimulationFacts:
    """Write a small log."""
    return write_log(TRUTH, Simulation(sessions=300, bots=0.1, seed=4), path)


def test_formats_hold_the_same_log(tmp_path: Path) -> None:
    """UBI and flat logs of one seed have the same searches and clicks; equal seeds give equal bytes."""
    flat, ubi = written(tmp_path / "log.parquet"), written(tmp_path / "log.ndjson.gz")
    assert flat == ubi
    table = pq.read_table(tmp_path / "log.parquet")
    lines = gzip.decompress((tmp_path / "log.ndjson.gz").read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    events = [row for row in rows if "action_name" in row]
    assert table.num_rows == flat.impressions
    assert sum(table["clicked"].to_pylist()) == len(events) == flat.clicks
    assert len(rows) - len(events) == flat.searches
    written(tmp_path / "again.ndjson.gz")
    assert (tmp_path / "again.ndjson.gz").read_bytes() == (tmp_path / "log.ndjson.gz").read_bytes()


def test_truth_file_names_the_bots(tmp_path: Path) -> None:
    """The bots' client ids stand beside the log, and nothing in the log tells them from people."""
    facts = written(tmp_path / "log.tsv")
    known = json.loads((tmp_path / "log.tsv.truth.json").read_text(encoding="utf-8"))
    rows = (tmp_path / "log.tsv").read_text(encoding="utf-8").splitlines()[1:]
    searches = {line.split("\t")[0] for line in rows if line.split("\t")[3].strip('"') in set(known["bot_clients"])}
    assert len(searches) == facts.bot_searches == known["facts"]["bot_searches"]


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    """A name that tells no format is an error before anything is written."""
    with pytest.raises(UsageError, match="names no format"):
        written(tmp_path / "log.xml")


def write_beir(folder: Path) -> None:
    """Write three documents, two queries, and a judgment that no shared word leads to."""
    (folder / "qrels").mkdir()
    documents = ["red apple pie", "green pear cake", "blue plum tart"]
    corpus = [json.dumps({"_id": f"d{at}", "title": "", "text": text}) for at, text in enumerate(documents)]
    (folder / "corpus.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    queries = [json.dumps({"_id": f"q{at}", "text": text}) for at, text in enumerate(["apple pie", "pear"])]
    (folder / "queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
    lines = ["query-id\tcorpus-id\tscore", "q0\td0\t1", "q0\td2\t2", "q1\td9\t1"]
    (folder / "qrels" / "train.tsv").write_text("\n".join(lines), encoding="utf-8")


def test_truth_lists_every_positive(tmp_path: Path) -> None:
    """Positives that BM25 misses are in the list with their grade; queries without a known document are left out."""
    write_beir(tmp_path)
    truth = read_truth(tmp_path, depth=5)
    assert truth.queries == ("apple pie",)
    listed = {truth.document_ids[n]: g for n, g in zip(truth.candidates[0], truth.grades[0], strict=True) if n >= 0}
    assert listed["d0"] == 1
    assert listed["d2"] == 2


def test_missing_folder(tmp_path: Path) -> None:
    """A folder without a corpus says what was expected."""
    with pytest.raises(InputError, match=r"there is no corpus\.jsonl"):
        read_truth(tmp_path)
