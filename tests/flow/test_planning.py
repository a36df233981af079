"""A plan for a project: what is measured and kept, what the project says, and what was assumed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dialekt.config import IndexEngine, Quantization, load_config
from dialekt.errors import UsageError
from dialekt.evaluation.records import QueryScore
from dialekt.flow.index_advice import ADVICE_NAME, advise_release
from dialekt.flow.index_models import BASE, find_model
from dialekt.flow.indexing import open_works
from dialekt.flow.planning.losses import known_losses, losses_from_advice, losses_from_scores
from dialekt.flow.planning.material import made_texts, material_of
from dialekt.flow.planning.plan import Asked, Measuring, plan_capacity
from dialekt.flow.planning.rounds import Effort, Kept
from dialekt.flow.project import open_project
from dialekt.flow.releasing import Wishes, build
from dialekt.index.records import SearchSettings
from dialekt.planning.choices import layouts_of
from dialekt.planning.records import Basis, Plan
from dialekt.store.tables import write_records
from dialekt.types import Progress

EFFORT = Effort(document_seconds=0.1, query_seconds=0.1, search_seconds=0.02, rows=(500, 1_000))
ASKED = Asked(queries_per_second=5.0, latency_seconds=0.5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests of this file keep what they measure."""
    return tmp_path_factory.mktemp("kept")


def planned(home: Path, kept: Path, asked: Asked = ASKED, *settings: str) -> tuple[Plan, list[Progress]]:
    """Return a project's plan, and the progress that was reported: none where nothing was measured."""
    project = open_project(home, overrides=settings)
    reports: list[Progress] = []
    measuring = Measuring(Kept(kept), EFFORT)
    return plan_capacity(asked, project.config, project, measuring=measuring, progress=reports.append), reports


def test_the_first_plan_measures_and_the_second_does_not(finished_project: Path, kept: Path) -> None:
    """Both give the same plan; --measure-again measures although there is one, and another corpus has its own."""
    first, reports = planned(finished_project, kept)
    assert any("embedding documents" in report.note for report in reports)
    assert any("1,000 rows" in report.note for report in reports)
    assert all(np.isfinite(choice.machines.value or 0) for choice in first.choices)
    again, silent = planned(finished_project, kept)
    assert (again, silent) == (first, [])
    project = open_project(finished_project)
    plan_capacity(ASKED, project.config, project, measuring=Measuring(Kept(kept, again=True), EFFORT),
                  progress=silent.append)  # fmt: skip
    assert silent


def test_a_damaged_measurement_is_made_again(finished_project: Path, tmp_path: Path) -> None:
    """A file that was cut off counts as none, and is replaced."""
    planned(finished_project, tmp_path)
    path = next(tmp_path.glob("encoding-*.json"))
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-40], encoding="utf-8")
    _, reports = planned(finished_project, tmp_path)
    assert reports
    assert json.loads(path.read_text(encoding="utf-8"))["key"] == json.loads(whole)["key"]


def test_the_project_says_how_much_there_is(finished_project: Path, kept: Path) -> None:
    """Without a number, the project's own documents are planned for, with their measured lengths."""
    plan, _ = planned(finished_project, kept)
    inputs = {one.name: one for one in plan.inputs}
    assert (plan.workload.documents, plan.workload.units) == (80, 80)
    assert inputs["tokens per document or chunk"].basis is Basis.MEASURED
    assert 5 < inputs["tokens per document or chunk"].value < 64
    assert plan.machine["engine"] == "exact"
    assert plan.originals.value == pytest.approx(80 * 1_000, rel=0.5)


def test_long_documents_are_cut_into_chunks(finished_project: Path, kept: Path) -> None:
    """A document of 1,000 tokens is 16 chunks for a model that reads 64."""
    plan, _ = planned(finished_project, kept, replace(ASKED, documents=1_000, tokens_per_document=1_000.0))
    assert (plan.workload.units, plan.workload.tokens_per_unit) == (16_000, 62.5)


def test_a_plan_needs_no_project(tiny_model: Path, kept: Path) -> None:
    """With a model and a number of documents, what is missing is assumed and named."""
    config = load_config(None)
    asked = replace(ASKED, documents=1_000, model=str(tiny_model))
    plan = plan_capacity(asked, config, None, measuring=Measuring(Kept(kept), EFFORT))
    assumed = {one.name for one in plan.inputs if one.basis is Basis.ASSUMED}
    assert {"tokens per document or chunk", "GB for the index on one machine"} <= assumed
    assert {choice.loss.basis for choice in plan.choices[1:]} == {Basis.UNKNOWN}
    assert plan.recommended == plan.choices[0]


def test_large_corpora_go_to_lancedb(finished_project: Path, kept: Path) -> None:
    """As in a build, the number of units decides on the engine, and far extrapolation is noted."""
    plan, _ = planned(finished_project, kept, replace(ASKED, documents=10_000_000))
    assert plan.machine["engine"] == "lancedb"
    assert any("drawn out 10,000-fold" in note for note in plan.notes)
    assert any(one.name == "share of partitions searched" for one in plan.inputs)


