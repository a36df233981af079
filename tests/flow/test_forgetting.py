"""The guard against forgetting in a journey: which queries are asked, what they decide, and what runs again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dialekt.config import ModelConfig
from dialekt.errors import ConfigError, InputError
from dialekt.flow.journey import finished, plan, run
from dialekt.flow.project import open_project
from dialekt.flow.records import Action, StageName, StageRecord
from dialekt.models.encoder import Encoder
from dialekt.store.tables import read_records
from dialekt.types import Document, Query, Role, Split


def _records(home: Path, *overrides: str) -> dict[StageName, StageRecord]:
    return {record.stage: record for record in finished(open_project(home, overrides=overrides))}


def _walk(home: Path, *overrides: str, until: StageName = StageName.REGISTRY) -> dict[StageName, StageRecord]:
    return {record.stage: record for record in run(open_project(home, overrides=overrides), until=until)}


def test_a_set_from_the_standard_library(finished_project: Path) -> None:
    """Docstrings, four for each query asked, are the general world; half of the queries choose, half measure."""
    record = _records(finished_project)[StageName.GENERAL]
    facts, queries = record.facts, read_records(record.folder / "queries.parquet", Query)
    assert (facts["source"], facts["queries"], facts["choosing_queries"]) == ("builtin", 40, 40)
    assert facts["documents"] == len(read_records(record.folder / "documents.parquet", Document)) == 160
    assert sum(query.split is Split.TEST for query in queries) == 40
    assert 0 < facts["base_ndcg"] < 1


def test_the_evaluation_measures_what_ships(finished_project: Path) -> None:
    """General facts hold the score of the model in the training artefact, on queries that chose nothing."""
    records = _records(finished_project)
    general: dict[str, Any] = records[StageName.EVALUATION].facts["general"]
    folder = records[StageName.GENERAL].folder
    queries = [query for query in read_records(folder / "queries.parquet", Query) if query.split is Split.TEST]
    documents = read_records(folder / "documents.parquet", Document)
    model = str(records[StageName.TRAINING].folder / "model")
    encoder = Encoder.load(model, ModelConfig(base=model))
    cosines = (
        encoder.encode([query.text for query in queries], Role.QUERY)
        @ encoder.encode([document.content for document in documents], Role.DOCUMENT).T
    )
    places = {document.id: row for row, document in enumerate(documents)}
    answers = np.array([places[query.id] for query in queries])
    ranks = (cosines > cosines[np.arange(len(queries)), answers][:, None]).sum(axis=1)
    expected = np.where(ranks < 10, 1 / np.log2(ranks + 2.0), 0.0).mean()
    assert general["tuned"]["value"] == pytest.approx(expected, abs=0.005)
    assert general["queries"] == len(queries)
    assert general["comparison"]["difference"] == pytest.approx(general["tuned"]["value"] - general["base"]["value"])


def test_a_mixture_within_the_limit_is_chosen(finished_project: Path) -> None:
    """The chosen mixture lost no more than the limit on the queries that choose; one that was passed over is named."""
    facts = _records(finished_project)[StageName.TRAINING].facts
    chosen = next(one for one in facts["mixtures"] if one["share"] == facts["interpolation"])
    assert chosen["general_ndcg"] is not None
    better = [one for one in facts["mixtures"] if one["dev_ndcg"] > chosen["dev_ndcg"]]
    assert all(one["general_ndcg"] < chosen["general_ndcg"] for one in better)
    assert bool(better) == any("evaluation.max_general_loss" in text for text in facts["warnings"])


def test_off_leaves_the_stage_out(project_copy: Path) -> None:
    """Without the guard there is no stage, no general score, and no reason to train again when the limit changes."""
    off = "evaluation.general=off"
    records = _walk(project_copy, off)
    assert StageName.GENERAL not in records
    assert records[StageName.EVALUATION].facts["general"] is None
    assert all(one["general_ndcg"] is None for one in records[StageName.TRAINING].facts["mixtures"])
    planned = plan(open_project(project_copy, overrides=(off, "evaluation.max_general_loss=0.5")))
    assert next(one.action for one in planned if one.stage is StageName.TRAINING) is Action.SKIP
    with pytest.raises(ConfigError, match="no stage 'general'"):
        plan(open_project(project_copy, overrides=(off,)), until=StageName.GENERAL)


def test_a_folder_of_ones_own(project_copy: Path) -> None:
    """Any BEIR folder will do; where it lies does not count, what it holds does."""
    folder = _write_beir(project_copy / "general")
    records = _walk(project_copy, "evaluation.general=general", "evaluation.general_queries=25")
    facts = records[StageName.GENERAL].facts
    assert (facts["source"], facts["queries"], facts["choosing_queries"], facts["documents"]) == ("folder", 25, 25, 60)
    assert records[StageName.EVALUATION].facts["general"]["name"] == "folder"
    folder.rename(project_copy / "elsewhere")
    moved = open_project(project_copy, overrides=("evaluation.general=elsewhere", "evaluation.general_queries=25"))
    assert {one.action for one in plan(moved)} <= {Action.SKIP, Action.RUN}
    assert next(one.action for one in plan(moved) if one.stage is StageName.EVALUATION) is Action.SKIP


def test_the_projects_own_documents_are_not_general(project_copy: Path) -> None:
    """Where the general set is the project's own folder, nothing of it is left to ask."""
    with pytest.raises(InputError, match=r"only 0 of 240 general queries have an answer"):
        _walk(project_copy, "evaluation.general=data", until=StageName.GENERAL)


