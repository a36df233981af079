"""The teacher stage: trained or named, used only when it is better, continued after a kill."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from tests.interrupting import press_ctrl_c
from tests.teacher.conftest import LEARNING, Problem, Taught, compare_with

from dialekt.config import TeacherConfig, TeacherUse
from dialekt.errors import ConfigError, InputError, ModelError, StorageError
from dialekt.models.reranker import Reranker
from dialekt.store.tables import read_records, write_records
from dialekt.teacher.records import TeacherInputs
from dialekt.teacher.stage import run
from dialekt.types import DevComparison, HardNegative, Pair, PairSource, Progress, Qrel, Retriever, TeacherScore

SHORT = LEARNING.model_copy(update={"epochs": 1.0})
TRAINING = "training the teacher"


def named(taught: Taught, **changes: object) -> TeacherConfig:
    """Return a configuration that names the trained teacher."""
    return LEARNING.model_copy(update={"model": str(taught.out / "model"), **changes})


def swap_answer_and_negative(inputs: TeacherInputs, *, retriever: Retriever = Retriever.DENSE) -> None:
    """Judge a wrong document the answer of a query, and let the right one be mined as a negative."""
    pairs = read_records(inputs.examples / "pairs.parquet", Pair)
    qrels = read_records(inputs.examples / "qrels.parquet", Qrel)
    negatives = read_records(inputs.negatives / "negatives.parquet", HardNegative)
    swapped = [replace(pair, document_id="d5") if pair.query_id == "q0" else pair for pair in pairs]
    others = [qrel for qrel in qrels if qrel.query_id != "q0"]
    hidden = HardNegative("q0", "d0", 1, 0.5, 0.6, retriever)
    write_records(inputs.examples / "pairs.parquet", swapped, Pair)
    write_records(inputs.examples / "qrels.parquet", [*others, Qrel("q0", "d5")], Qrel)
    write_records(inputs.negatives / "negatives.parquet", [*negatives, hidden], HardNegative)


def couples(path: Path, kind: type[Pair] | type[HardNegative] | type[TeacherScore]) -> set[tuple[str, str]]:
    """Return the couples of query and document in a table."""
    return {(record.query_id, record.document_id) for record in read_records(path, kind)}


def test_a_teacher_trained_here_learns_and_beats_the_student(problem: Problem, taught: Taught) -> None:
    """It ranks new queries right, its loss falls, and only what others read is left in the folder."""
    facts = taught.facts
    assert facts.used
    assert facts.why.startswith("it ranks better than the student")
    assert facts.teacher_ndcg > 0.9
    assert facts.trained is not None
    assert facts.trained.losses[-1][1] < facts.trained.losses[0][1] / 10
    assert sorted(path.name for path in taught.out.iterdir()) == [
        "model", "negatives.parquet", "pairs.parquet", "scores.parquet",
    ]  # fmt: skip
    scored = couples(taught.out / "scores.parquet", TeacherScore)
    assert scored == couples(taught.out / "pairs.parquet", Pair) | couples(
        taught.out / "negatives.parquet", HardNegative
    )
    assert facts.scored == len(problem.pairs) + len(problem.negatives)


def test_a_mined_answer_becomes_a_positive(
    problem: Problem, inputs: TeacherInputs, taught: Taught, tmp_path: Path
) -> None:
    """What the teacher rates far above the known positive leaves the negatives and becomes a pair of its own source."""
    swap_answer_and_negative(inputs)
    facts = run(named(taught), inputs, tmp_path)
    assert facts.relabelled["dense"] + facts.removed["dense"] == len(problem.negatives) + 1 - facts.negatives
    made = [pair for pair in read_records(tmp_path / "pairs.parquet", Pair) if pair.source is PairSource.TEACHER]
    assert [(pair.query_id, pair.document_id) for pair in made] == [("q0", "d0")]
    assert made[0].weight == pytest.approx(1.0, abs=0.01)
    assert (facts.pairs, facts.added) == (len(problem.pairs) + 1, 1)
    assert ("q0", "d0") not in couples(tmp_path / "negatives.parquet", HardNegative)
    assert ("q0", "d0") in couples(tmp_path / "scores.parquet", TeacherScore)


def test_a_teacher_that_does_not_win_changes_nothing(problem: Problem, inputs: TeacherInputs, tmp_path: Path) -> None:
    """Pairs and negatives pass through, there are no scores and no weights, and the facts say why."""
    facts = run(SHORT, replace(inputs, compare=compare_with(problem, student=0.99)), tmp_path)
    assert not facts.used
    assert facts.why.startswith("it is not proven to rank better than the student by more than zero")
    assert read_records(tmp_path / "pairs.parquet", Pair) == problem.pairs
    assert read_records(tmp_path / "negatives.parquet", HardNegative) == problem.negatives
    assert read_records(tmp_path / "scores.parquet", TeacherScore) == []
    assert not (tmp_path / "model").exists()


def test_without_dev_queries_no_teacher_is_used(inputs: TeacherInputs, taught: Taught, tmp_path: Path) -> None:
    """Nothing says that it is better."""
    unjudged = replace(inputs, compare=lambda _: DevComparison(0.0, 0.0, 0.0, 0.0, 0.0, 0))
    facts = run(named(taught, minimum_gain=-1.0), unjudged, tmp_path)
    assert not facts.used
    assert facts.why == "there are no dev queries to compare it on"


def test_a_named_teacher_is_used_as_it_is(
    problem: Problem, inputs: TeacherInputs, taught: Taught, tmp_path: Path
) -> None:
    """Its scores are those of the model, its weights are kept, and its path stays out of the facts."""
    facts = run(named(taught, uses=(TeacherUse.DISTIL,)), inputs, tmp_path)
    assert (facts.model, facts.trained, facts.used) == ("model", None, True)
    assert str(taught.out) not in str(asdict(facts))
    assert read_records(tmp_path / "negatives.parquet", HardNegative) == problem.negatives
    score = read_records(tmp_path / "scores.parquet", TeacherScore)[0]
    query = next(item.text for item in problem.queries if item.id == score.query_id)
    document = next(item.content for item in problem.documents if item.id == score.document_id)
    kept = Reranker.load(str(tmp_path / "model"), device="cpu", max_tokens=32)
    assert kept.score([query], [document], np.zeros((1, 2), dtype=np.int64))[0] == pytest.approx(score.score, abs=0.1)


def test_a_stopped_training_continues_from_its_checkpoint(inputs: TeacherInputs, tmp_path: Path) -> None:
    """Ctrl-C saves; the next run does only the rest, and ends where an uninterrupted one ends."""
    config = SHORT.model_copy(update={"epochs": 4.0})
    whole = run(config, inputs, tmp_path / "whole")

    def stop(step: Progress) -> None:
        if step.label == TRAINING and step.done == 3:
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        run(config, inputs, tmp_path / "cut", progress=stop)
    seen: list[Progress] = []
    facts = run(config, inputs, tmp_path / "cut", progress=seen.append)
    assert facts.trained is not None
    assert whole.trained is not None
    assert facts.trained.resumed
    assert min(step.done for step in seen if step.label == TRAINING) == 4
    assert facts.trained.losses == whole.trained.losses
    assert facts.teacher_ndcg == whole.teacher_ndcg


def test_a_kill_while_scoring_repeats_nothing_before_it(inputs: TeacherInputs, tmp_path: Path) -> None:
    """What was trained and compared before is taken up."""
    config = SHORT.model_copy(update={"minimum_gain": -2.0})

    def stop(step: Progress) -> None:
        if step.label.startswith("scoring"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, inputs, tmp_path, progress=stop)
    seen: list[Progress] = []
    facts = run(config, replace(inputs, compare=asked_twice), tmp_path, progress=seen.append)
    assert facts.used
    assert TRAINING not in {step.label for step in seen}


def asked_twice(_: object) -> DevComparison:
    """Fail the test: dev was compared before."""
    pytest.fail("dev was compared twice")


def test_a_time_limit_shortens_training(inputs: TeacherInputs, tmp_path: Path) -> None:
    """A limit of an instant leaves one step, and the facts warn."""
    facts = run(LEARNING.model_copy(update={"time_limit_minutes": 1e-6}), inputs, tmp_path)
    assert facts.trained is not None
    assert facts.trained.steps == 1
    assert any("time limit ended the teacher's training after 1 steps" in warning for warning in facts.warnings)


@pytest.mark.parametrize("retriever", [Retriever.GIVEN, Retriever.DENSE])
def test_a_named_or_judged_negative_is_never_corrected(
    inputs: TeacherInputs, taught: Taught, tmp_path: Path, retriever: Retriever
) -> None:
    """What an instruction names, or a person judged, stays whatever the teacher says."""
    swap_answer_and_negative(inputs, retriever=retriever)
    if retriever is not Retriever.GIVEN:
        qrels = read_records(inputs.examples / "qrels.parquet", Qrel)
        write_records(inputs.examples / "qrels.parquet", [*qrels, Qrel("q0", "d0", grade=0.0)], Qrel)
    facts = run(named(taught), inputs, tmp_path)
    assert (facts.fixed, facts.added) == (1, 0)
    assert ("q0", "d0") in couples(tmp_path / "negatives.parquet", HardNegative)


def test_faults_are_named(inputs: TeacherInputs, tmp_path: Path) -> None:
    """No model, a model that is none, an unknown document, no pair."""
    with pytest.raises(ConfigError, match=r"teacher\.model is unset"):
        run(SHORT.model_copy(update={"model": None}), inputs, tmp_path)
    with pytest.raises(ModelError, match=r"there is no model folder '\./nowhere'"):
        run(SHORT.model_copy(update={"model": "./nowhere"}), inputs, tmp_path)
    unknown = HardNegative("q0", "unknown", 1, 0.5, 0.6, Retriever.DENSE)
    write_records(inputs.negatives / "negatives.parquet", [unknown], HardNegative)
    with pytest.raises(StorageError, match="name a document that is not there, 1 of"):
        run(SHORT, inputs, tmp_path)
    write_records(inputs.examples / "pairs.parquet", [], Pair)
    with pytest.raises(InputError, match="no training pair"):
        run(SHORT, inputs, tmp_path)
