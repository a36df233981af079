"""A journey whose base model is behind an address: an adapter is trained, proven, registered, indexed."""

import json
import runpy
import shutil
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_small_beir
from tests.flow.test_releasing import works_of
from tests.serving.conftest import Served, folder_source, serving

from dialekt.cli import main
from dialekt.cli.serve_sources import open_served
from dialekt.config import Config
from dialekt.errors import ConfigError, EndpointError, ModelError
from dialekt.flow.adapting import method_of, method_settings
from dialekt.flow.diagnosing import diagnose
from dialekt.flow.journey import finished, plan, run
from dialekt.flow.project import Project, open_project
from dialekt.flow.records import Action, StageName, StageRecord
from dialekt.flow.releasing import Wishes, build, migrate
from dialekt.index.opened import OpenIndex
from dialekt.models.contract import read_contract
from dialekt.models.encoders import describe, load_encoder
from dialekt.models.spaces import space_id
from dialekt.models.vectors import load_vectors
from dialekt.registry.versions import load_version
from dialekt.serving.index_service import IndexService
from dialekt.serving.service import Service
from dialekt.store.tables import read_records
from dialekt.types import Document, Query, Role

KEY = "sesame-9431"
VARIABLE = "UPSTREAM_KEY"
QUERY_SIDE = ("training.side=query",)


