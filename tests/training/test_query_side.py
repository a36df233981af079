"""Only the query side is tuned: documents keep their vectors, and the model says who encodes them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.interrupting import press_ctrl_c
from tests.training.conftest import Problem

from dialekt.config import ModelConfig, Precision, TrainingConfig, TunedSide
from dialekt.errors import ConfigError, ModelError, StorageError
from dialekt.models.base import describe_model
from dialekt.models.contract import DOCUMENT_ENCODER, read_contract
from dialekt.models.encoder import Encoder
from dialekt.models.spaces import space_id
from dialekt.models.vectors import VectorsInputs, load_vectors
from dialekt.models.vectors import run as encode_all
from dialekt.store.tables import write_records
from dialekt.training import stage
from dialekt.training.batches import Piece, collate
from dialekt.training.derive import Machine, derive_recipe
from dialekt.training.examples import Examples, build_examples
from dialekt.training.objective import Objective
from dialekt.training.preparing import prepare_model
from dialekt.training.records import EncodeFunction, TrainingInputs
from dialekt.training.trainer import RankingStep
from dialekt.types import Document, Progress, Query, Role

Build = Callable[..., TrainingInputs]
CONFIG = TrainingConfig(
    side=TunedSide.QUERY, epochs=10, batch_size=20, learning_rate=5e-3, evaluations=3, precision=Precision.FP32,
    patience=9,
)  # fmt: skip


@pytest.fixture
def query_inputs(problem: Problem, training_inputs: Build, tiny_model: Path, tmp_path: Path) -> Build:
    """A function that returns the inputs of the stage, with the base model's vectors of all documents."""
    built = training_inputs()
    out = tmp_path / "vectors"
    base = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    encode_all(base, VectorsInputs(built.corpus, built.split), out)
    documents = load_vectors(out).document_vectors

    def score(encode: EncodeFunction) -> float:
        queries = encode([query.text for query in problem.queries[:20]], Role.QUERY)
        return float(np.mean((queries @ documents.T).argmax(axis=1) == np.arange(20)))

    def build(**changes: object) -> TrainingInputs:
        return training_inputs(**({"document_vectors": out, "score_dev": score} | changes))

    return build


def load(folder: Path) -> Encoder:
    """The saved model on the CPU."""
    return Encoder.load(str(folder), ModelConfig(device="cpu"), precision=Precision.FP32)


def test_queries_learn_to_find_documents_that_stay_where_they_are(
    query_inputs: Build, problem: Problem, tiny_model: Path, tmp_path: Path
) -> None:
    """The dev score rises, queries move, and documents have the base model's vectors, new ones included."""
    facts = stage.run(CONFIG, query_inputs(), tmp_path / "out")
    assert facts.side == "query"
    assert facts.best_dev_ndcg > facts.base_dev_ndcg + 0.1
    tuned, base = load(tmp_path / "out" / "model"), load(tiny_model)
    texts = [document.content for document in problem.documents] + ["a bike in the garden"]
    np.testing.assert_allclose(tuned.encode(texts, Role.DOCUMENT), base.encode(texts, Role.DOCUMENT), atol=1e-6)
    assert tuned.token_ids(texts, Role.DOCUMENT) == base.token_ids(texts, Role.DOCUMENT)
    cosines = (tuned.encode(texts, Role.QUERY) * base.encode(texts, Role.QUERY)).sum(axis=1)
    assert cosines.min() < 0.99


def test_the_saved_model_scores_what_the_facts_say(query_inputs: Build, tmp_path: Path) -> None:
    """The mixture of the query weights that was chosen is the one that was saved."""
    inputs = query_inputs()
    facts = stage.run(CONFIG, inputs, tmp_path / "out")
    assert inputs.score_dev(load(tmp_path / "out" / "model").encode) == pytest.approx(facts.best_dev_ndcg)
    assert facts.best_dev_ndcg == max(mixture.dev_ndcg for mixture in facts.mixtures)


def test_the_contract_names_the_base_and_shares_its_space(
    query_inputs: Build, tiny_model: Path, tmp_path: Path
) -> None:
    """An index of the base model's documents serves the tuned queries: both have one space."""
    stage.run(CONFIG, query_inputs(), tmp_path / "out")
    model = tmp_path / "out" / "model"
    contract, base_id = read_contract(model), describe_model(str(tiny_model))
    assert contract.document_model == base_id
    assert space_id(contract, describe_model(str(model))) == space_id(read_contract(tiny_model), base_id)
    assert read_contract(model / DOCUMENT_ENCODER) == replace(contract, document_model="")


