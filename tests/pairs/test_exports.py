"""Files for other trainers: what is in them, what never is, and that our own readers read them back."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.world import World, world

from dialekt.errors import InputError, LeakError, StorageError
from dialekt.pairs.exports.names import ExportLayout
from dialekt.pairs.exports.records import Example, Examples, ExportInputs, Label, read_examples
from dialekt.pairs.exports.table import LAYOUTS, drawn
from dialekt.pairs.exports.vertex import write_vertex
from dialekt.pairs.formats.builder import JudgmentsBuilder, Source
from dialekt.pairs.formats.table import FORMATS, detect
from dialekt.pairs.records import HeldOutDocument
from dialekt.store.tables import write_records
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Retriever, Split

__all__ = ["world"]

Texts = set[tuple[str, str]]


def inputs_of(world: World, *held_out: str) -> ExportInputs:
    """Return the world's folders as an export reads them."""
    made = world.folder("pairs")
    write_records(made / "queries.parquet", world.queries, Query)
    write_records(made / "qrels.parquet", world.qrels, Qrel)
    write_records(made / "held_out_documents.parquet", map(HeldOutDocument, held_out), HeldOutDocument)
    return ExportInputs(world.folder("corpus"), made, made, world.folder("negatives"), minimum_grade=1.0)


@pytest.fixture
def examples(world: World) -> Examples:
    """Sixteen train queries, one of them without a negative, one with two answers and two negatives."""
    pairs = (*world.pairs, Pair("q24", "24/2#1", grade=2.0))
    more = HardNegative("q24", "25/1", rank=2, score=0.4, positive_score=0.9, retriever=Retriever.BM25)
    negatives = (*[one for one in world.negatives if one.query_id != "q25"], more)
    return read_examples(inputs_of(world.changed(pairs=pairs, negatives=negatives)))


def lines(path: Path) -> list[dict[str, object]]:
    """Return the rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_back(path: Path, *, split: str) -> tuple[Texts, Texts]:
    """Return what our own reader finds of a split: texts of pairs of query and answer, and of query and negative."""
    builder = JudgmentsBuilder()
    FORMATS[detect(path)].read(Source(path), builder)
    texts = {document.id: document.content for document in builder.iterate_documents()}
    for row in lines(path / "corpus.jsonl") if (path / "corpus.jsonl").is_file() else ():
        texts[str(row["_id"])] = f"{row.get('title', '')} {row['text']}".strip()
    qrels = [qrel for qrel in builder.known_qrels() if qrel.split == split]
    named = [(builder.queries[one.query_id].text, texts[one.document_id], one.grade) for one in qrels]
    asked = {qrel.query_id for qrel in qrels}
    negatives = [one for one in builder.known_negatives(qrels) if one.query_id in asked]
    given = {(builder.queries[one.query_id].text, texts[one.document_id]) for one in negatives}
    rejected = {(query, text) for query, text, grade in named if grade <= 0}
    return {(query, text) for query, text, grade in named if grade > 0}, given | rejected


def wanted(examples: Examples, split: Split, *, mined: bool = False) -> tuple[Texts, Texts]:
    """Return the same of the examples; `mined` leaves out queries without a negative."""
    chosen = [one for one in examples.by_split[split] if one.negatives or not mined]
    pairs = {(one.query.text, examples.text(label.unit_id)) for one in chosen for label in one.positives}
    return pairs, {(one.query.text, examples.text(unit)) for one in chosen for unit in one.negatives}


@pytest.mark.parametrize(
    ("layout", "inside", "mined"),
    [
        (ExportLayout.SENTENCE_TRANSFORMERS, "", False),
        (ExportLayout.FLAG_EMBEDDING, "", False),
        (ExportLayout.AUTOTRAIN, "triplet", True),
        (ExportLayout.VERTEX, "", False),
    ],
)
def test_our_own_reader_reads_the_same_pairs(
    examples: Examples, tmp_path: Path, layout: ExportLayout, inside: str, mined: bool
) -> None:
    """Every training pair and negative comes back as it went out, and nothing else does."""
    out = tmp_path / "out"
    written = LAYOUTS[layout].write(examples, out)
    assert read_back(out / inside, split="train") == wanted(examples, Split.TRAIN, mined=mined)
    assert (written.pairs, written.negatives) == (17, 16)


def test_pairs_of_autotrain_come_back_too(examples: Examples, tmp_path: Path) -> None:
    """The folder of pairs has every pair, those of queries without a negative too, and the dev pairs."""
    written = LAYOUTS[ExportLayout.AUTOTRAIN].write(examples, tmp_path)
    assert read_back(tmp_path / "pair", split="train")[0] == wanted(examples, Split.TRAIN)[0]
    assert read_back(tmp_path / "pair", split="dev")[0] == wanted(examples, Split.DEV)[0]
    assert written.rows["triplet/train.jsonl"] == 15 - 1 + 2 * 2
    assert list(lines(tmp_path / "triplet" / "train.jsonl")[0]) == ["anchor", "positive", "negative"]
    assert any("without a hard negative" in line for line in written.left_out)


def test_a_dev_triplet_never_takes_an_own_answer_as_its_negative(examples: Examples, tmp_path: Path) -> None:
    """AutoTrain's validation triplets oppose an answer of another dev query."""
    LAYOUTS[ExportLayout.AUTOTRAIN].write(examples, tmp_path)
    own = wanted(examples, Split.DEV)[0]
    rows = lines(tmp_path / "triplet" / "valid.jsonl")
    assert len(rows) == len(own)
    assert all((row["anchor"], row["negative"]) not in own for row in rows)