@pytest.fixture(scope="module")
def upstream(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the tiny model that wants a key."""
    from dialekt.serving.access import Keys

    keys = Keys((sha256(KEY.encode()).digest(),))
    with serving([folder_source("tiny", tiny_model)], tmp_path_factory.mktemp("upstream"), keys=keys) as served:
        yield served


@pytest.fixture(scope="module", autouse=True)
def _key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, KEY)
        yield


def write_project(home: Path, address: str) -> Path:
    """Write a project on the small BEIR folder whose base model is behind an address."""
    write_small_beir(home / "data")
    settings = f'[corpus]\npath = "data"\n\n[model]\nbase = "{address}"\napi_key_variable = "{VARIABLE}"\n'
    settings += "\n[evaluation]\ngeneral_queries = 40\nmax_general_loss = 1.0\n"
    (home / "dialekt.toml").write_text(settings, encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def project(upstream: Served, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished journey with an endpoint as base: v1 moves both sides, v2 the query side alone."""
    home = write_project(tmp_path_factory.mktemp("adapters") / "project", f"openai:{upstream.url}/v1#tiny")
    run(open_project(home))
    run(open_project(home, overrides=QUERY_SIDE))
    return open_project(home)


def record_of(project: Project, stage: StageName) -> StageRecord:
    """Return a stage of the project's finished journey."""
    return next(record for record in finished(project) if record.stage is stage)


def asked(upstream: Served) -> int:
    """Return how many texts the server was asked for so far."""
    time.sleep(0.4)
    lines = [json.loads(line) for line in upstream.log.getvalue().splitlines()]
    return sum(line.get("inputs", 0) for line in lines if line["event"] == "request")


def test_an_endpoint_becomes_tunable(project: Project) -> None:
    """The gain on held-out queries is proven, and that an adapter was trained is said to be derived."""
    evidence = load_version(project.config.registry.path, "v1").evidence
    assert evidence.gain is not None
    assert evidence.parity is not None
    assert evidence.gain.low > 0.2
    assert evidence.parity.passed
    training = record_of(project, StageName.TRAINING).facts
    assert training["derived"]["method"]["value"] == "adapter"
    assert training["best_dev_ndcg"] > training["base_dev_ndcg"]


def test_the_key_is_written_nowhere(project: Project) -> None:
    """No file of the project holds the key of the endpoint."""
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert len(files) > 50
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_no_text_is_asked_for_twice(project: Project, upstream: Served, tmp_path: Path) -> None:
    """Another way to train, its evaluation and the vectors of the whole corpus cost the endpoint nothing."""
    before = asked(upstream)
    assert before > 300
    home = Path(shutil.copytree(project.folder, tmp_path / "project"))
    run(open_project(home, overrides=("adapter.kind=mlp", "adapter.hidden_dimension=16")))
    with works_of(home) as works:
        assert build(works, Wishes("v3")).fill.units == 80
    assert asked(upstream) == before


def test_tuned_vectors_are_base_vectors_times_the_map(project: Project) -> None:
    """What the journey scored is what the registered version makes of the texts."""
    corpus, vectors = record_of(project, StageName.CORPUS), record_of(project, StageName.TUNED_VECTORS)
    queries = record_of(project, StageName.PAIRS)
    texts = {one.id: one.content for one in read_records(corpus.folder / "documents.parquet", Document)}
    asked_for = {one.id: one.text for one in read_records(queries.folder / "queries.parquet", Query)}
    version = load_version(project.config.registry.path, "v1")
    encoder = load_encoder(str(version.model), project.config.model, cache=project.endpoint_vectors)
    loaded = load_vectors(vectors.folder)
    for ids, rows, role, known in (
        (loaded.document_ids, loaded.document_vectors, Role.DOCUMENT, texts),
        (loaded.query_ids, loaded.query_vectors, Role.QUERY, asked_for),
    ):
        np.testing.assert_allclose(encoder.encode([known[name] for name in ids], role), rows, atol=1e-6)


def test_a_second_run_skips_everything(project: Project) -> None:
    """Both finished journeys are found again."""
    for overrides in ((), QUERY_SIDE):
        steps = plan(open_project(project.folder, overrides=overrides), until=StageName.REGISTRY)
        assert {step.action for step in steps} == {Action.SKIP}


def test_the_query_side_alone_stays_in_the_space_of_the_endpoint(
    project: Project, upstream: Served, tmp_path: Path
) -> None:
    """An index of the endpoint's vectors serves the adapter as it is: a migration embeds nothing and shows the gain."""
    version = load_version(project.config.registry.path, "v2")
    contract, base = read_contract(version.model), describe(project.config.model.base, project.config.model)
    assert contract.document_model == base == version.lineage.base_model_id
    before, home = asked(upstream), Path(shutil.copytree(project.folder, tmp_path / "project"))
    with works_of(home) as works:
        first = build(works, Wishes("base"))
        facts = migrate(works, Wishes("v2"))
        assert (first.fill.units, facts.fill.embedded) == (80, 0)
        assert facts.version.space == space_id(contract, "any") == first.version.space
        assert facts.checks[-1].facts["difference"] > 0.1
    assert asked(upstream) - before < 10  # the checks embed a few documents again, from the file


def test_the_index_of_an_adapter_is_searched_over_rest(project: Project, tmp_path: Path) -> None:
    """Queries go through the endpoint and their map, documents that are written through theirs."""
    home = Path(shutil.copytree(project.folder, tmp_path / "project"))
    with works_of(home) as works:
        build(works, Wishes("v1"))
    served = open_served(home)
    assert served.index is not None
    index, name = served.index, served.index.model_name

    def open_index(service: Service) -> IndexService:
        return IndexService(OpenIndex.open(index.folder), service, index.search, model_name=name)

    with serving(served.sources, tmp_path / "engines", index=open_index) as front:
        assert front.post("/documents", {"documents": [{"id": "new", "text": "red pump valve"}]}).status_code == 200
        hits = front.post("/search", {"query": "solar roof", "k": 90}).json()["hits"]
        listed = front.client.get("/v1/models").json()["data"]
    assert len(hits) == 81
    assert {row["base_model"] for row in listed} == {"tiny"}
    version = load_version(project.config.registry.path, "v1")
    encoder = load_encoder(str(version.model), project.config.model, cache=project.endpoint_vectors)
    texts = [f"{hit['title']} {hit['text']}".strip() for hit in hits]
    cosines = encoder.encode(texts, Role.DOCUMENT) @ encoder.encode(["solar roof"], Role.QUERY)[0]
    np.testing.assert_allclose([hit["score"] for hit in hits], cosines, atol=1e-4)


def test_a_diagnosis_of_an_endpoint_probes_adapters(project: Project, tmp_path: Path) -> None:
    """What would be trained is what is probed, with vectors that are there."""
    home = Path(shutil.copytree(project.folder, tmp_path / "project"))
    record = diagnose(open_project(home, overrides=("diagnosis.minutes=0.1", "diagnosis.seeds=1")))
    points = record.facts["gain"]["points"]
    assert {point["recipe"] for point in points} == {"adapter", "tuned"}
    assert max(point["gain"] for point in points) > 0.1


def test_a_version_leaves_with_a_program_that_applies_it(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exported weights need numpy only; for another server what stands behind an endpoint is refused."""
    out, words = tmp_path / "out", ["--project", str(project.folder)]
    assert main(["export", "v1", str(out), *words]) == 0
    vectors = load_vectors(record_of(project, StageName.BASE_VECTORS).folder)
    tuned = load_vectors(record_of(project, StageName.TUNED_VECTORS).folder)
    moved = runpy.run_path(str(out / "document_encoder" / "apply.py"))["apply"](vectors.document_vectors)
    np.testing.assert_allclose(moved, tuned.document_vectors, atol=1e-5)
    assert main(["export", "v1", str(tmp_path / "tei"), "--for", "tei", *words]) == 1
    assert "only a linear adapter behind a model's own weights" in capsys.readouterr().err
    assert not (tmp_path / "tei").exists()


def test_an_adapter_of_an_adapter_asks_the_same_endpoint(project: Project, tmp_path: Path) -> None:
    """A version is a base like any other: its queries are tuned further, with the key of the endpoint behind it."""
    home = Path(shutil.copytree(project.folder, tmp_path / "project"))
    base = home / "registry" / "models" / "v1" / "model"
    overrides = (f"model.base={base}", "training.side=query")
    with pytest.raises(ConfigError, match="are out of reach"):
        method_of(open_project(home, overrides=(*overrides, "training.method=full")).config)
    run(open_project(home, overrides=overrides), until=StageName.REGISTRY)
    first, again = (load_version(home / "registry", name) for name in ("v1", "v3"))
    assert read_contract(again.model).document_model == read_contract(first.model).document_model


def test_the_report_and_the_card_say_what_the_model_is(project: Project) -> None:
    """Who reads them learns that it is a map behind an endpoint, and how to use it."""
    card = (load_version(project.config.registry.path, "v1").model / "README.md").read_text(encoding="utf-8")
    assert "an adapter behind the endpoint" in card
    assert "SentenceTransformer(" not in card
    assert "Only the query side was tuned" not in card
    queries = (load_version(project.config.registry.path, "v2").model / "README.md").read_text(encoding="utf-8")
    assert "Only the query side was tuned" in queries
    assert "by a linear adapter on frozen vectors" in (project.report / "report.md").read_text(encoding="utf-8")


def test_a_model_that_changed_behind_its_address_is_noticed(
    project: Project, tiny_model: Path, upstream: Served, tmp_path: Path
) -> None:
    """New texts get no vectors of another model beside the old ones."""
    home = Path(shutil.copytree(project.folder, tmp_path / "project"))
    opened = open_project(home)
    version = load_version(opened.config.registry.path, "v1")
    endpoint = version.model / "document_encoder" / "base" / "probes.safetensors"
    from safetensors.numpy import load_file, save_file

    endpoint.chmod(0o644)
    save_file({"vectors": load_file(endpoint)["vectors"][::-1].copy()}, endpoint)
    encoder = load_encoder(str(version.model), opened.config.model, cache=opened.endpoint_vectors)
    with pytest.raises(ModelError, match="makes other vectors than it did"):
        encoder.encode(["never seen before"], Role.DOCUMENT)


def test_without_its_key_the_endpoint_is_not_asked(
    upstream: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set is named; a refused key says which setting names it."""
    home = write_project(tmp_path / "project", f"tei:{upstream.url}")
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=f"the environment variable {VARIABLE} is not set"):
        run(open_project(home), until=StageName.CORPUS)
    monkeypatch.setenv(VARIABLE, "wrong")
    with pytest.raises(EndpointError, match="answers 401") as caught:
        run(open_project(home), until=StageName.CORPUS)
    assert "model.api_key_variable" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training": {"method": "full"}}, "are out of reach"),
        ({"training": {"remine_every": 1.0}}, "training.remine_every = 1.0 does nothing"),
        ({"training": {"max_query_tokens": 8}}, "training.max_query_tokens = 8 does nothing"),
        ({"adapter": {"hidden_dimension": 8}}, "only an mlp has a hidden layer"),
        ({"adapter": {"shared": True}, "training": {"side": "query"}}, "leaves documents where they are"),
        ({"model": {"base": "all-MiniLM-L6-v2", "max_characters": 9}}, "max_characters = 9, but model.base"),
        ({"teacher": {"model": "trained"}}, "starts from the base model's weights"),
        ({"model": {"base": "all-MiniLM-L6-v2"}, "adapter": {"kind": "mlp"}}, "but no adapter is trained"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_runs(
    settings: dict[str, dict[str, object]], message: str
) -> None:
    """Each is named with its value, and what to do instead."""
    config = Config.model_validate({"model": {"base": "openai:http://127.0.0.1:1/v1#m"}} | settings)
    with pytest.raises(ConfigError, match=message) as caught:
        method_settings(config)
    assert caught.value.hint


def test_a_base_model_of_ones_own_takes_either_way() -> None:
    """Weights that are here are tuned, unless an adapter is asked for."""
    assert method_of(Config()).value == "full"
    assert method_of(Config.model_validate({"training": {"method": "adapter"}})).value == "adapter"
