"""The journey with logs, with made queries, with both and with a teacher: what trains, what tests, what each brings."""

import shutil
from pathlib import Path

import pytest

from dialekt.errors import ConfigError
from dialekt.flow.ablation import ablate_sources
from dialekt.flow.journey import plan, run
from dialekt.flow.project import open_project
from dialekt.flow.records import SilentObserver, StageName, StageRecord
from dialekt.logs.known_truth import read_truth
from dialekt.logs.simulation import Simulation
from dialekt.logs.simulation_files import write_log
from dialekt.store.tables import read_records
from dialekt.types import Pair, PairSource, Query, Split

QUICK = "[training]\nlearning_rate = 0.003\nepochs = 2\n[split]\ntest_share = 0.3\n"
LOCAL = '[synthesis]\ngenerators = ["local"]\n'


def project(folder: Path, data: Path, model: Path, settings: str) -> Path:
    """Write a project on the documents of a BEIR folder, with its judgments only where the settings name them."""
    home = folder / "home"
    (home / "data").mkdir(parents=True)
    shutil.copy(data / "corpus.jsonl", home / "data/corpus.jsonl")
    text = f'[corpus]\npath = "data"\n[model]\nbase = "{model}"\n{QUICK}{settings}'
    (home / "dialekt.toml").write_text(text.replace("", ""), encoding="utf-8")
    return home


def searched(folder: Path, data: Path) -> Path:
    """Write a search log of people who look for the answers of the judgments."""
    split = next(path.stem for path in sorted((data / "qrels").glob("*.tsv")))
    log = folder / "log.ndjson"
    write_log(read_truth(data, split=split), Simulation(sessions=1_500, position_bias=1.0, bots=0.1), log)
    return log


def walk(home: Path, *, until: StageName) -> dict[StageName, StageRecord]:
    """Walk a project up to a stage."""
    return {record.stage: record for record in run(open_project(home), until=until)}