def test_rows_of_sentence_transformers_have_equal_columns(examples: Examples, tmp_path: Path) -> None:
    """A file of rows loads as one table: a query with fewer negatives repeats its own, one with none is elsewhere."""
    LAYOUTS[ExportLayout.SENTENCE_TRANSFORMERS].write(examples, tmp_path)
    rows = lines(tmp_path / "train.jsonl")
    assert {tuple(row) for row in rows} == {("anchor", "positive", "negative_1", "negative_2")}
    assert {tuple(row) for row in lines(tmp_path / "train-pairs.jsonl")} == {("anchor", "positive")}
    assert next(row for row in rows if row["anchor"] == "which topic27")["negative_2"] == "about 27 word27 fact1 rotor"


@pytest.mark.parametrize("layout", list(ExportLayout))
def test_no_test_query_is_in_a_file_that_trains(examples: Examples, tmp_path: Path, layout: ExportLayout) -> None:
    """The texts of test queries are in no file but those of Vertex AI's corpus of queries and test labels."""
    LAYOUTS[layout].write(examples, tmp_path)
    tests = {example.query.text for example in examples.by_split[Split.TEST]}
    assert len(tests) == 12
    for path in sorted(tmp_path.rglob("*.jsonl")):
        if (layout, path.name) != (ExportLayout.VERTEX, "queries.jsonl"):
            assert not tests & {str(value) for row in lines(path) for value in row.values()}, path
    for path in tmp_path.rglob("qrels/train.tsv"):
        held_out = {example.query.id for split in (Split.DEV, Split.TEST) for example in examples.by_split[split]}
        assert not held_out & {line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()}


def test_vertex_has_the_layout_of_its_contract(examples: Examples, tmp_path: Path) -> None:
    """String ids and texts, a title only where there is one, whole non-negative scores under the named columns."""
    titled = replace(examples.units["24/0"], title="Pumps")
    bare = Document("t", "", title="All title")
    write_vertex(replace(examples, units={**examples.units, "24/0": titled, "t": bare}), tmp_path)
    corpus = {str(row["_id"]): row for row in lines(tmp_path / "corpus.jsonl")}
    assert corpus["24/0"] == {"_id": "24/0", "title": "Pumps", "text": titled.text}
    assert corpus["t"] == {"_id": "t", "text": "All title"}
    assert set(corpus["24/1"]) == {"_id", "text"}
    with (tmp_path / "qrels" / "train.tsv").open(encoding="utf-8") as file:
        labels = list(csv.DictReader(file, delimiter="\t"))
    assert list(labels[0]) == ["query-id", "corpus-id", "score"]
    assert {one["corpus-id"]: one["score"] for one in labels if one["query-id"] == "q24"} == {
        "24/0": "1", "24/2#1": "2", "24/1": "0", "25/1": "0",
    }  # fmt: skip
    queries = {str(row["_id"]) for row in lines(tmp_path / "queries.jsonl")}
    for name in ("train", "dev", "test"):
        rows = (tmp_path / "qrels" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        assert {row.split("\t")[0] for row in rows} <= queries
        assert {row.split("\t")[1] for row in rows} <= set(corpus)


def test_vertex_refuses_what_the_service_would(examples: Examples, tmp_path: Path) -> None:
    """Too many queries are an error that names the limit and the way out; drawing fewer is that way."""
    label = (Label("24/0", 1.0),)
    many = tuple(Example(Query(f"m{number}", "m"), label) for number in range(10_001))
    with pytest.raises(InputError, match="9 to 10,000 queries, and here are 10,025") as caught:
        write_vertex(replace(examples, by_split={**examples.by_split, Split.TRAIN: many}), tmp_path)
    assert "--queries" in caught.value.hint
    with pytest.raises(InputError, match="9 to 500,000 documents, and here are 1"):
        write_vertex(replace(examples, units={"24/0": examples.units["24/0"]}), tmp_path)


def test_vertex_leaves_out_a_file_that_is_too_small(examples: Examples, tmp_path: Path) -> None:
    """Two test queries make no file of labels, which the service would refuse."""
    few = {**examples.by_split, Split.TEST: examples.by_split[Split.TEST][:2]}
    written = write_vertex(replace(examples, by_split=few), tmp_path)
    assert not (tmp_path / "qrels" / "test.tsv").exists()
    assert written.left_out == ("fewer than 3 test queries: no file",)


def test_drawing_keeps_the_held_out_queries(examples: Examples) -> None:
    """The same seed draws the same train queries, and only those."""
    some = drawn(examples, 5, seed=1)
    assert some == drawn(examples, 5, seed=1)
    assert len(some.train) == 5
    assert set(some.train) < set(examples.train)
    assert some.by_split[Split.TEST] == examples.by_split[Split.TEST]
    assert drawn(examples, 500, seed=1) == examples


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda world: world.changed(pairs=(*world.pairs, Pair("q1", "1/0"))), "held out \\(test\\)"),
        (
            lambda world: world.changed(negatives=(*world.negatives, replace(world.negatives[0], document_id="3/1"))),
            "answers held-out queries only",
        ),
    ],
)
def test_a_leak_stops_the_export(world: World, spoil: Callable[[World], World], said: str) -> None:
    """A held-out query or document among the training examples is an error, not a row."""
    with pytest.raises(LeakError, match=said):
        read_examples(inputs_of(spoil(world), "3/1"))


def test_artefacts_of_two_runs_are_refused(world: World) -> None:
    """A pair of an unknown document says what to run again."""
    with pytest.raises(StorageError, match="not there"):
        read_examples(inputs_of(world.changed(pairs=(*world.pairs, Pair("q30", "gone")))))
