"""The corpus stage: every layout of documents in, one clean table out, bad input refused or counted."""

import dataclasses
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dialekt.config import CorpusConfig, CorpusFormat
from dialekt.corpus.chunking import word_offsets
from dialekt.corpus.records import CorpusFacts, CorpusInputs
from dialekt.corpus.stage import run
from dialekt.errors import ConfigError, InputError
from dialekt.store.hashing import hash_text
from dialekt.store.language import read_language
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Language


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as JSON lines, gzipped if the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return an empty folder for the artefact."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def read(path: Path | None, out: Path, *, inline: Path | None = None, **settings: Any) -> list[Document]:
    """Run the stage and read its table."""
    run(CorpusConfig(**settings), CorpusInputs(path, inline), out)
    return read_records(out / "documents.parquet", Document)


def facts(path: Path | None, out: Path, *, inline: Path | None = None, **settings: Any) -> CorpusFacts:
    """Run the stage and return its facts, which are JSON."""
    found = run(CorpusConfig(**settings), CorpusInputs(path, inline), out)
    json.dumps(dataclasses.asdict(found))
    return found


def test_a_beir_folder_is_read(tmp_path: Path, out: Path) -> None:
    """Ids, titles and texts arrive; metadata and other scalar columns become strings; queries are no documents."""
    rows: list[dict[str, Any]] = [
        {"_id": 7, "title": "T", "text": " A  b ", "metadata": {"year": 1999, "tags": [1]}, "url": "u"},
        {"_id": "x", "title": None, "text": "c"},
    ]
    write_jsonl(tmp_path / "beir" / "corpus.jsonl.gz", rows)
    write_jsonl(tmp_path / "beir" / "queries.jsonl", [{"_id": "q", "text": "a query"}])
    (tmp_path / "beir" / "LICENSE.txt").write_text("licence")
    assert read(tmp_path / "beir", out) == [
        Document("7", "A b", "T", "7", "7", {"year": "1999", "url": "u"}),
        Document("x", "c", "", "x", "x"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", "id,title,text\n1,T,a b\n2,,c d\n"),
        ("d.tsv", "docid\ttitle\tdocument_text\n1\tT\ta b\n2\t\tc d\n"),
        ("collection.tsv", "1\tT\ta b\n2\t\tc d\n"),
        ("d.jsonl", '{"doc_id":1,"title":"T","content":"a b"}\n{"doc_id":2.0,"content":"c d"}\n'),
        ("d.json", '[{"id":"1","title":"T","body":"a b"},{"id":"2","passage":"x","body":"c d"}]'),
    ],
)
def test_tables_are_read_whatever_their_columns_are_called(tmp_path: Path, out: Path, name: str, content: str) -> None:
    """CSV, TSV with and without header, JSONL and JSON give the same documents; numeric ids become strings."""
    (tmp_path / name).write_text(content)
    found = [(document.id, document.title, document.text) for document in read(tmp_path / name, out)]
    assert found == [("1", "T", "a b"), ("2", "", "c d")]


def test_ms_marco_passages_are_read(tmp_path: Path, out: Path) -> None:
    """`pid<TAB>text` without header, named by folder."""
    (tmp_path / "marco").mkdir()
    (tmp_path / "marco" / "collection.tsv").write_text("0\tfirst passage\n1\tsecond passage\n")
    found = read(tmp_path / "marco", out)
    assert [(document.id, document.text) for document in found] == [("0", "first passage"), ("1", "second passage")]


def test_a_nemo_corpus_is_read_from_its_folder_and_from_its_json(tmp_path: Path, out: Path) -> None:
    """Parquet files of (id, text), directly or through the JSON that names their folder."""
    (tmp_path / "nemo" / "corpus").mkdir(parents=True)
    table = pa.table({"id": ["a", "b"], "text": ["one text", "two text"]})
    pq.write_table(table, tmp_path / "nemo" / "corpus" / "train.parquet")
    content = {"corpus": {"path": "./corpus/"}, "data": [{"question_id": "q"}]}
    (tmp_path / "nemo" / "train.json").write_text(json.dumps(content, indent=1))
    for path in (tmp_path / "nemo", tmp_path / "nemo" / "corpus", tmp_path / "nemo" / "train.json"):
        assert [document.id for document in read(path, out)] == ["a", "b"]


def test_a_llama_index_corpus_is_read(tmp_path: Path, out: Path) -> None:
    """The `corpus` object maps ids to texts."""
    content = {"queries": {"q": "?"}, "corpus": {"n1": "some text"}, "relevant_docs": {"q": ["n1"]}}
    (tmp_path / "d.json").write_text(json.dumps(content))
    assert [(document.id, document.text) for document in read(tmp_path / "d.json", out)] == [("n1", "some text")]


