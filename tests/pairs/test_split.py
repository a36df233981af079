"""The split stage: what goes where, what is removed, and what is refused."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.pairs.dividing import divide, document, write_inputs

from dialekt.config import SplitConfig, SplitMethod
from dialekt.errors import ConfigError, InputError
from dialekt.pairs.records import GivenQrel, JudgedQuery
from dialekt.pairs.split import minimum_detectable_effect
from dialekt.types import Split


def queries(count: int, *, prefix: str = "q") -> list[JudgedQuery]:
    """Return queries of which no two are alike."""
    return [
        JudgedQuery(f"{prefix}{n:04}", f"alpha{n} beta{n} gamma{n}", f"2024-01-01T00:{n // 60:02}:{n % 60:02}")
        for n in range(count)
    ]


def qrels(of: list[JudgedQuery], split: str = "") -> list[GivenQrel]:
    """Return one qrel per query, each on its own document."""
    return [GivenQrel(query.id, f"d-{query.id}", 1.0, split) for query in of]


def official(train: int, dev: int, test: int) -> tuple[list[JudgedQuery], list[GivenQrel]]:
    """Return queries with given splits, in order train, dev, test."""
    found = queries(train + dev + test)
    parts = [("train", found[:train]), ("dev", found[train : train + dev]), ("test", found[train + dev :])]
    return found, [qrel for name, part in parts for qrel in qrels(part, name)]


def test_shares_are_respected(tmp_path: Path) -> None:
    """A grouped split gives the shares that were asked for, and the facts count them."""
    found = queries(400)
    write_inputs(tmp_path, found, qrels(found))
    divided = divide(tmp_path, SplitConfig(dev_share=0.15, test_share=0.25))
    assert divided.facts.queries == {"train": 240, "dev": 60, "test": 100}
    assert divided.facts.positives == {"train": 240, "dev": 60, "test": 100}
    assert (divided.facts.method, divided.facts.query_clusters) == ("grouped", 400)


def test_split_does_not_depend_on_row_order_but_on_the_seed(tmp_path: Path) -> None:
    """The same rows in another order give the same split; another seed gives another."""
    found = queries(200)
    judged = qrels(found)
    write_inputs(tmp_path / "a", found, judged)
    random.Random(1).shuffle(found)
    random.Random(2).shuffle(judged)
    write_inputs(tmp_path / "b", found, judged)
    first, second = divide(tmp_path / "a"), divide(tmp_path / "b")
    assert (first.queries, first.qrels, first.held_out) == (second.queries, second.qrels, second.held_out)
    assert divide(tmp_path / "b", seed=14).ids(Split.TEST) != first.ids(Split.TEST)


def test_most_queries_stay_when_others_are_added(tmp_path: Path) -> None:
    """With a tenth more queries, few of the old ones change sides."""
    found = queries(220)
    write_inputs(tmp_path / "a", found[:200], qrels(found[:200]))
    write_inputs(tmp_path / "b", found, qrels(found))
    before, after = divide(tmp_path / "a"), divide(tmp_path / "b")
    split_after = {query.id: query.split for query in after.queries}
    assert sum(split_after[query.id] is not query.split for query in before.queries) <= 20


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicate_queries_never_straddle(tmp_path: Path, seed: int) -> None:
    """All queries of a near-duplicate cluster lie in one part, and shares hold within a cluster's size."""
    found = queries(100)
    twins = [
        replace(query, id=f"{query.id}-{n}", text=query.text.upper() + "?" * n) for query in found for n in range(seed)
    ]
    write_inputs(tmp_path, found + twins, qrels(found + twins))
    divided = divide(tmp_path, seed=seed)
    sides = {(query.cluster, query.split) for query in divided.queries}
    assert len(sides) == len({query.cluster for query in divided.queries}) == 100
    total = len(found + twins)
    assert abs(divided.facts.queries["test"] - 0.2 * total) <= seed + 1
    assert abs(divided.facts.queries["dev"] - 0.1 * total) <= seed + 1


