"""Formats that speak of documents by id."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pairs.reading import read, write

from dialekt.errors import InputError

QUERIES: list[object] = [{"_id": "q1", "text": "reset password"}, {"_id": "q2", "text": "solar panel"}]


def beir(folder: Path, *, header: str = "query-id\tcorpus-id\tscore\n") -> Path:
    write(folder / "queries.jsonl.gz", QUERIES)
    write(folder / "qrels/train.tsv", f"{header}q1\td1\t2\nq1\td2\t0\n")
    write(folder / "qrels/test.tsv", f"{header}q2\td3\t1\n")
    return folder


def test_beir_folder(tmp_path: Path) -> None:
    """A BEIR folder gives queries, graded qrels with zeros, and the splits of its file names."""
    found = read(beir(tmp_path / "set"), tmp_path / "out")
    assert found.facts.format == "beir"
    assert found.queries == {"q1": "reset password", "q2": "solar panel"}
    assert found.qrels == {("q1", "d1", 2.0, "train"), ("q1", "d2", 0.0, "train"), ("q2", "d3", 1.0, "test")}
    assert found.facts.splits_given == {"test": 1, "train": 2}
    assert not found.documents


def test_beir_without_header_and_with_negative_grades(tmp_path: Path) -> None:
    """A qrels.tsv without header line loses no judgment, and grades below zero are kept."""
    write(tmp_path / "set/queries.jsonl", QUERIES)
    write(tmp_path / "set/qrels.tsv", "q1\td1\t1\nq2\td3\t-1\n")
    found = read(tmp_path / "set", tmp_path / "out")
    assert found.qrels == {("q1", "d1", 1.0, ""), ("q2", "d3", -1.0, "")}


def test_beir_leaves_out_files_that_are_no_split(tmp_path: Path) -> None:
    """Beside exact train.tsv and test.tsv, a further variant of a split is left out with a warning."""
    folder = beir(tmp_path / "set")
    write(folder / "qrels/test_unseen.tsv", "query-id\tcorpus-id\tscore\nq1\td9\t1\n")
    found = read(folder, tmp_path / "out")
    assert found.facts.qrels == 3
    assert found.facts.warnings == ("test_unseen.tsv was left out: its name is not train, dev or test",)


def test_numeric_ids_are_text(tmp_path: Path) -> None:
    """An id written as a number in JSON is the same id as its digits in the qrels."""
    write(tmp_path / "set/queries.jsonl", [{"_id": 7, "text": "reset password"}])
    write(tmp_path / "set/qrels.tsv", "query-id\tcorpus-id\tscore\n7\t12\t1\n")
    assert read(tmp_path / "set", tmp_path / "out").qrels == {("7", "12", 1.0, "")}


@pytest.mark.parametrize("separator", ["\t", " "])
def test_trec_folder(tmp_path: Path, separator: str) -> None:
    """TREC qrels by tab or blank are read with a TSV of queries; file names tell the splits."""
    write(tmp_path / "set/queries.tsv", "qid\tquery\nq1\treset password\nq2\tsolar panel\n")
    write(tmp_path / "set/train.qrels", separator.join(("q1", "0", "d1", "2")) + "\n")
    write(tmp_path / "set/test.qrels", separator.join(("q2", "0", "d3", "0")) + "\n")
    found = read(tmp_path / "set", tmp_path / "out")
    assert found.facts.format == "trec"
    assert found.qrels == {("q1", "d1", 2.0, "train"), ("q2", "d3", 0.0, "test")}


def test_trec_file_finds_queries_beside_it(tmp_path: Path) -> None:
    """A path to the qrels alone is enough when the queries lie beside it."""
    write(tmp_path / "set/topics.jsonl", QUERIES)
    write(tmp_path / "set/queries.jsonl", QUERIES)
    path = write(tmp_path / "set/qrels.robust.txt", "q1 0 d1 1\n")
    found = read(path, tmp_path / "out")
    assert (found.facts.format, found.qrels) == ("trec", {("q1", "d1", 1.0, "")})


def test_msmarco_folder(tmp_path: Path) -> None:
    """MS MARCO's files give queries, qrels by split, triples as given negatives, and the collection."""
    folder = tmp_path / "set"
    write(folder / "queries.train.tsv", "1\treset password\n")
    write(folder / "queries.dev.small.tsv", "2\tsolar panel\n")
    write(folder / "qrels.train.tsv", "1\t0\t10\t1\n")
    write(folder / "qrels.dev.small.tsv", "2\t0\t11\t1\n")
    write(folder / "qidpidtriples.train.small.tsv", "1\t10\t11\n1\t10\t12\n1\t10\t10\n")
    write(folder / "collection.tsv", "10\tthe password page\n11\tpanels\n12\tbread\n")
    found = read(folder, tmp_path / "out")
    assert found.facts.format == "msmarco"
    assert found.qrels == {("1", "10", 1.0, "train"), ("2", "11", 1.0, "dev")}
    assert found.negatives == {("1", "11"), ("1", "12")}
    assert found.documents == {"10": "the password page", "11": "panels", "12": "bread"}
    assert found.facts.dropped == {"given_negatives_that_are_positives": 1}


