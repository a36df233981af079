"""A journey that tunes the query side alone: nothing is embedded again, and the report says what that costs."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dialekt.config import ModelConfig
from dialekt.flow.journey import finished, run
from dialekt.flow.project import Project, open_project
from dialekt.flow.records import StageName
from dialekt.models.base import describe_model
from dialekt.models.contract import DOCUMENT_ENCODER, read_contract
from dialekt.models.encoder import Encoder
from dialekt.models.spaces import space_id
from dialekt.registry.deployment import instruct, prepare
from dialekt.registry.records import Runtime, Version
from dialekt.registry.versions import load_version
from dialekt.store.tables import read_records
from dialekt.types import Query, Role, Split

OVERRIDES = ("training.side=query", "training.remine_every=2")


@pytest.fixture(scope="module")
def query_project(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has a version with both sides tuned, v1, and one whose query side alone was tuned, v2."""
    home = tmp_path_factory.mktemp("query") / "project"
    shutil.copytree(finished_project, home)
    run(open_project(home, overrides=OVERRIDES))
    return open_project(home, overrides=OVERRIDES)


@pytest.fixture(scope="module")
def version(query_project: Project) -> Version:
    """The registered version whose query side alone was tuned."""
    return load_version(query_project.config.registry.path, "v2")


def test_documents_keep_the_vectors_of_the_base_model(query_project: Project) -> None:
    """The tuned model's document matrix is the base model's, byte for byte, and no document was encoded for it."""
    folders = {record.stage: record.folder for record in finished(query_project)}
    base, tuned = folders[StageName.BASE_VECTORS], folders[StageName.TUNED_VECTORS]
    for name in ("documents.npy", "document_ids.json"):
        assert (tuned / name).read_bytes() == (base / name).read_bytes()
    held_out = np.load(tuned / "queries.npy")
    facts = next(record.facts for record in finished(query_project) if record.stage is StageName.TUNED_VECTORS)
    assert facts["documents"] > len(held_out)
    assert facts["tokens"] < 64 * len(held_out)


def test_the_version_shares_the_space_of_the_base_model(query_project: Project, version: Version) -> None:
    """An index of the base model's documents belongs to the version, too."""
    contract, base = read_contract(version.model), str(query_project.folder / "base")
    assert contract.document_model == describe_model(base) == version.lineage.base_model_id
    assert space_id(contract, describe_model(str(version.model))) == space_id(
        read_contract(Path(base)), contract.document_model
    )


def test_the_registered_version_encodes_both_sides(query_project: Project, version: Version) -> None:
    """New documents get the base model's vectors, queries tuned ones; the export was compared on both."""
    parity = version.evidence.parity
    assert parity is not None
    assert parity.passed
    texts, config = ["a text that is new", "another"], ModelConfig(device="cpu")
    tuned = Encoder.load(str(version.model), config)
    base = Encoder.load(str(query_project.folder / "base"), config)
    np.testing.assert_allclose(tuned.encode(texts, Role.DOCUMENT), base.encode(texts, Role.DOCUMENT), atol=1e-5)
    assert not np.allclose(tuned.encode(texts, Role.QUERY), base.encode(texts, Role.QUERY), atol=1e-3)


def test_the_report_says_what_tuning_one_side_costs(query_project: Project) -> None:
    """Against the version that was tuned on both sides, paired on the same test queries, with an interval."""
    report = (query_project.report / "report.md").read_text(encoding="utf-8")
    assert "Only the query side was tuned" in report
    assert "Against v1, the same base model tuned on both sides" in report


def test_labels_do_not_end_the_comparison(query_project: Project, tmp_path: Path) -> None:
    """After people have labelled results, versions that were both measured with the labels are compared as before."""
    home = Path(shutil.copytree(query_project.folder, tmp_path / "project"))
    label = "query_id,document_id,grade,at\n{},d0,0,2026-01-01T00:00:00+00:00\n"
    split = next(record.folder for record in finished(query_project) if record.stage is StageName.SPLIT)
    held_out = next(item for item in read_records(split / "queries.parquet", Query) if item.split is Split.TEST)
    (home / "labels.csv").write_text(label.format(held_out.id), encoding="utf-8")
    run(open_project(home))
    run(open_project(home, overrides=OVERRIDES))
    report = (home / "report" / "report.md").read_text(encoding="utf-8")
    assert "Against v3, the same base model tuned on both sides" in report


def test_without_a_fully_tuned_version_the_report_says_so(query_project: Project, tmp_path: Path) -> None:
    """Where nothing was tuned on both sides, the cost is not known, and how to measure it is said."""
    home = tmp_path / "project"
    shutil.copytree(query_project.folder, home)
    for path in (home / "registry" / "models" / "v1").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(home / "registry" / "models" / "v1")
    run(open_project(home, overrides=(*OVERRIDES, "report.texts=true")))
    report = (home / "report" / "report.md").read_text(encoding="utf-8")
    assert "What that costs here was not measured" in report


def test_the_card_and_the_commands_name_both_encoders(version: Version, tmp_path: Path) -> None:
    """Whoever runs the model elsewhere learns that documents have an encoder of their own."""
    card = (version.model / "README.md").read_text(encoding="utf-8")
    assert "Only the query side was tuned" in card
    assert 'SentenceTransformer("path/to/this/folder/document_encoder")' in card
    folder = Path(shutil.copytree(version.model, tmp_path / "out"))
    for runtime in (Runtime.TEI, Runtime.VLLM):
        prepare(folder, runtime)
        assert (
            f"documents must be encoded by the other one: {folder / DOCUMENT_ENCODER}"
            in instruct(folder, runtime, name="m").notes[0]
        )


def test_a_second_run_skips_everything(query_project: Project) -> None:
    """A finished journey of one side is found again, and both sides are found beside it."""
    from dialekt.flow.journey import plan
    from dialekt.flow.records import Action

    for overrides in (OVERRIDES, ()):
        steps = plan(open_project(query_project.folder, overrides=overrides), until=StageName.REGISTRY)
        assert {step.action for step in steps} == {Action.SKIP}
