"""The whole journey in nine scripts: every room does for them what it does for English."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.languages import TONGUES, all_texts, save_tiny_xlmr, tongue, write_multilingual_beir
from tests.serving.searching import searching

from dialekt.config import SearchConfig, SearchLog
from dialekt.evaluation.records import facts_from_json
from dialekt.flow.indexing import open_works
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName, StageRecord
from dialekt.flow.releasing import Wishes, build
from dialekt.logs.known_truth import read_truth
from dialekt.logs.simulation import Simulation
from dialekt.logs.simulation_files import write_log
from dialekt.models.contract import read_contract
from dialekt.store.tables import read_records
from dialekt.store.words import has_unspaced
from dialekt.types import Language, Pair, Query, Role

Records: TypeAlias = Mapping[StageName, StageRecord]
SETTINGS = """
[corpus]
path = "дані"
[model]
base = "база-e5-small"
[training]
learning_rate = 0.004
epochs = 5
[evaluation]
general = "off"
resamples = 1000
[report]
texts = true
"""
THREE = ("zh", "ar", "ru")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny multilingual model whose folder says by its name that it is an E5."""
    return save_tiny_xlmr(tmp_path_factory.mktemp("model") / "база-e5-small", all_texts())


def walk(home: Path, *, until: StageName = StageName.REPORT) -> Records:
    """Walk a project up to a stage."""
    return {record.stage: record for record in run(open_project(home), until=until)}


@pytest.fixture(scope="module")
def finished(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Records]:
    """A project in a folder with a name in two scripts, walked to its end."""
    home = tmp_path_factory.mktemp("world") / "проєкт 検索"
    write_multilingual_beir(home / "дані")
    (home / "база-e5-small").symlink_to(model)
    (home / "dialekt.toml").write_text(SETTINGS, encoding="utf-8")
    return home, walk(home)


def test_training_is_a_proven_gain(finished: tuple[Path, Records]) -> None:
    """The tuned model finds what searchers call by other names, in all scripts together, and is registered."""
    _, records = finished
    gain = facts_from_json(records[StageName.EVALUATION].facts).comparison("tuned", "base")
    assert gain is not None
    assert gain.low > 0.1
    assert records[StageName.REGISTRY].facts["version"] == "v1"
    assert records[StageName.CORPUS].facts["language"] == Language.OTHER.value


def test_every_script_reaches_every_table(finished: tuple[Path, Records]) -> None:
    """No query is lost or torn on the way; each language has hard negatives found by words."""
    _, records = finished
    queries = read_records(records[StageName.SPLIT].folder / "queries.parquet", Query)
    assert len(queries) == len(TONGUES) * 45
    paired = {query.id.split("-")[0] for query in queries if query.split.value == "train"}
    assert paired == {one.names[0] for one in TONGUES}
    assert records[StageName.NEGATIVES].facts["kept_by_retriever"]["bm25"] > 0


def test_the_model_keeps_the_prompts_of_its_family(finished: tuple[Path, Records]) -> None:
    """The folder's name tells E5, and the tuned model says it by itself from then on."""
    _, records = finished
    contract = read_contract(records[StageName.TRAINING].folder / "model")
    assert (contract.prompt(Role.QUERY), contract.prompt(Role.DOCUMENT)) == ("query: ", "passage: ")


def test_the_report_shows_texts_from_right_to_left(finished: tuple[Path, Records]) -> None:
    """Each text takes its direction from its own letters."""
    home, records = finished
    page = (home / "report/report.html").read_text(encoding="utf-8")
    assert re.search(r'<dd dir="auto">[^<]*\w', page)
    changed = [one["query_id"] for one in records[StageName.EVALUATION].facts["wins"]]
    assert any(query_id in page for query_id in changed)


def test_lengths_are_counted_in_words(finished: tuple[Path, Records]) -> None:
    """Searches without blanks are not all one word long, and documents neither."""
    _, records = finished
    slices = {(one["dimension"], one["value"]) for one in records[StageName.EVALUATION].facts["slices"]}
    assert ("query length", "3-5 words") in slices
    assert sum(dimension == "answer length" for dimension, _ in slices) > 1


