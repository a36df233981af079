"""The vectors artefact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dialekt.config import ModelConfig
from dialekt.errors import StorageError
from dialekt.models import vectors
from dialekt.models.encoder import Encoder
from dialekt.models.vectors import VectorsInputs, load_vectors, run
from dialekt.store.tables import write_records
from dialekt.types import Document, Progress, Query, ReportProgress, Role, Split

WORDS = ["solar", "wind", "pump", "valve", "invoice", "cat", "bread", "red"]


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    """The tiny model."""
    return Encoder.load(str(tiny_model), ModelConfig())


@pytest.fixture
def inputs(tmp_path: Path) -> VectorsInputs:
    """Eleven documents and four queries, one of them for training."""
    documents = [Document(f"d{row}", f"{WORDS[row % 8]} " * (row + 1), title="the") for row in range(11)]
    splits = [Split.TEST, Split.TRAIN, Split.DEV, Split.TEST]
    queries = [Query(f"q{row}", WORDS[row], split) for row, split in enumerate(splits)]
    for folder in ("corpus", "split"):
        (tmp_path / folder).mkdir()
    write_records(tmp_path / "corpus" / "documents.parquet", documents, Document)
    write_records(tmp_path / "split" / "queries.parquet", queries, Query)
    return VectorsInputs(tmp_path / "corpus", tmp_path / "split", (Split.DEV, Split.TEST))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of four texts, so that a few documents make several."""
    monkeypatch.setattr(vectors, "PART_TEXTS", 4)


def test_rows_belong_to_ids(encoder: Encoder, inputs: VectorsInputs, tmp_path: Path) -> None:
    """Vectors have the order of the ids; titles are encoded; only the wanted splits' queries are there."""
    facts = run(encoder, inputs, tmp_path / "out")
    stored = load_vectors(tmp_path / "out")
    assert stored.document_ids == [f"d{row}" for row in range(11)]
    assert stored.query_ids == ["q0", "q2", "q3"]
    expected = encoder.encode(["the " + f"{WORDS[2]} " * 3], Role.DOCUMENT)[0]
    assert np.allclose(stored.document_vectors[2], expected, atol=1e-6)
    assert np.allclose(stored.query_vectors[1], encoder.encode(["pump"], Role.QUERY)[0], atol=1e-6)
    assert (facts.documents, facts.queries, facts.dimension, facts.resumed_texts) == (11, 3, 32, 0)
    assert facts.tokens > 11


def test_documents_of_another_artefact_are_taken_as_they_are(
    encoder: Encoder, inputs: VectorsInputs, tmp_path: Path
) -> None:
    """With the documents given, queries alone are encoded; vectors of another corpus are refused."""
    run(encoder, inputs, tmp_path / "base")
    facts = run(encoder, replace(inputs, documents=tmp_path / "base"), tmp_path / "out")
    assert (tmp_path / "out" / "documents.npy").read_bytes() == (tmp_path / "base" / "documents.npy").read_bytes()
    stored = load_vectors(tmp_path / "out")
    assert (facts.documents, facts.queries, len(stored.query_ids)) == (11, 3, 3)
    assert facts.tokens < 3 * 8
    write_records(tmp_path / "corpus" / "documents.parquet", [Document("other", "pump")], Document)
    with pytest.raises(StorageError, match="another corpus"):
        run(encoder, replace(inputs, documents=tmp_path / "base"), tmp_path / "again")


def test_nothing_but_the_artefact_is_left(encoder: Encoder, inputs: VectorsInputs, tmp_path: Path) -> None:
    """The parts are removed once they are put together."""
    run(encoder, inputs, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["document_ids.json", "documents.npy", "queries.npy", "query_ids.json"]


class Killed(BaseException):
    """Stands for the end of the process."""


def stop_after(texts: int) -> ReportProgress:
    """Return a reporter that ends the run once so many texts are done."""

    def report(step: Progress) -> None:
        if step.done >= texts:
            raise Killed

    return report


def test_a_killed_run_goes_on(encoder: Encoder, inputs: VectorsInputs, tmp_path: Path) -> None:
    """Finished parts are used again, a damaged one is not, and the result equals an uninterrupted run's."""
    run(encoder, inputs, tmp_path / "whole")
    with pytest.raises(Killed):
        run(encoder, inputs, tmp_path / "out", progress=stop_after(9))
    first, second = sorted((tmp_path / "out" / "parts").glob("document-*.npy"))
    second.write_bytes(second.read_bytes()[:50])
    facts = run(encoder, inputs, tmp_path / "out")
    assert facts.resumed_texts == 4
    for name in ("documents.npy", "queries.npy", "document_ids.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not first.exists()


def test_progress_never_falls_and_ends_at_the_total(encoder: Encoder, inputs: VectorsInputs, tmp_path: Path) -> None:
    """Documents and queries are counted together."""
    steps: list[Progress] = []
    run(encoder, inputs, tmp_path / "out", progress=steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert {(step.label, step.total) for step in steps} == {("encode", 14)}
    assert done[-1] == 14


def test_no_queries_and_no_documents(encoder: Encoder, tmp_path: Path) -> None:
    """Empty inputs give empty matrices that can be read."""
    write_records(tmp_path / "documents.parquet", [], Document)
    write_records(tmp_path / "queries.parquet", [], Query)
    run(encoder, VectorsInputs(tmp_path, tmp_path), tmp_path / "out")
    stored = load_vectors(tmp_path / "out")
    assert stored.document_vectors.shape == stored.query_vectors.shape == (0, 32)


def test_missing_and_damaged_vectors(encoder: Encoder, inputs: VectorsInputs, tmp_path: Path) -> None:
    """An artefact that is not whole is never read as if it were."""
    with pytest.raises(StorageError, match="the vectors are missing"):
        load_vectors(tmp_path)
    run(encoder, inputs, tmp_path / "out")
    (tmp_path / "out" / "query_ids.json").write_text('["q0"]', encoding="utf-8")
    with pytest.raises(StorageError, match="1 ids and 3 vectors"):
        load_vectors(tmp_path / "out")
    (tmp_path / "out" / "query_ids.json").write_text("[", encoding="utf-8")
    with pytest.raises(StorageError, match="the vectors are damaged"):
        load_vectors(tmp_path / "out")
