"""Formats that carry the texts themselves."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.pairs.reading import by_text, read, write

from dialekt.errors import InputError
from dialekt.store.hashing import hash_text

Q, P, N, M = "reset password", "the password page", "a bread recipe", "milk and sugar"


def test_pairs_by_name(tmp_path: Path) -> None:
    """A CSV with anchor and positive gives a qrel of grade 1 per row, with ids from the texts."""
    found = read(write(tmp_path / "pairs.csv", f'anchor,positive\n{Q},{P}\n{Q},"{M}, warm"\n'), tmp_path / "out")
    assert found.facts.format == "pairs"
    assert found.queries == {hash_text(Q): Q}
    assert by_text(found) == ({(Q, P, 1.0, ""), (Q, f"{M}, warm", 1.0, "")}, set())


def test_names_win_over_order(tmp_path: Path) -> None:
    """Known column names are taken by name wherever they stand; other columns are no negatives."""
    row = {"brand": "acme", "document": P, "query": Q, "id": "77"}
    found = read(write(tmp_path / "pairs.jsonl", [row]), tmp_path / "out")
    assert by_text(found) == ({(Q, P, 1.0, "")}, set())
    assert not found.facts.warnings


def test_order_decides_for_unknown_names(tmp_path: Path) -> None:
    """Columns without known names are anchor, positive and negatives in their order, and a warning says so."""
    found = read(write(tmp_path / "pairs.tsv", f"a\tb\tc\n{Q}\t{P}\t{N}\n"), tmp_path / "out")
    assert by_text(found) == ({(Q, P, 1.0, "")}, {(Q, N)})
    assert found.facts.warnings == ("pairs.tsv: columns taken by order: 'a' = query, 'b' = positive, 'c' = negative",)


def test_triplets_and_n_tuples(tmp_path: Path) -> None:
    """negative and negative_1..n columns become given negatives, and missing ones are skipped."""
    rows: list[object] = [
        {"anchor": Q, "positive": P, "negative_1": N, "negative_2": M},
        {"anchor": M, "positive": N, "negative_1": P, "negative_2": None},
    ]
    found = read(write(tmp_path / "triplets.jsonl", rows), tmp_path / "out")
    assert by_text(found) == ({(Q, P, 1.0, ""), (M, N, 1.0, "")}, {(Q, N), (Q, M), (M, P)})
    assert found.facts.dropped == {}


def test_scored_pairs(tmp_path: Path) -> None:
    """A pair from minimum_score on is a positive, one below it a judged non-match and a given negative."""
    text = f"sentence1,sentence2,score\n{Q},{P},0.8\n{Q},{N},0.79\n"
    found = read(write(tmp_path / "pairs.csv", text), tmp_path / "out", minimum_score=0.8)
    assert by_text(found) == ({(Q, P, 1.0, ""), (Q, N, 0.0, "")}, {(Q, N)})


def test_scores_beyond_one_are_warned_of(tmp_path: Path) -> None:
    """Scores above 1 are read and reported, since minimum_score is meant for 0 to 1."""
    text = f"query,response,label\n{Q},{P},5\n"
    found = read(write(tmp_path / "pairs.csv", text), tmp_path / "out")
    assert "scores reach 5" in found.facts.warnings[0]


def test_margins_are_no_grades(tmp_path: Path) -> None:
    """A score beside a negative is a margin of a teacher: it is left out, and the positive stays one."""
    row = {"query": Q, "positive": P, "negative": N, "label": -3.5}
    found = read(write(tmp_path / "train.jsonl", [row]), tmp_path / "out")
    assert by_text(found) == ({(Q, P, 1.0, "")}, {(Q, N)})
    assert found.facts.warnings == ("train.jsonl: 1 scores of rows with negatives were left out (margins, not grades)",)


def test_labelled_lists(tmp_path: Path) -> None:
    """A list of documents with a list of labels is as many scored pairs."""
    pq.write_table(pa.table({"query": [Q], "docs": [[P, N]], "labels": [[1, 0]]}), tmp_path / "lists.parquet")
    found = read(tmp_path / "lists.parquet", tmp_path / "out")
    assert by_text(found) == ({(Q, P, 1.0, ""), (Q, N, 0.0, "")}, {(Q, N)})


def test_labels_must_match_documents(tmp_path: Path) -> None:
    """A list with fewer labels than documents is an error with file and line."""
    path = write(tmp_path / "lists.jsonl", [{"query": Q, "docs": [P, N], "labels": [1]}])
    with pytest.raises(InputError, match=r"lists.jsonl:1: has 2 documents but 1 values of 'labels'"):
        read(path, tmp_path / "out")


def test_folder_with_a_file_per_split(tmp_path: Path) -> None:
    """In a folder of pair files the names tell the splits; a split column tells more."""
    write(tmp_path / "set/train.jsonl", [{"query": Q, "positive": P}])
    write(tmp_path / "set/data/validation-00000-of-00001.jsonl", [{"query": M, "positive": N}])
    write(tmp_path / "set/data/test.json", '[{"query": "bread", "positive": "a bread recipe"}]')
    found = read(tmp_path / "set", tmp_path / "out")
    assert by_text(found)[0] == {(Q, P, 1.0, "train"), (M, N, 1.0, "dev"), ("bread", N, 1.0, "test")}


def test_given_ids_are_kept(tmp_path: Path) -> None:
    """Id columns of a pair file are used as they are."""
    row = {"query_id": 5, "query": Q, "doc_id": "d1", "title": "Help", "text": P, "split": "validation"}
    found = read(write(tmp_path / "pairs.jsonl", [row]), tmp_path / "out")
    assert (found.queries, found.documents) == ({"5": Q}, {"d1": f"Help {P}"})
    assert found.qrels == {("5", "d1", 1.0, "dev")}


def test_flag_embedding(tmp_path: Path) -> None:
    """FlagEmbedding rows give positives and negatives; the teacher's scores are no grades."""
    row = {
        "query": Q,
        "pos": [P],
        "neg": [N, M],
        "pos_scores": [-2.0],
        "neg_scores": [1.0, 2.0],
        "prompt": "",
        "type": "x",
    }
    found = read(write(tmp_path / "train.jsonl", [row]), tmp_path / "out")
    assert found.facts.format == "flag_embedding"
    assert by_text(found) == ({(Q, P, 1.0, "")}, {(Q, N), (Q, M)})