def test_too_few_are_asked(project_copy: Path) -> None:
    """A number that could show nothing is the setting's fault, and nothing is read for it."""
    with pytest.raises(ConfigError, match=r"evaluation\.general_queries"):
        open_project(project_copy, overrides=("evaluation.general_queries=19",))


def test_other_queries_train_again_only_where_they_choose(project_copy: Path) -> None:
    """Without a mixture to choose, training does not depend on the general set; with one it does."""
    alone = "training.interpolate=false"
    _walk(project_copy, alone, until=StageName.TRAINING)

    def actions(*overrides: str) -> dict[StageName, Action]:
        return {one.stage: one.action for one in plan(open_project(project_copy, overrides=overrides))}

    for other in ("evaluation.general_queries=50", "evaluation.general=off"):
        assert actions(alone, other)[StageName.TRAINING] is Action.SKIP
        assert actions(other)[StageName.TRAINING] is Action.RUN
    assert actions(alone, "evaluation.general_queries=50")[StageName.GENERAL] is Action.RUN


def test_off_loads_no_model_library(project_copy: Path) -> None:
    """Where nothing is asked, saying so does not take the seconds of loading torch."""
    program = (
        "import sys; from pathlib import Path; from dialekt.flow import forgetting;"
        "from dialekt.flow.project import open_project; from dialekt.flow.workbench import Workbench;"
        f"bench = Workbench(open_project(Path({str(project_copy)!r}), overrides=('evaluation.general=off',)));"
        "assert forgetting.score_tuned(bench, frozen=False, progress=lambda _: None) is None;"
        "assert forgetting.guard(bench, frozen=False) is None;"
        "assert not {'torch', 'dialekt.models.encoder', 'dialekt.evaluation.general.measure'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_such_folder(project_copy: Path) -> None:
    """A name that is neither known nor a folder is an error that lists what is."""
    with pytest.raises(InputError, match="'builtn' is no folder") as refused:
        _walk(project_copy, "evaluation.general=builtn", until=StageName.GENERAL)
    assert '"nanobeir"' in refused.value.hint


def test_a_model_that_forgets_is_registered_and_not_promotable(project_copy: Path) -> None:
    """Without a choice of mixtures the gate still sees the loss, and says by how much."""
    shutil.rmtree(project_copy / "registry")
    wild = ("training.interpolate=false", "training.learning_rate=0.03", "evaluation.max_general_loss=0")
    facts = _walk(project_copy, *wild)[StageName.REGISTRY].facts
    assert not facts["promotable"]
    assert "it forgets the general world" in facts["promotable_reason"]


def _write_beir(folder: Path) -> Path:
    """Write sixty documents with a query each."""
    words = ("solar", "wind", "panel", "battery", "cable", "roof", "pump", "valve", "pipe", "water", "cat")
    texts = [f"{words[number % 11]} {words[(number * 7 + 3) % 11]} number {number}" for number in range(60)]
    (folder / "qrels").mkdir(parents=True)
    for name, prefix in (("corpus", "g"), ("queries", "gq")):
        rows = [{"_id": f"{prefix}{number}", "text": f"{prefix} {text}"} for number, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lines = [f"gq{number}\tg{number}\t1" for number in range(60)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines, ""]), encoding="utf-8")
    return folder