def test_gpl_folder(tmp_path: Path) -> None:
    """A GPL folder gives generated queries as train, negatives of every retriever, and human test judgments."""
    folder = beir(tmp_path / "set")
    (folder / "qrels/train.tsv").unlink()
    write(folder / "qgen-queries.jsonl", [{"_id": "g1", "text": "how to reset", "metadata": {}}])
    write(folder / "qgen-qrels/train.tsv", "query-id\tcorpus-id\tscore\ng1\td1\t1\n")
    negatives = {"qid": "g1", "pos": ["d1"], "neg": {"bm25": ["d2"], "dense": ["d2", "d3"]}}
    write(folder / "hard-negatives.jsonl", [negatives])
    found = read(folder, tmp_path / "out")
    assert found.facts.format == "gpl"
    assert found.qrels == {("g1", "d1", 1.0, "train"), ("q2", "d3", 1.0, "test")}
    assert found.negatives == {("g1", "d2"), ("g1", "d3")}


def test_llama_index_object(tmp_path: Path) -> None:
    """LlamaIndex's one object gives queries, documents and qrels under their own ids."""
    content = {
        "queries": {"q1": "reset password"},
        "corpus": {"n1": "the page", "n2": "bread"},
        "relevant_docs": {"q1": ["n1"]},
        "mode": "text",
    }
    found = read(write(tmp_path / "train_dataset.json", content), tmp_path / "out")
    assert found.facts.format == "llama_index"
    assert (found.queries, found.documents) == (content["queries"], content["corpus"])
    assert found.qrels == {("q1", "n1", 1.0, "")}


def test_tevatron_ids(tmp_path: Path) -> None:
    """Tevatron's rows with ids are read with the corpus file beside them."""
    row = {
        "query_id": "q1",
        "query_text": "reset password",
        "positive_document_ids": ["d1"],
        "negative_document_ids": ["d2"],
    }
    corpus: list[object] = [{"docid": "d1", "document_text": "page"}, {"docid": "d2", "document_text": "bread"}]
    write(tmp_path / "set/train.jsonl", [row])
    write(tmp_path / "set/corpus.jsonl", corpus)
    found = read(tmp_path / "set", tmp_path / "out")
    assert found.facts.format == "tevatron"
    assert (found.qrels, found.negatives) == ({("q1", "d1", 1.0, "train")}, {("q1", "d2")})
    assert found.documents == {"d1": "page", "d2": "bread"}


def test_tevatron_passages(tmp_path: Path) -> None:
    """Tevatron's older rows bring their passages, with titles, under the passages' ids."""
    row = {
        "query_id": "q1",
        "query": "reset password",
        "positive_passages": [{"docid": "d1", "title": "Help", "text": "page"}],
        "negative_passages": [{"docid": "d2", "title": "", "text": "bread"}],
    }
    found = read(write(tmp_path / "train.jsonl.gz", [row]), tmp_path / "out")
    assert found.facts.format == "tevatron"
    assert found.documents == {"d1": "Help page", "d2": "bread"}
    assert (found.qrels, found.negatives) == ({("q1", "d1", 1.0, "")}, {("q1", "d2")})


@pytest.mark.parametrize("as_list", [False, True])
def test_nemo_by_id(tmp_path: Path, as_list: bool) -> None:
    """NeMo's corpus-id JSON is read with the Parquet corpus that it names, given as an object or a list."""
    corpus = {"path": "./corpus/"}
    content = {
        "corpus": [corpus] if as_list else corpus,
        "data": [
            {
                "question_id": "q1",
                "question": "reset password",
                "corpus_id": "c",
                "pos_doc": [{"id": "d1"}],
                "neg_doc": [{"id": "d2"}],
            }
        ],
    }
    (tmp_path / "corpus").mkdir()
    pq.write_table(pa.table({"id": ["d1", "d2"], "text": ["page", "bread"]}), tmp_path / "corpus/train.parquet")
    found = read(write(tmp_path / "train.json", content), tmp_path / "out")
    assert found.facts.format == "nemo"
    assert (found.qrels, found.negatives) == ({("q1", "d1", 1.0, "")}, {("q1", "d2")})
    assert found.documents == {"d1": "page", "d2": "bread"}


def test_nemo_without_its_corpus(tmp_path: Path) -> None:
    """NeMo JSON whose corpus folder is missing is an error that names the folder."""
    content = {"corpus": {"path": "./corpus/"}, "data": []}
    with pytest.raises(InputError, match=r"corpus './corpus/' holds no Parquet or JSONL file"):
        read(write(tmp_path / "train.json", content), tmp_path / "out")