def test_gritlm(tmp_path: Path) -> None:
    """GritLM rows lose their instructions, and several different ones are reported."""
    rows: list[object] = [
        {"query": ["find the page", Q], "pos": [["", P]], "neg": [["", N]]},
        {"query": ["find the recipe", M], "pos": [["", N]]},
    ]
    found = read(write(tmp_path / "train.jsonl", rows), tmp_path / "out")
    assert found.facts.format == "gritlm"
    assert by_text(found) == ({(Q, P, 1.0, ""), (M, N, 1.0, "")}, {(Q, N)})
    assert found.facts.warnings == ("2 different instructions were left out; set model.query_prompt to one",)


def test_nemo_inline(tmp_path: Path) -> None:
    """NeMo's inline rows take a positive as a text or a list."""
    rows: list[object] = [{"query": Q, "pos_doc": P, "neg_doc": [N]}, {"query": M, "pos_doc": [N], "neg_doc": []}]
    found = read(write(tmp_path / "train.jsonl", rows), tmp_path / "out")
    assert found.facts.format == "nemo"
    assert by_text(found) == ({(Q, P, 1.0, ""), (M, N, 1.0, "")}, {(Q, N)})


def test_ms_swift(tmp_path: Path) -> None:
    """ms-swift's rows give the response as positive and the rejected ones as negatives."""
    row = {"query": Q, "response": P, "rejected_response": [N, M]}
    found = read(write(tmp_path / "train.jsonl", [row]), tmp_path / "out")
    assert found.facts.format == "ms_swift"
    assert by_text(found) == ({(Q, P, 1.0, "")}, {(Q, N), (Q, M)})


def test_ms_swift_messages(tmp_path: Path) -> None:
    """The newer ms-swift rows of messages mean the same; a system message is no query."""
    row = {
        "messages": [{"role": "system", "content": "embed"}, {"role": "user", "content": Q}],
        "positive_messages": [[{"role": "user", "content": P}]],
        "negative_messages": [[{"role": "user", "content": N}]],
    }
    found = read(write(tmp_path / "train.jsonl", [row]), tmp_path / "out")
    assert found.facts.format == "ms_swift"
    assert by_text(found) == ({(Q, P, 1.0, "")}, {(Q, N)})


def test_documents_and_settings_beside_pairs_are_left_out(tmp_path: Path) -> None:
    """In a folder with pairs, documents and a settings file, only the pairs are read."""
    write(tmp_path / "set/a.jsonl", [{"id": "d1", "title": "Help", "text": P}])
    write(tmp_path / "set/package.json", {"name": "docs", "version": "1"})
    write(tmp_path / "set/z.csv", f"Question,Answer\n{Q},{P}\n")
    assert by_text(read(tmp_path / "set", tmp_path / "out")) == ({(Q, P, 1.0, "")}, set())


def test_folder_of_documents_holds_no_pairs(tmp_path: Path) -> None:
    """A table of documents in a folder is not mistaken for pairs of title and text."""
    write(tmp_path / "set/a.jsonl", [{"id": "d1", "title": "Help", "text": P}])
    with pytest.raises(InputError, match="no judgments were recognised in this folder"):
        read(tmp_path / "set", tmp_path / "out")
