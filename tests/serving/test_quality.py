"""A project's own texts and dev queries judge the engines that may serve it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from dialekt.config import Precision
from dialekt.evaluation.dev import DevInputs
from dialekt.models.contract import EncodingContract, read_contract
from dialekt.models.engines.records import TokenRow
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.engines.torch_engine import TorchEngine
from dialekt.serving.quality import DevGate, calibration_material
from dialekt.store.tables import read_records, write_records
from dialekt.types import Query, Split


class BluntEngine(TorchEngine):
    """An engine that has lost its way: every vector is that of the first row."""

    def run(self, rows: Sequence[TokenRow]) -> NDArray[np.float32]:
        """Return the first row's vector for all rows."""
        return np.repeat(super().run(rows[:1]), len(rows), axis=0)


@pytest.fixture(scope="module")
def inputs(finished_project: Path) -> DevInputs:
    """The folders of the finished project."""
    artefacts = next(path for path in finished_project.rglob("base_vectors*") if path.is_dir()).parent
    corpus, split, vectors = (next((artefacts / name).iterdir()) for name in ("corpus", "pairs", "base_vectors"))
    return DevInputs(corpus=corpus, split=split, vectors=vectors)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> SentenceTransformer:
    """The project's base model."""
    return SentenceTransformer(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def contract(tiny_model: Path) -> EncodingContract:
    """The base model's encoding contract."""
    return read_contract(tiny_model)


@pytest.fixture(scope="module")
def gate(inputs: DevInputs, model: SentenceTransformer, contract: EncodingContract) -> DevGate:
    """The gate of the project's dev queries with the base model in fp32 behind it."""
    tokenizer = RequestTokenizer.of(
        model.tokenizer, max_tokens=contract.max_tokens, special_tokens=True, pair_segments=False
    )
    return DevGate(inputs, TorchEngine(model, precision=Precision.FP32), tokenizer, contract)


def _queries(inputs: DevInputs, *splits: Split) -> set[str]:
    found = read_records(inputs.split / "queries.parquet", Query)
    return {query.text for query in found if query.split in splits}


def test_texts_come_from_documents_and_training_queries(inputs: DevInputs) -> None:
    """No dev or test query is calibrated on; the draw is the same every time."""
    material = calibration_material(inputs)
    assert len(material.documents) == 80
    assert material.queries
    assert set(material.queries) <= _queries(inputs, Split.TRAIN)
    assert material.gate is not None
    again = calibration_material(inputs)
    assert (again.documents, again.queries) == (material.documents, material.queries)


def test_the_model_itself_loses_nothing(gate: DevGate, model: SentenceTransformer) -> None:
    """The same weights in fp32 have the same scores, whatever the batches are."""
    engine = TorchEngine(model, precision=Precision.FP32)
    engine.batch_tokens = 100
    assert gate(engine) == 0.0


def test_an_engine_without_sense_loses(gate: DevGate, model: SentenceTransformer) -> None:
    """The change is negative where vectors no longer tell documents apart."""
    assert gate(BluntEngine(model, precision=Precision.FP32)) < -0.1


def test_prompts_of_the_contract_are_used(
    inputs: DevInputs, model: SentenceTransformer, contract: EncodingContract, gate: DevGate
) -> None:
    """Queries and documents go in behind their prompts: with another one the same model ranks otherwise."""
    prompted = replace(contract, query_prompt="bird fish tree flower river: ")
    tokenizer = RequestTokenizer.of(model.tokenizer, max_tokens=64, special_tokens=True, pair_segments=False)
    engine = TorchEngine(model, precision=Precision.FP32)
    other = DevGate(inputs, engine, tokenizer, prompted)
    assert not np.array_equal(other._wanted, gate._wanted)


def test_without_dev_queries_there_is_no_gate(inputs: DevInputs, tmp_path: Path) -> None:
    """Where nothing proves the quality there is no gate, and dev queries stand in for missing training queries."""
    queries = read_records(inputs.split / "queries.parquet", Query)
    write_records(tmp_path / "queries.parquet", [q for q in queries if q.split is not Split.DEV], Query)
    assert calibration_material(replace(inputs, split=tmp_path)).gate is None
    write_records(tmp_path / "queries.parquet", [q for q in queries if q.split is Split.DEV], Query)
    assert set(calibration_material(replace(inputs, split=tmp_path)).queries) <= _queries(inputs, Split.DEV)
