"""The judgments stage on input that is wrong, odd or incomplete."""

from pathlib import Path

import pytest
from tests.pairs.reading import read, write

from dialekt.config import JudgmentsConfig, JudgmentsFormat
from dialekt.errors import InputError
from dialekt.pairs import judgments
from dialekt.pairs.formats.builder import MAX_NEGATIVES_PER_QUERY
from dialekt.pairs.formats.table import FORMATS
from dialekt.pairs.records import JudgedQuery
from dialekt.store.tables import read_records


def test_every_format_has_a_row_in_the_table() -> None:
    """Every format that the configuration knows, but `auto`, can be read."""
    assert set(FORMATS) == set(JudgmentsFormat) - {JudgmentsFormat.AUTO}


def test_unrecognised_folder_lists_what_was_looked_for(tmp_path: Path) -> None:
    """A folder of no known format is an error whose hint names what each format looks for."""
    write(tmp_path / "set/notes.md", "hello")
    with pytest.raises(InputError, match="no judgments were recognised in this folder") as caught:
        read(tmp_path / "set", tmp_path / "out")
    assert all(known.looks_for in caught.value.hint for known in FORMATS.values())


def test_unrecognised_row_shows_its_fields(tmp_path: Path) -> None:
    """A first row of no known format is an error that names its fields, not its values."""
    path = write(tmp_path / "rows.jsonl", [{"name": "a secret", "size": 3}])
    with pytest.raises(InputError, match=r"the first row \('name', 'size'\) is of no known format"):
        read(path, tmp_path / "out")


def test_missing_path(tmp_path: Path) -> None:
    """A path that does not exist is an error, whether or not the format is named."""
    for kind in ("auto", "beir"):
        with pytest.raises(InputError, match="there is no such file or folder"):
            read(tmp_path / "nowhere", tmp_path / "out", kind=kind)


def test_named_format_that_is_not_there(tmp_path: Path) -> None:
    """Naming a format that the folder does not have is an error that says what it needs."""
    write(tmp_path / "set/queries.jsonl", [{"_id": "q1", "text": "x"}])
    with pytest.raises(InputError, match="is no MS MARCO folder"):
        read(tmp_path / "set", tmp_path / "out", kind="msmarco")


def test_query_id_with_two_texts(tmp_path: Path) -> None:
    """A query id that stands for two texts is an error with file and line, without the texts."""
    write(tmp_path / "set/queries.jsonl", [{"_id": "q1", "text": "secret"}, {"_id": "q1", "text": "another"}])
    write(tmp_path / "set/qrels.tsv", "q1\td1\t1\n")
    with pytest.raises(InputError, match=r"queries.jsonl:2: query id 'q1' already stands for another text"):
        read(tmp_path / "set", tmp_path / "out")


def test_document_id_with_two_texts(tmp_path: Path) -> None:
    """An inline document id that stands for two texts is an error."""
    rows: list[object] = [{"query": "x", "doc_id": "d1", "text": "one"}, {"query": "y", "doc_id": "d1", "text": "two"}]
    with pytest.raises(InputError, match=r"pairs.jsonl:2: document id 'd1' already stands for another text"):
        read(write(tmp_path / "pairs.jsonl", rows), tmp_path / "out")


def test_empty_and_unknown_queries_are_counted(tmp_path: Path) -> None:
    """Empty queries and judgments of unknown queries are dropped, counted and named."""
    write(tmp_path / "set/queries.jsonl", [{"_id": "q1", "text": "x"}, {"_id": "q2", "text": "  "}])
    write(tmp_path / "set/qrels.tsv", "q1\td1\t1\nq1\td1\t2\nq2\td1\t1\nq9\td1\t1\n")
    found = read(tmp_path / "set", tmp_path / "out")
    assert found.qrels == {("q1", "d1", 2.0, "")}
    assert found.facts.dropped == {
        "empty_queries": 1,
        "qrels_of_empty_queries": 1,
        "qrels_of_unknown_queries": 1,
        "repeated_qrels": 1,
    }
    assert found.facts.warnings == ("1 query ids in the qrels have no query text, for example 'q9'",)


def test_no_known_query_at_all(tmp_path: Path) -> None:
    """Judgments whose every query is unknown are an error, not an empty artefact."""
    write(tmp_path / "set/queries.jsonl", [{"_id": "q1", "text": "x"}])
    write(tmp_path / "set/qrels.tsv", "9\td1\t1\n")
    with pytest.raises(InputError, match="every judgment names a query id that the queries lack"):
        read(tmp_path / "set", tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "message"),
    [("q1\td1", r"qrels.tsv:2: has 2 columns, expected 3 or 4"), ("q1\td1\tyes", r"qrels.tsv:2: expected a number")],
)
def test_damaged_qrels_line(tmp_path: Path, line: str, message: str) -> None:
    """A short line or a grade that is no number is an error with file and line."""
    write(tmp_path / "set/queries.jsonl", [{"_id": "q1", "text": "x"}])
    write(tmp_path / "set/qrels.tsv", f"q1\td1\t1\n{line}\n")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "set", tmp_path / "out")


def test_truncated_json_line(tmp_path: Path) -> None:
    """A line cut short is an error with file and line."""
    path = write(tmp_path / "pairs.jsonl", '{"query": "x", "positive": "y"}\n{"query": "x", "pos')
    with pytest.raises(InputError, match=r"pairs.jsonl:2: is not a JSON object"):
        read(path, tmp_path / "out")


def test_invalid_utf8(tmp_path: Path) -> None:
    """A file in another encoding is an error that says so."""
    path = tmp_path / "pairs.csv"
    path.write_bytes("anchor,positive\ncafé,tea\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"pairs.csv:2: is not valid UTF-8"):
        read(path, tmp_path / "out")


def test_given_negatives_are_limited(tmp_path: Path) -> None:
    """A query keeps a bounded number of given negatives, and the rest is counted."""
    row = {"query": "x", "pos": ["y"], "neg": [f"text {number}" for number in range(MAX_NEGATIVES_PER_QUERY + 5)]}
    found = read(write(tmp_path / "train.jsonl", [row]), tmp_path / "out")
    assert len(found.negatives) == MAX_NEGATIVES_PER_QUERY
    assert found.facts.dropped == {"given_negatives_beyond_limit": 5}


def test_time_field_is_read_from_row_or_metadata(tmp_path: Path) -> None:
    """The time of a query comes from the named field, at the top or in its metadata."""
    rows: list[object] = [
        {"_id": "q1", "text": "x", "asked": "2024-01-02"},
        {"_id": "q2", "text": "y", "metadata": {"asked": 17}},
        {"_id": "q3", "text": "z"},
    ]
    write(tmp_path / "set/queries.jsonl", rows)
    write(tmp_path / "set/qrels.tsv", "q1\td1\t1\n")
    (tmp_path / "out").mkdir()
    inputs = judgments.JudgmentsInputs(tmp_path / "set", time_field="asked")
    judgments.run(JudgmentsConfig(), inputs, tmp_path / "out")
    times = [query.timestamp for query in read_records(tmp_path / "out/queries.parquet", JudgedQuery)]
    assert times == ["2024-01-02", "17", ""]