def test_columns_can_be_named(tmp_path: Path, out: Path) -> None:
    """The configuration wins over the usual names, and a name that is not there is an error."""
    path = write_jsonl(tmp_path / "d.jsonl", [{"id": "1", "sku": "A7", "text": "no", "desc": "yes", "name": "N"}])
    found = read(path, out, id_field="sku", text_field="desc", title_field="name")
    assert (found[0].id, found[0].title, found[0].text) == ("A7", "N", "yes")
    with pytest.raises(InputError, match="has no column 'skew'; columns: id, sku, text, desc, name"):
        read(path, out, id_field="skew")


def test_documents_without_ids_are_named_by_their_content(tmp_path: Path, out: Path) -> None:
    """The id is the hash of the text, as for the texts of pair files; a repetition is counted."""
    path = write_jsonl(tmp_path / "d.jsonl", [{"text": "one two"}, {"text": "three"}, {"text": "one two"}])
    assert [document.id for document in read(path, out)] == [hash_text("one two"), hash_text("three")]
    assert facts(path, out).dropped == {"same id and text": 1}


def test_a_folder_of_files_is_cut_to_the_models_limit(tmp_path: Path, out: Path) -> None:
    """Without a setting, files are cut to the model's limit less its two special tokens; tables are not cut."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("word " * 100)
    inputs = CorpusInputs(tmp_path / "docs", count_tokens=word_offsets, max_tokens=32)
    found = run(CorpusConfig(), inputs, out)
    chunks = read_records(out / "documents.parquet", Document)
    assert (found.format, found.chunk_tokens, found.documents) == ("files", 30, 1)
    assert found.chunks == len(chunks) > 1
    assert max(len(word_offsets([chunk.content])[0]) for chunk in chunks) <= 30
    assert {chunk.parent_id for chunk in chunks} == {"a.txt"}
    table = write_jsonl(tmp_path / "d.jsonl", [{"text": "word " * 100}])
    assert run(CorpusConfig(), dataclasses.replace(inputs, path=table), out).chunk_tokens is None


def test_repeated_chunks_point_at_the_first(tmp_path: Path, out: Path) -> None:
    """`duplicate_of` is the id of the first unit with the same content, in corpus order."""
    rows = [
        {"id": "a", "text": "Same text here."},
        {"id": "b", "text": "other"},
        {"id": "c", "text": "same TEXT here."},
    ]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    found = read(path, out, chunk_tokens=10, chunk_overlap_tokens=2)
    assert [(unit.id, unit.duplicate_of) for unit in found] == [("a#0", "a#0"), ("b#0", "b#0"), ("c#0", "a#0")]
    assert facts(path, out).exact_duplicates == 1


def test_inline_documents_join_the_corpus(tmp_path: Path, out: Path) -> None:
    """Texts of judgments are added; one that the corpus has already is not repeated and not counted as dropped."""
    inline = tmp_path / "documents.parquet"
    write_records(inline, [Document("1", "a b"), Document("9", "inline text")], Document)
    path = write_jsonl(tmp_path / "d.jsonl", [{"id": 1, "text": "a  b"}])
    assert [document.id for document in read(path, out, inline=inline)] == ["1", "9"]
    assert facts(path, out, inline=inline).dropped == {}


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.json", "data/train.jsonl"])
def test_a_folder_of_pairs_has_only_inline_documents(tmp_path: Path, out: Path, name: str) -> None:
    """Neither the pairs nor the README beside them are documents."""
    inline = tmp_path / "documents.parquet"
    write_records(inline, [Document("9", "inline text", "", "9", "9")], Document)
    write_jsonl(tmp_path / "pairs" / name, [{"anchor": "q", "positive": "p"}])
    (tmp_path / "pairs" / "README.md").write_text("# About\ntext")
    assert [document.id for document in read(tmp_path / "pairs", out, inline=inline)] == ["9"]
    assert facts(None, out, inline=inline).format == "inline"
    if "/" not in name:
        assert facts(tmp_path / "pairs" / name, out, inline=inline).documents == 1


def test_pages_with_a_table_among_them_are_pages(tmp_path: Path, out: Path) -> None:
    """A folder with more pages than tables is a folder of files, unless the format says otherwise."""
    (tmp_path / "docs").mkdir()
    write_jsonl(tmp_path / "docs" / "d.jsonl", [{"id": "row", "text": "a row"}])
    for name in ("a.md", "b.md"):
        (tmp_path / "docs" / name).write_text(f"page {name}")
    assert [document.id for document in read(tmp_path / "docs", out)] == ["a.md", "b.md"]
    assert [document.id for document in read(tmp_path / "docs", out, format=CorpusFormat.ROWS)] == ["row"]


def test_empty_and_long_texts_are_counted(tmp_path: Path, out: Path) -> None:
    """Documents without title and text are dropped, one with a title stays, a long one is cut."""
    rows: list[dict[str, Any]] = [
        {"id": "1", "text": " \u200b "},
        {"id": "2", "text": "x" * 50},
        {"id": "3", "title": "T", "text": None},
    ]
    path = write_jsonl(tmp_path / "d.jsonl", [{"id": "0", "title": "", "text": "ok"}, *rows])
    found = facts(path, out, max_document_characters=20)
    assert (found.documents, found.empty_dropped, found.truncated_documents, found.characters) == (3, 1, 1, 22)


def test_one_id_with_two_texts_is_refused(tmp_path: Path, out: Path) -> None:
    """The error names both lines."""
    path = write_jsonl(tmp_path / "d.jsonl", [{"id": 1, "text": "a"}, {"id": 2, "text": "b"}, {"id": "1", "text": "c"}])
    with pytest.raises(InputError, match=r"d.jsonl:3: document '1' has another text here than at .*d.jsonl:1"):
        read(path, out)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there are no documents with text"),
        (b'{"id": 1, "text": " "}\n', "there are no documents with text"),
        (b'{"id": 1, "text": "caf\xe9"}\n', "d.jsonl:1: is not valid UTF-8"),
        (b'{"id": 1, "text": "a"}\n{"id": 2, "te', "d.jsonl:2: is not a JSON object"),
        (b'{"id": 1, "score": 2}\n', "has no column of text; columns: id, score"),
        (b'{"id": 1, "text": "a"}\n{"text": "b"}\n', "d.jsonl:2: has no 'id'"),
        (b'{"id": 1, "text": {"a": 1}}\n', "d.jsonl:1: 'text' is a dict, expected a text"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, out: Path, content: bytes, message: str) -> None:
    """Each fault is one error with file and line, and nothing is written."""
    path = tmp_path / "d.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(path, out)
    assert not list(out.iterdir())


def test_missing_and_empty_places_are_refused(tmp_path: Path, out: Path) -> None:
    """A path that is not there and a folder without documents say so."""
    with pytest.raises(InputError, match="there is no such file or folder"):
        read(tmp_path / "nowhere", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no documents that can be read"):
        read(tmp_path / "empty", out)


def test_an_overlap_of_more_than_half_a_chunk_is_refused(tmp_path: Path, out: Path) -> None:
    """The error names both settings."""
    path = write_jsonl(tmp_path / "d.jsonl", [{"text": "a"}])
    with pytest.raises(ConfigError, match=r"chunk_overlap_tokens = 32 is more than half of corpus\.chunk_tokens = 40"):
        read(path, out, chunk_tokens=40)


def test_a_document_named_like_a_chunk_is_refused(tmp_path: Path, out: Path) -> None:
    """Two units never share an id."""
    path = write_jsonl(tmp_path / "d.jsonl", [{"id": "a", "text": "x"}, {"id": "a#0", "text": "y"}])
    with pytest.raises(InputError, match="document id 'a#0' is also the id of a chunk of 'a'"):
        read(path, out, chunk_tokens=40, chunk_overlap_tokens=2)


def test_the_language_is_derived_or_set_and_lies_in_the_table(tmp_path: Path, out: Path) -> None:
    """Facts and table say what the documents are written in, and by what; the setting overrules what is found."""
    texts = ["Die Pumpe ist undicht und muss ersetzt werden.", "Das Ventil wird mit dem Schlüssel geschlossen."]
    corpus = write_jsonl(tmp_path / "c.jsonl", [{"_id": str(n), "text": text} for n, text in enumerate(texts)])
    found = facts(corpus, out)
    assert (found.language, found.language_from) == ("de", "the documents")
    assert found.analysis == "without stop words, stemmed (german)"
    assert read_language(out / "documents.parquet") is Language.GERMAN
    told = facts(corpus, out, language="nl")
    assert (told.language, told.language_from) == ("nl", "corpus.language")
    assert read_language(out / "documents.parquet") is Language.DUTCH


def test_a_utf_16_table_is_refused_with_the_command_that_converts_it(tmp_path: Path, out: Path) -> None:
    """A spreadsheet's export names its own encoding; a byte-order mark of UTF-8 is no fault."""
    path = tmp_path / "таблица.csv"
    path.write_bytes("id,text\nд1,насос\n".encode("utf-16"))
    with pytest.raises(InputError, match="is not valid UTF-8") as caught:
        read(path, out)
    assert caught.value.hint == "convert the file: iconv -f utf-16 -t utf-8"
    path.write_bytes("id,text\nд1,насос\n".encode("utf-8-sig"))
    assert [document.id for document in read(path, out)] == ["д1"]