def test_group_by_document(tmp_path: Path) -> None:
    """Grouped by document, all queries of a document and of its near-duplicate lie in one part."""
    found = queries(120)
    judged = [GivenQrel(query.id, f"d{n // 4}") for n, query in enumerate(found)]
    documents = [document(f"d{n}", twin_of=f"d{n - n % 2}") for n in range(30)]
    write_inputs(tmp_path, found, judged, documents)
    divided = divide(tmp_path, SplitConfig(group_by="document"))
    split_of = {query.id: query.split for query in divided.queries}
    pairs_of_documents = {(int(qrel.document_id[1:]) // 2, split_of[qrel.query_id]) for qrel in divided.qrels}
    assert len(pairs_of_documents) == divided.facts.query_clusters == 15


def test_one_document_for_all_queries_cannot_be_divided_by_document(tmp_path: Path) -> None:
    """When one group holds everything, the error says so and names the way out."""
    found = queries(30)
    write_inputs(tmp_path, found, [GivenQrel(query.id, "d1") for query in found])
    with pytest.raises(InputError, match="the largest group that must stay together has 30 of 30") as caught:
        divide(tmp_path, SplitConfig(group_by="document"))
    assert "split.group_by = 'query'" in caught.value.hint


def test_official_splits_are_kept(tmp_path: Path) -> None:
    """Given train, dev and test are taken as they are."""
    write_inputs(tmp_path, *official(40, 8, 12))
    divided = divide(tmp_path)
    assert (divided.facts.method, divided.facts.queries) == ("official", {"train": 40, "dev": 8, "test": 12})
    assert divided.ids(Split.TEST) == {f"q{n:04}" for n in range(48, 60)}


def test_twins_of_held_out_queries_leave_train_and_dev(tmp_path: Path) -> None:
    """Train queries like a dev or test query, and dev queries like a test query, are removed; test stays whole."""
    found, judged = official(40, 8, 12)
    test, dev = found[50], found[41]
    found[0] = replace(found[0], text=test.text.upper())
    found[1] = replace(found[1], text=f"{dev.text}!")
    found[42] = replace(found[42], text=test.text)
    write_inputs(tmp_path, found, judged)
    divided = divide(tmp_path)
    assert divided.facts.queries == {"train": 38, "dev": 7, "test": 12}
    assert divided.facts.near_duplicate_queries_removed == 3
    assert divided.facts.dropped == {"dev_queries_near_held_out": 1, "train_queries_near_held_out": 2}
    assert not {"q0000", "q0001", "q0042"} & {query.id for query in divided.queries}


def test_query_in_train_and_test_is_a_test_query(tmp_path: Path) -> None:
    """A query that is judged in two splits belongs to test, with the test judgments only."""
    found, judged = official(40, 8, 12)
    judged.append(GivenQrel(found[50].id, "d-other", 1.0, "train"))
    write_inputs(tmp_path, found, judged)
    divided = divide(tmp_path)
    assert [qrel.document_id for qrel in divided.qrels if qrel.query_id == "q0050"] == ["d-q0050"]
    assert divided.facts.dropped == {"qrels_of_another_split": 1}


def test_missing_dev_is_carved_from_train(tmp_path: Path) -> None:
    """Without dev queries a share of train becomes dev, and test is untouched."""
    write_inputs(tmp_path, *official(100, 0, 20))
    divided = divide(tmp_path)
    assert divided.facts.queries == {"train": 90, "dev": 10, "test": 20}
    assert "the judgments name no dev queries, so some were carved from train" in divided.facts.warnings


def test_missing_test_is_carved_from_train(tmp_path: Path) -> None:
    """Without test queries a share of train becomes test, and dev is untouched."""
    write_inputs(tmp_path, *official(100, 20, 0))
    assert divide(tmp_path).facts.queries == {"train": 80, "dev": 20, "test": 20}


def test_missing_train_is_made_of_dev(tmp_path: Path) -> None:
    """Without train queries, dev is divided into train and dev, and test is untouched."""
    write_inputs(tmp_path, *official(0, 50, 20))
    assert divide(tmp_path).facts.queries == {"train": 45, "dev": 5, "test": 20}


def test_only_test_queries_are_divided_anew(tmp_path: Path) -> None:
    """Judgments that name test only give nothing to train on, so all are divided anew, with a warning."""
    write_inputs(tmp_path, *official(0, 0, 100))
    divided = divide(tmp_path)
    assert (divided.facts.method, divided.facts.queries) == ("grouped", {"train": 70, "dev": 10, "test": 20})
    assert "the judgments name only test queries, so all were divided anew" in divided.facts.warnings


def test_official_needs_splits(tmp_path: Path) -> None:
    """Asking for official splits where none are given is an error."""
    found = queries(30)
    write_inputs(tmp_path, found, qrels(found))
    with pytest.raises(InputError, match="name fewer than two of train, dev and test"):
        divide(tmp_path, SplitConfig(method=SplitMethod.OFFICIAL))


def test_grouped_ignores_given_splits(tmp_path: Path) -> None:
    """Asking for a grouped split divides everything anew, whatever the judgments say."""
    write_inputs(tmp_path, *official(10, 10, 80))
    divided = divide(tmp_path, SplitConfig(method=SplitMethod.GROUPED))
    assert (divided.facts.method, divided.facts.queries["test"]) == ("grouped", 20)


def test_by_time(tmp_path: Path) -> None:
    """The latest queries are test, those before them dev; an old twin of a test query leaves train."""
    found = queries(100)
    found[3] = replace(found[3], text=found[95].text)
    random.Random(0).shuffle(found)
    write_inputs(tmp_path, found, qrels(found))
    divided = divide(tmp_path, SplitConfig(method=SplitMethod.TIME))
    assert divided.ids(Split.TEST) == {f"q{n:04}" for n in range(80, 100)}
    assert divided.ids(Split.DEV) == {f"q{n:04}" for n in range(70, 80)}
    assert divided.ids(Split.TRAIN) == {f"q{n:04}" for n in range(70) if n != 3}


def test_time_needs_times(tmp_path: Path) -> None:
    """Without readable times for most queries, a split by time is an error that names the field."""
    found = [replace(query, timestamp="yesterday") for query in queries(30)]
    write_inputs(tmp_path, found, qrels(found))
    with pytest.raises(InputError, match=r"30 of 30 queries have no readable time in the field 'timestamp'"):
        divide(tmp_path, SplitConfig(method=SplitMethod.TIME))


def test_time_and_document_groups_exclude_each_other(tmp_path: Path) -> None:
    """An option that would do nothing is an error."""
    found = queries(30)
    write_inputs(tmp_path, found, qrels(found))
    with pytest.raises(ConfigError, match=r"has no effect with split\.method = 'time'"):
        divide(tmp_path, SplitConfig(method=SplitMethod.TIME, group_by="document"))


def test_three_pairs_are_too_few(tmp_path: Path) -> None:
    """A handful of pairs is refused with how many are needed."""
    found = queries(3)
    write_inputs(tmp_path, found, qrels(found))
    with pytest.raises(InputError, match="only 3 queries have a positive document, at least 10 are needed") as caught:
        divide(tmp_path)
    assert "about 250" in caught.value.hint


def test_smallest_set_has_every_part(tmp_path: Path) -> None:
    """Ten queries are divided 7, 1, 2, with a warning about what they can show."""
    found = queries(10)
    write_inputs(tmp_path, found, qrels(found))
    divided = divide(tmp_path)
    assert divided.facts.queries == {"train": 7, "dev": 1, "test": 2}
    assert "only 2 test queries: a gain below 0.59 NDCG cannot be told from chance" in divided.facts.warnings


def test_unknown_documents_are_counted_and_named(tmp_path: Path) -> None:
    """Judgments of documents that the corpus lacks are dropped with up to five of their ids."""
    found = queries(40)
    judged = [*qrels(found), *(GivenQrel("q0000", f"x{n}") for n in range(7))]
    write_inputs(tmp_path, found, judged, [document(qrel.document_id) for qrel in qrels(found)[1:]])
    divided = divide(tmp_path)
    assert divided.facts.dropped == {"qrels_of_unknown_documents": 8, "queries_without_positive": 1}
    assert divided.facts.warnings[0] == (
        "8 judged document ids are not in the corpus, for example 'd-q0000', 'x0', 'x1', 'x2', 'x3'"
    )


def test_wrong_corpus(tmp_path: Path) -> None:
    """When the corpus lacks most judged documents, the error asks whether it is the right one."""
    found = queries(40)
    write_inputs(tmp_path, found, qrels(found), [document("other")])
    with pytest.raises(InputError, match=r"^judged: 40 of 40 judged document ids are not in the corpus") as caught:
        divide(tmp_path)
    assert "is corpus.path the corpus of these judgments?" in caught.value.hint


def test_queries_without_positive_are_counted(tmp_path: Path) -> None:
    """A query whose judgments are all below the minimum grade is dropped, as is one without judgment."""
    found = queries(30)
    judged = [replace(qrel, grade=2.0) for qrel in qrels(found)[:28]]
    judged[5] = replace(judged[5], grade=1.0)
    write_inputs(tmp_path, found, judged)
    divided = divide(tmp_path, minimum_grade=2.0)
    assert divided.facts.dropped == {"queries_without_judgment": 2, "queries_without_positive": 1}
    assert len(divided.queries) == 27


def test_held_out_documents_come_with_their_twins(tmp_path: Path) -> None:
    """Documents that only dev or test queries answer are held out with their near-duplicates, as parent ids."""
    found, judged = official(20, 5, 5)
    judged.append(GivenQrel("q0025", "d-q0000", 1.0, "test"))  # also a train positive: not held out
    documents = [document(name) for name in sorted({qrel.document_id for qrel in judged})]
    documents = [unit for unit in documents if unit.id != "d-q0026"]
    documents += [
        document("d-q0026#0", parent="d-q0026"),
        document("d-q0026#1", parent="d-q0026"),
        document("twin#0", parent="twin", twin_of="d-q0026#0"),
        document("twin#1", parent="twin", twin_of="d-q0026#1"),
        document("boilerplate#0", parent="boilerplate", twin_of="d-q0026#0"),
        document("boilerplate#1", parent="boilerplate"),
        document("copy", twin_of="d-q0020"),
        document("unjudged"),
    ]
    write_inputs(tmp_path, found, judged, documents)
    divided = divide(tmp_path)
    assert divided.held_out == ["copy", *(f"d-q{n:04}" for n in range(20, 30)), "twin"]
    assert divided.facts.held_out_documents == 12


def test_minimum_detectable_effect() -> None:
    """The effect is that of a two-sided z test: 0.3 · (1.960 + 0.842) / √n."""
    assert minimum_detectable_effect(100) == pytest.approx(0.3 * (1.959964 + 0.841621) / 10, rel=1e-6)
    assert minimum_detectable_effect(400) == pytest.approx(minimum_detectable_effect(100) / 2)