def test_a_log_alone_trains_and_tests(small_beir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Without judgments the past of the log trains and its future tests; the leak check holds."""
    log = searched(tmp_path, small_beir)
    home = project(tmp_path, small_beir, tiny_model, f'[logs]\npath = ["{log}"]\n')
    records = walk(home, until=StageName.EVALUATION)
    assert StageName.JUDGMENTS not in records
    facts = records[StageName.PAIRS].facts
    assert set(facts["by_source"]) == {"logs"}
    assert facts["held_out"] == "logs"
    assert records[StageName.SPLIT].facts["method"] == "official"
    assert records[StageName.EVALUATION].facts["queries"] > 0
    weights = {pair.weight for pair in read_records(records[StageName.PAIRS].folder / "pairs.parquet", Pair)}
    assert max(weights) <= 1
    assert len(weights) > 1


def test_documents_alone_train_and_test(small_beir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """With nothing but documents made queries train and test; nothing is recommended, nor may be promoted, on them."""
    home = project(tmp_path, small_beir, tiny_model, LOCAL)
    stages = [stage.stage for stage in plan(open_project(home))]
    assert StageName.JUDGMENTS not in stages
    assert StageName.SPLIT not in stages
    records = walk(home, until=StageName.REPORT)
    facts = records[StageName.PAIRS].facts
    assert facts["held_out"] == "made queries"
    assert any("no judgments and no logs" in text for text in facts["warnings"])
    page = (home / "report/report.md").read_text(encoding="utf-8")
    assert "held-out queries are made too" in page
    assert "Nothing is proven for people's queries" in page
    registered = records[StageName.REGISTRY].facts
    assert not registered["promotable"]
    assert "made from documents" in registered["promotable_reason"]
    assert records[StageName.EVALUATION].facts["recommendation"] == "base"


def test_judgments_that_only_test_stay_whole(small_beir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Judgments that name only test queries all stay test queries when made queries can train."""
    home = project(tmp_path, small_beir, tiny_model, LOCAL)
    shutil.copy(small_beir / "queries.jsonl", home / "data/queries.jsonl")
    (home / "data/qrels").mkdir()
    given = next(iter(sorted((small_beir / "qrels").glob("*.tsv"))))
    shutil.copy(given, home / "data/qrels/test.tsv")
    judged = {line.split("\t")[0] for line in given.read_text(encoding="utf-8").splitlines()[1:]}
    records = walk(home, until=StageName.PAIRS)
    queries = read_records(records[StageName.PAIRS].folder / "queries.parquet", Query)
    assert {query.id for query in queries if query.split is Split.TEST} == judged
    assert {split for query in queries if (split := query.split) is not Split.TEST} == {Split.TRAIN, Split.DEV}
    assert set(records[StageName.PAIRS].facts["by_source"]) == {PairSource.SYNTHETIC.value}


def test_sources_are_ablated_on_the_same_queries(small_beir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Judgments, a log and made queries train together; each one's contribution comes with an interval."""
    log = searched(tmp_path, small_beir)
    home = project(tmp_path, small_beir, tiny_model, f'{LOCAL}[logs]\npath = ["{log}"]\n')
    shutil.copytree(small_beir, home / "data", dirs_exist_ok=True)
    found = ablate_sources(open_project(home), observer=SilentObserver())
    assert {item.source for item in found.contributions} >= {"logs", "synthetic", "qrels"}
    for item in found.contributions:
        assert item.difference == pytest.approx(found.ndcg - item.ndcg_without)
        assert item.low <= item.difference <= item.high
    again = walk(home, until=StageName.EVALUATION)
    assert again[StageName.EVALUATION].status.value == "skipped"


def test_a_single_source_cannot_be_ablated(finished_project: Path) -> None:
    """With one source there is nothing to leave out, and the error says what could be added."""
    with pytest.raises(ConfigError, match="come from one source") as caught:
        ablate_sources(open_project(finished_project), observer=SilentObserver())
    assert "synthesis" in caught.value.hint


def test_a_teacher_hands_its_corrections_to_training(small_beir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """With a teacher, pairs and negatives of training and of the leak check are those that it passed on."""
    home = project(tmp_path, small_beir, tiny_model, '[teacher]\nmodel = "trained"\nminimum_gain = -1.0\n')
    shutil.copytree(small_beir, home / "data", dirs_exist_ok=True)
    records = walk(home, until=StageName.EVALUATION)
    assert records[StageName.TEACHER].facts["used"]
    facts = records[StageName.TRAINING].facts
    assert 0 < facts["teacher_scores"] <= records[StageName.TEACHER].facts["scored"]
    assert "listwise KL towards the teacher" in facts["loss"]
    assert "teacher" in records[StageName.TRAINING].inputs
    assert records[StageName.EVALUATION].facts["leaks"]["pairs"] == records[StageName.TEACHER].facts["pairs"]


def test_a_larger_model_is_distilled(small_beir: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Its vectors are a stage of their own, its cosines an objective, and the base model guides the mask."""
    home = project(tmp_path, small_beir, tiny_model, '[evaluation]\ngeneral = "off"\n')
    shutil.copytree(small_beir, home / "data", dirs_exist_ok=True)
    shutil.copytree(tiny_model, home / "larger")
    distilled = ("training.distil_from=larger", "training.mask_above=0.9")
    records = {one.stage: one for one in run(open_project(home, overrides=distilled), until=StageName.TRAINING)}
    assert records[StageName.TEACHER_VECTORS].facts["documents"] == 80
    facts = records[StageName.TRAINING].facts
    assert "ranking (50%) and KL towards another embedding model (50%)" in facts["loss"]
    assert "larger" in facts["derived"]["objectives"]["why"]


def test_a_stage_that_the_project_does_not_have_says_why(finished_project: Path) -> None:
    """Asking for a stage that is not configured is an error with the setting that adds it."""
    with pytest.raises(ConfigError, match="has no stage 'logs'") as caught:
        run(open_project(finished_project), until=StageName.LOGS)
    assert "logs.path" in caught.value.hint