@pytest.fixture(scope="module")
def indexed(finished: tuple[Path, Records]) -> Path:
    """The project with an index of the tuned model."""
    home, _ = finished
    with open_works(open_project(home), create=True) as works:
        facts = build(works, Wishes("v1"))
        assert [check.name for check in facts.checks if check.passed] == ["rows", "vectors", "recall", "quality"]
    return home


def test_every_script_is_searched_over_http(indexed: Path, model: Path, tmp_path: Path) -> None:
    """Vectors and words find a document by a search in its script, filtered in it; the log keeps what was typed."""
    search = SearchConfig(log=SearchLog.TEXTS, log_path=tmp_path / "log")
    with searching(open_project(indexed).config.index.path, model, search=search) as served:
        for one in TONGUES:
            wanted = {"lang": one.code, "thing": one.things[2]}
            query = unicodedata.normalize("NFD", one.things[2]).upper()
            answer = served.post("/search", {"query": query, "k": 3, "filter": wanted, "hybrid": True})
            assert answer.status_code == 200, answer.text
            hits = answer.json()["hits"]
            assert {hit["metadata"]["thing"] for hit in hits} == {one.things[2]}
            assert hits[0]["id"].startswith(one.things[0])
            read = served.client.get(f"/documents/{hits[0]['id']}")
            assert (read.status_code, read.json()["units"][0]["title"]) == (200, one.things[2])
    logged = "".join(file.read_text("utf-8") for file in sorted((tmp_path / "log").glob("*.ndjson")))
    assert "ΚΑΛΏΔΙΟ" in unicodedata.normalize("NFC", logged)


def project(folder: Path, model: Path, settings: str, *, judged: bool) -> Path:
    """Write a project on Chinese, Arabic and Russian documents."""
    write_multilingual_beir(folder / "data", [tongue(code) for code in THREE], judged=judged)
    text = f'[corpus]\npath = "data"\n[model]\nbase = "{model}"\n{settings}'
    (folder / "dialekt.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_log_in_three_scripts_teaches(model: Path, tmp_path: Path) -> None:
    """Searches and clicks in Chinese, Arabic and Russian become pairs, as English ones do."""
    beir = write_multilingual_beir(tmp_path / "truth", [tongue(code) for code in THREE])
    log = tmp_path / "журнал.ndjson"
    write_log(read_truth(beir, split="all"), Simulation(sessions=1_200, position_bias=1.0, bots=0.0), log)
    home = project(tmp_path / "home", model, f'[logs]\npath = ["{log}"]\nreformulations = false\n', judged=False)
    records = walk(home, until=StageName.PAIRS)
    facts = records[StageName.LOGS].facts
    assert facts["queries"] > 80
    queries = {
        query.id: query.text for query in read_records(records[StageName.PAIRS].folder / "queries.parquet", Query)
    }
    pairs = read_records(records[StageName.PAIRS].folder / "pairs.parquet", Pair)
    answered = {pair.document_id.split("-")[0] for pair in pairs}
    assert answered == {tongue(code).things[0] for code in THREE}
    same_language = [tongue_of(queries[pair.query_id]) == tongue_of(pair.document_id) for pair in pairs]
    assert all(same_language)


def tongue_of(text: str) -> str:
    """Return the script of a text's first letter."""
    return unicodedata.name(next(character for character in text if character.isalpha())).split()[0]


def test_local_queries_are_in_the_language_of_their_document(model: Path, tmp_path: Path) -> None:
    """The local generator writes no English over other languages: pieces, key phrases and the document's questions."""
    home = project(tmp_path / "home", model, '[synthesis]\ngenerators = ["local"]\n', judged=False)
    records = walk(home, until=StageName.PAIRS)
    made = read_records(records[StageName.PAIRS].folder / "queries.parquet", Query)
    documents = {
        pair.query_id: pair.document_id
        for pair in read_records(records[StageName.PAIRS].folder / "pairs.parquet", Pair)
    }
    assert len(made) > 100
    assert not any(re.search("[A-Za-z]", query.text) for query in made)
    for query in made:
        if query.id in documents:
            assert tongue_of(query.text) == tongue_of(documents[query.id])
    kinds = records[StageName.SYNTHESIS].facts["kinds"]
    assert min(kinds[kind] for kind in ("keyword", "sentence", "title")) > 0
    assert any(has_unspaced(query.text) for query in made)