def test_a_resumed_run_equals_an_uninterrupted_one(query_inputs: Build, tmp_path: Path) -> None:
    """A run stopped after a dev score and started again ends with the same query weights."""

    def stop(progress: Progress) -> None:
        if progress.label == "training" and progress.done == 12:
            press_ctrl_c()

    stage.run(CONFIG, query_inputs(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        stage.run(CONFIG, query_inputs(), tmp_path / "parts", progress=stop)
    assert stage.run(CONFIG, query_inputs(), tmp_path / "parts").resumed
    expected, found = (load(tmp_path / name / "model").model.state_dict() for name in ("whole", "parts"))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_tuning_again_keeps_the_documents_of_the_first_base(
    query_inputs: Build, tiny_model: Path, tmp_path: Path
) -> None:
    """A query side that is tuned on top of another one still belongs to the first model's documents."""
    stage.run(CONFIG, query_inputs(), tmp_path / "first")
    again = ModelConfig(base=str(tmp_path / "first" / "model"), device="cpu")
    stage.run(CONFIG, query_inputs(model=again), tmp_path / "second")
    contracts = [read_contract(tmp_path / name / "model") for name in ("first", "second")]
    assert contracts[0].document_model == contracts[1].document_model == describe_model(str(tiny_model))
    text = ["the river"]
    second = load(tmp_path / "second" / "model").encode(text, Role.DOCUMENT)
    np.testing.assert_allclose(second, load(tiny_model).encode(text, Role.DOCUMENT), atol=1e-6)


def test_both_sides_cannot_be_tuned_from_a_query_encoder(query_inputs: Build, tmp_path: Path) -> None:
    """Such a base encodes no documents, so full tuning from it is refused."""
    stage.run(CONFIG, query_inputs(), tmp_path / "first")
    base = ModelConfig(base=str(tmp_path / "first" / "model"), device="cpu")
    both = CONFIG.model_copy(update={"side": TunedSide.BOTH})
    with pytest.raises(ConfigError, match="encodes queries only"):
        stage.run(both, query_inputs(model=base, document_vectors=None), tmp_path / "second")


def test_a_folder_without_the_encoder_of_its_documents_says_so(query_inputs: Build, tmp_path: Path) -> None:
    """Queries can still be encoded; a document is an error and never a vector of the wrong weights."""
    stage.run(CONFIG, query_inputs(), tmp_path / "out")
    model = tmp_path / "out" / "model"
    contract = model / DOCUMENT_ENCODER / "dialekt.json"
    changed = json.loads(contract.read_text(encoding="utf-8")) | {"document_prompt": "other: "}
    contract.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(ModelError, match="does not belong to that of the queries"):
        load(model).encode(["a text"], Role.DOCUMENT)
    (model / DOCUMENT_ENCODER).rename(tmp_path / "elsewhere")
    assert load(model).encode(["a text"], Role.QUERY).shape == (1, 32)
    with pytest.raises(ModelError, match="the encoder of its documents is missing"):
        load(model).encode(["a text"], Role.DOCUMENT)
    with pytest.raises(ModelError, match="encodes queries only"):
        Encoder.of(load(model).model, read_contract(model)).encode(["a text"], Role.DOCUMENT)


def test_vectors_of_another_corpus_are_refused(query_inputs: Build, tmp_path: Path) -> None:
    """Every document of the examples must have a frozen vector."""
    other = tmp_path / "other"
    other.mkdir()
    write_records(other / "documents.parquet", [Document("x", "another corpus")], Document)
    write_records(other / "queries.parquet", [], Query)
    inputs = query_inputs()
    encode_all(load(Path(inputs.model.base)), VectorsInputs(other, other), tmp_path / "others")
    with pytest.raises(StorageError, match="have no vector"):
        stage.run(CONFIG, replace(inputs, document_vectors=tmp_path / "others"), tmp_path / "out")


def test_caching_gradients_changes_nothing(query_inputs: Build, problem: Problem, tiny_model: Path) -> None:
    """Piece by piece, a step over frozen documents has the loss and the gradients of the whole step."""
    encoder = load(tiny_model)
    prepare_model(encoder)
    inputs = query_inputs()
    assert inputs.document_vectors is not None
    examples = build_examples(
        problem.documents, problem.queries, problem.pairs, problem.negatives, tokenise=encoder.token_ids
    ).freeze(load_vectors(inputs.document_vectors))
    whole, pieces = (_gradients(encoder, examples, budget) for budget in (100_000, 24))
    for name, expected in whole.items():
        torch.testing.assert_close(pieces[name], expected, rtol=1e-3, atol=1e-5, msg=name)


def _gradients(encoder: Encoder, examples: Examples, budget: int) -> dict[str, torch.Tensor]:
    machine = Machine("cpu", Precision.FP32, 1 << 34)
    config = TrainingConfig(mini_batch_tokens=budget)
    recipe = derive_recipe(config, examples, machine=machine, max_tokens=64, hidden_numbers=64)
    assert (recipe.hard_negatives, recipe.max_document_tokens) == (3, 64)
    step = RankingStep(encoder.model, objective=Objective((32, 16), 0.05), recipe=recipe)
    rows = np.arange(30, dtype=np.int32)
    batch = collate(examples, rows, hard_negatives=3, piece=Piece(32, budget), pad_id=0, seed=1)
    assert batch.documents == ()
    encoder.model.train()
    encoder.model.zero_grad()
    if step.is_too_large(batch):
        step.backward_cached(batch, lambda loss: loss.backward())  # type: ignore[no-untyped-call]
    else:
        step(batch).backward()
    return {name: value.grad.clone() for name, value in step.named_parameters() if value.grad is not None}


def test_frozen_vectors_stay_as_they_are(query_inputs: Build, tmp_path: Path) -> None:
    """Training reads the vectors artefact and writes nothing to it."""
    inputs = query_inputs()
    assert inputs.document_vectors is not None
    path = inputs.document_vectors / "documents.npy"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    stage.run(CONFIG, inputs, tmp_path / "out")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