def test_the_live_release_says_how_much_it_searches(project_copy: Path, kept: Path) -> None:
    """A build that was tuned to two of LanceDB's four partitions is planned with a half; the user's word goes first."""
    project = open_project(project_copy, overrides=["index.engine=lancedb"])
    with open_works(project, create=True) as works:
        build(works, Wishes(model="base"))
        works.catalogue.set_settings("r1", SearchSettings(effort=2))
    plan, _ = planned(project_copy, kept, ASKED, "index.engine=lancedb")
    found = next(one for one in plan.inputs if one.name == "share of partitions searched")
    assert (found.value, found.basis) == (0.5, Basis.MEASURED)
    given, _ = planned(project_copy, kept, replace(ASKED, searched_share=0.1), "index.engine=lancedb")
    found = next(one for one in given.inputs if one.name == "share of partitions searched")
    assert (found.value, found.basis) == (0.1, Basis.GIVEN)


def test_an_engine_on_a_server_is_not_measured(finished_project: Path, kept: Path) -> None:
    """Its bytes are counted, its search is unknown, and the plan says so."""
    plan, _ = planned(finished_project, kept, ASKED, "index.engine=pgvector")
    assert {choice.search_seconds.basis for choice in plan.choices} == {Basis.UNKNOWN}
    assert any("runs on a server" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"queries_per_second": 0.0}, "--queries-per-second must be more than 0"),
        ({"latency_seconds": 0.0}, "--latency-ms must be more than 0"),
        ({"documents": 0}, "--documents must be at least 1"),
        ({"machines": 0}, "--machines must be at least 1"),
        ({"tokens_per_document": 0.5}, "--tokens-per-document must be at least 1"),
        ({"allowed_loss": 1.5}, "--allowed-loss 1.5 is no share"),
        ({"searched_share": 0.0}, "--searched-share 0 is no share"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    finished_project: Path, kept: Path, changes: dict[str, float], said: str
) -> None:
    """Nothing is measured for an impossible wish."""
    with pytest.raises(UsageError, match=said):
        planned(finished_project, kept, replace(ASKED, **changes))  # type: ignore[arg-type]


def test_a_number_of_documents_is_needed_without_a_corpus(tiny_model: Path, kept: Path) -> None:
    """The hint shows how to say it."""
    asked = replace(ASKED, model=str(tiny_model))
    with pytest.raises(UsageError, match="how many documents") as caught:
        plan_capacity(asked, load_config(None), None, measuring=Measuring(Kept(kept), EFFORT))
    assert "--documents 10M" in caught.value.hint


def test_advice_on_the_index_becomes_a_loss(project_copy: Path, kept: Path) -> None:
    """What `dialekt index advise` measured is kept, and the plan of the same model's space shows it."""
    project = open_project(project_copy)
    with open_works(project, create=True) as works:
        build(works, Wishes(model="v1"))
        advice = advise_release(works, works.catalogue.release("live"))
    plan, _ = planned(project_copy, kept, replace(ASKED, model="v1"))
    layouts = {choice.layout.name: choice for choice in plan.choices}
    shown = layouts["32 int8"].loss
    point = max((one for one in advice.points if one.first_stage.quantization is Quantization.INT8),
                key=lambda one: one.oversampling)  # fmt: skip
    assert shown.basis is Basis.MEASURED
    assert "dialekt index advise" in shown.how
    assert shown.value == pytest.approx(max(0.0, 1 - point.confirmed.value), abs=0.02)
    other, _ = planned(project_copy, kept, replace(ASKED, model="base"))
    assert {choice.loss.basis for choice in other.choices[1:]} == {Basis.UNKNOWN}


def test_damaged_advice_is_no_advice(finished_project: Path, tmp_path: Path) -> None:
    """A file that cannot be read says nothing, and stops nothing."""
    model = find_model(open_project(finished_project), BASE)
    layouts = layouts_of(IndexEngine.EXACT, (32,))
    (tmp_path / ADVICE_NAME).write_text('{"space": ', encoding="utf-8")
    assert losses_from_advice(tmp_path / ADVICE_NAME, model, layouts) == {}
    assert losses_from_advice(tmp_path / "none.json", model, layouts) == {}
    assert known_losses(None, model, layouts) == {}


def test_rows_of_smaller_dimensions_become_a_loss(tmp_path: Path) -> None:
    """Losing a tenth of NDCG@10 on every query is a loss of a tenth, surely; signs were not evaluated."""
    draw = np.random.default_rng(3).uniform(0.2, 1, 200)
    rows = [
        QueryScore(f"q{number}", system, "NDCG@10", float(score * share))
        for number, score in enumerate(draw)
        for system, share in (("tuned", 1.0), ("tuned@64", 0.9))
    ]
    write_records(tmp_path / "scores.parquet", rows, QueryScore)
    found = losses_from_scores(tmp_path, "tuned", layouts_of(IndexEngine.EXACT, (384, 64)))
    assert set(found) == {"64 float32"}
    loss = found["64 float32"]
    assert (loss.value, loss.low, loss.high) == pytest.approx((0.1, 0.1, 0.1))
    assert "alone" in loss.origin
    assert losses_from_scores(tmp_path / "none", "tuned", layouts_of(IndexEngine.EXACT, (64,))) == {}


def test_made_texts_differ_and_have_the_length() -> None:
    """No two are alike, so that no cache flatters the speed."""
    texts = made_texts(50, 30)
    assert len(set(texts)) == 50
    assert {len(text.split()) for text in texts} == {28}
    assert material_of(None, tokens=None, max_tokens=64).units == 0
