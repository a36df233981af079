"""The stage measures every system, writes its artefact and recommends one system."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from tests.world import World

from dialekt.config import EvaluationConfig
from dialekt.errors import InputError, LeakError, StorageError
from dialekt.evaluation import stage
from dialekt.evaluation.records import MAIN_SYSTEMS, EvaluationFacts, FusionMethod, QueryScore, facts_from_json
from dialekt.measures.runs import read_run
from dialekt.store.tables import read_records
from dialekt.types import Pair, Progress, Split

CONFIG = EvaluationConfig(resamples=500)
SYSTEMS = {"bm25", "base", "hybrid_base", "rrf_base", "base@8", "base@4"}
TUNED_SYSTEMS = {name.replace("base", "tuned") for name in SYSTEMS} | SYSTEMS


def evaluate(world: World, *, tuned: bool = True, name: str = "evaluation") -> EvaluationFacts:
    """Run the stage on a world whose tuned vectors are far less noisy than the base vectors."""
    inputs = stage.EvaluationInputs(
        corpus=world.folder("corpus"),
        split=world.folder("split"),
        pairs=world.folder("pairs"),
        negatives=world.folder("negatives"),
        base_vectors=world.write_vectors("base", noise=1.6),
        tuned_vectors=world.write_vectors("tuned", noise=0.25) if tuned else None,
        matryoshka_dimensions=(16, 8, 4),
        seed=7,
    )
    return stage.run(CONFIG, inputs, world.folder(name))


def test_every_system_is_measured_and_the_better_one_recommended(world: World) -> None:
    """Tuned vectors beat base vectors and BM25, which finds nothing for a third of the queries."""
    facts = evaluate(world)
    assert {result.system for result in facts.systems} == TUNED_SYSTEMS
    assert (facts.queries, facts.documents, facts.dev_queries) == (12, 120, 12)
    assert facts.recommendation == "tuned"
    gain = facts.comparison("tuned", "base")
    assert gain is not None
    assert gain.low > 0
    assert gain.p_value < 0.05
    assert facts.separation["tuned"] > facts.separation["base"]
    assert facts.wins
    assert facts.strongest_baseline in {"bm25", "base", "hybrid_base"}
    assert facts.warnings == ()


def test_the_result_goes_into_depth(world: World) -> None:
    """Judged shares of the systems one can deploy, and a threshold for either model, tried on all test queries."""
    facts = evaluate(world)
    assert facts.unjudged is not None
    assert [share.system for share in facts.unjudged.systems] == [*MAIN_SYSTEMS]
    assert not facts.unjudged.meaningful
    assert [threshold.system for threshold in facts.thresholds] == ["base", "tuned"]
    assert all(threshold.queries == 12 for threshold in facts.thresholds)
    assert facts.slices == ()


def test_hybrids_are_fused_by_the_same_procedure(world: World) -> None:
    """Both record method, weight and dev score; the plain fusion is plain."""
    facts = evaluate(world)
    for name in ("base", "tuned"):
        hybrid, plain = facts.result(f"hybrid_{name}"), facts.result(f"rrf_{name}")
        assert hybrid is not None
        assert plain is not None
        assert hybrid.fusion is not None
        assert plain.fusion is not None
        assert hybrid.fusion.dev_queries == 12
        assert hybrid.dev_score == pytest.approx(hybrid.fusion.dev_score)
        assert (plain.fusion.method, plain.fusion.lexical_weight) == (FusionMethod.RRF, 0.5)
        assert plain.dev_score is not None
        assert hybrid.dev_score is not None
        assert hybrid.dev_score >= plain.dev_score


def test_what_is_written_agrees_with_the_facts(world: World) -> None:
    """Scores average to the table, run files score the same in ir-measures, results.json reads back."""
    facts = evaluate(world)
    out = world.folder("evaluation")
    scores = read_records(out / "scores.parquet", QueryScore)
    assert len(scores) == len(TUNED_SYSTEMS) * 4 * 12
    for result in facts.systems:
        run = read_run(out / "runs" / f"{result.system}.run.gz")
        assert set(run.query_ids) <= {f"q{topic}" for topic in range(12)}
        for metric, interval in result.metrics.items():
            values = [item.value for item in scores if (item.system, item.metric) == (result.system, metric)]
            assert np.mean(values) == pytest.approx(interval.value)
            assert interval.low <= interval.value <= interval.high
    assert facts_from_json(json.loads((out / "results.json").read_text())) == facts
    assert facts_from_json(json.loads(json.dumps(asdict(facts)))) == facts


def test_run_files_score_the_same_in_another_tool(world: World) -> None:
    """ir-measures' own reader and averages give the table's numbers, queries without results included."""
    facts = evaluate(world)
    measures = {ir_measures.nDCG @ 10: "NDCG@10", ir_measures.R @ 100: "Recall@100"}
    tested = [qrel for qrel in world.qrels if int(qrel.query_id.removeprefix("q")) < 12]
    qrels = [ir_measures.Qrel(qrel.query_id, qrel.document_id, 1) for qrel in tested]
    for name in ("bm25", "tuned", "hybrid_base"):
        with gzip.open(world.folder("evaluation") / "runs" / f"{name}.run.gz", "rt") as file:
            found = ir_measures.calc_aggregate(list(measures), qrels, list(ir_measures.read_trec_run(file)))
        result = facts.result(name)
        assert result is not None
        for measure, metric in measures.items():
            assert found[measure] == pytest.approx(result.metrics[metric].value)


def test_a_second_run_gives_the_same_bytes(world: World) -> None:
    """Everything depends on the inputs and the seed, nothing on the clock or on chance."""
    first, second = evaluate(world, name="one"), evaluate(world, name="two")
    assert first == second
    for path in sorted(world.folder("one").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (world.folder("two") / path.relative_to(world.folder("one"))).read_bytes()


def test_the_baselines_can_be_measured_alone(world: World) -> None:
    """Before any training: no tuned rows, no wins, a recommendation among the baselines."""
    facts = evaluate(world, tuned=False)
    assert {result.system for result in facts.systems} == SYSTEMS
    assert facts.recommendation in {"bm25", "base", "hybrid_base"}
    assert facts.comparison("hybrid_base", "base") is not None
    assert facts.comparison("tuned", "base") is None
    assert (facts.wins, facts.losses) == ((), ())
    assert set(facts.similarity) == {"base_positives", "base_negatives"}


def test_without_dev_queries_fusion_is_plain_and_said_so(world: World) -> None:
    """Nothing is chosen on the test queries."""
    facts = evaluate(world.changed(queries=tuple(query for query in world.queries if query.split is not Split.DEV)))
    hybrid = facts.result("hybrid_tuned")
    assert hybrid is not None
    assert hybrid.fusion is not None
    assert (hybrid.fusion.method, hybrid.fusion.dev_score, hybrid.dev_score) == (FusionMethod.RRF, None, None)
    assert facts.warnings == ("there are no dev queries: hybrids are plain reciprocal rank fusion",)


def test_no_test_queries_is_an_error(world: World) -> None:
    """There is nothing to measure, and the hint says how to get something."""
    with pytest.raises(InputError, match="there are no test queries"):
        evaluate(world.changed(queries=tuple(query for query in world.queries if query.split is not Split.TEST)))


def test_a_leak_stops_the_stage_before_it_measures(world: World) -> None:
    """Nothing is written when held-out queries were trained on."""
    with pytest.raises(LeakError, match="held-out queries in training"):
        evaluate(world.changed(pairs=(*world.pairs, Pair("q0", "30/1"))))
    assert not list(world.folder("evaluation").iterdir())


def test_missing_vectors_are_an_error(world: World, tmp_path: Path) -> None:
    """A folder without vectors is named."""
    inputs = stage.EvaluationInputs(
        corpus=world.folder("corpus"), split=world.folder("split"), base_vectors=tmp_path / "nowhere"
    )
    with pytest.raises(StorageError, match="nowhere"):
        stage.run(CONFIG, inputs, world.folder("evaluation"))


def test_progress_names_each_system(world: World) -> None:
    """One report per system, with its score."""
    seen: list[Progress] = []
    inputs = stage.EvaluationInputs(
        corpus=world.folder("corpus"), split=world.folder("split"), base_vectors=world.write_vectors("base", noise=1.0)
    )
    stage.run(CONFIG, inputs, world.folder("evaluation"), progress=seen.append)
    notes = [item.note.split()[0] for item in seen if item.label == "evaluate"]
    assert notes == ["bm25", "base", "hybrid_base", "rrf_base"]
