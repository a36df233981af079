"""The stage from artefacts to artefact: files, facts, refusals, mining again."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.config import ModelConfig, NegativesConfig, load_config
from dialekt.errors import ConfigError, StorageError
from dialekt.models.encoder import Encoder
from dialekt.models.vectors import VectorsInputs
from dialekt.models.vectors import run as encode
from dialekt.negatives.audit import read_audit
from dialekt.negatives.remining import Reminer
from dialekt.negatives.stage import NegativesInputs, run
from dialekt.negatives.tables import HeldOutDocument, KnownNegative
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, HardNegative, Pair, Progress, Qrel, Query, Retriever, Role, Split

TEXTS = {
    "pump": "replace the seal of the water pump",
    "pump2": "change the seal of a water pump",
    "valve": "the valve of the pump has a leak",
    "motor": "the motor of the pump runs hot",
    "soup": "cook the soup with salt",
    "cake": "bake a cake with sugar",
    "login": "reset the password of the account",
    "token": "the access token of the account can expire",
}
QUERIES = {"q-pump": "pump seal", "q-login": "account password", "q-test": "hot soup"}
CONFIG = NegativesConfig(per_query=3, margin=1.0)


def write_inputs(
    folder: Path, model: Path, *, given: Sequence[KnownNegative] = (), metadata: Mapping[str, str] | None = None
) -> NegativesInputs:
    """Write the artefacts that mining reads, with vectors of the tiny model."""
    names = {name: folder / name for name in ("corpus", "pairs", "vectors")}
    for path in names.values():
        path.mkdir()
    copies = {"pump2": "pump"}
    documents = [
        Document(name, text, parent_id=name, duplicate_of=copies.get(name, name), metadata=metadata or {})
        for name, text in TEXTS.items()
    ]
    write_records(names["corpus"] / "documents.parquet", documents, Document)
    queries = [
        Query(name, text, split=Split.TEST if name == "q-test" else Split.TRAIN) for name, text in QUERIES.items()
    ]
    write_records(names["pairs"] / "queries.parquet", queries, Query)
    qrels = [Qrel("q-pump", "pump"), Qrel("q-login", "login"), Qrel("q-test", "soup")]
    write_records(names["pairs"] / "qrels.parquet", qrels, Qrel)
    write_records(names["pairs"] / "held_out_documents.parquet", [HeldOutDocument("soup")], HeldOutDocument)
    pairs = [Pair("q-pump", "pump"), Pair("q-login", "login")]
    write_records(names["pairs"] / "pairs.parquet", pairs, Pair)
    write_records(names["pairs"] / "known_negatives.parquet", given, KnownNegative)
    encoder = Encoder.load(str(model), ModelConfig(base=str(model)))
    encode(encoder, VectorsInputs(names["corpus"], names["pairs"]), names["vectors"])
    return NegativesInputs(names["corpus"], names["pairs"], names["vectors"], seed=1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> NegativesInputs:
    """Artefacts of eight documents and two train queries."""
    return write_inputs(tmp_path_factory.mktemp("inputs"), tiny_model)


def test_stage_writes_negatives_of_train_queries_only(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Negatives belong to train queries; positives, their copies and held-out documents are never among them."""
    facts = run(CONFIG, inputs, tmp_path)
    negatives = read_records(tmp_path / "negatives.parquet", HardNegative)
    assert facts.negatives == len(negatives) > 0
    assert {negative.query_id for negative in negatives} <= {"q-pump", "q-login"}
    of_pump = {negative.document_id for negative in negatives if negative.query_id == "q-pump"}
    assert not of_pump & {"pump", "pump2", "soup"}
    assert all(negative.score < negative.positive_score for negative in negatives)
    assert (facts.dropped["near_duplicate"], facts.dropped["held_out"], facts.dropped["positive"]) == (1, 2, 2)


def test_facts_agree_with_the_audit_and_are_plain(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Facts and audit.json tell the same story, and facts are values that JSON can hold."""
    facts = run(CONFIG, inputs, tmp_path)
    audit = read_audit(tmp_path)
    assert audit.candidates == facts.candidates == facts.negatives + sum(facts.dropped.values())
    assert sum(facts.kept_by_retriever.values()) == facts.negatives
    assert audit.mean_rank == facts.mean_rank
    assert {type(value) for value in asdict(facts).values()} <= {int, float, dict, tuple}


def test_audit_holds_no_texts_unless_asked(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Examples name ids; with `examples` set they carry the texts too."""
    run(CONFIG, inputs, tmp_path)
    assert "water pump" not in (tmp_path / "audit.json").read_text()
    run(CONFIG.model_copy(update={"examples": 1}), inputs, tmp_path)
    (example,) = read_audit(tmp_path).examples["near_duplicate"]
    assert (example.query, example.document) == ("pump seal", TEXTS["pump2"])


def test_stage_repeats_itself(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Two runs write the same bytes, the second with the word hits that the first kept."""
    run(CONFIG, inputs, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    labels: list[str] = []

    def note(step: Progress) -> None:
        labels.append(step.label)

    run(CONFIG, inputs, tmp_path, progress=note)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert set(labels) == {"hard negatives"}


def test_damaged_word_hits_of_a_killed_run_are_searched_again(inputs: NegativesInputs, tmp_path: Path) -> None:
    """A file that is cut short, or of another depth, is not used."""
    expected = run(CONFIG, inputs, tmp_path)
    (tmp_path / "bm25_rows.npy").write_bytes(b"\x93NUMPY")
    assert run(CONFIG, inputs, tmp_path) == expected
    np.save(tmp_path / "bm25_rows.npy", np.zeros((2, 1), np.int32))
    assert run(CONFIG, inputs, tmp_path) == expected


def test_given_negatives_are_recorded_and_unknown_ones_reported(tmp_path: Path, tiny_model: Path) -> None:
    """A given negative is kept under its own name; one that names no document is a warning."""
    given = [KnownNegative("q-pump", "cake"), KnownNegative("q-pump", "soup"), KnownNegative("q-pump", "gone")]
    (tmp_path / "inputs").mkdir()
    inputs = write_inputs(tmp_path / "inputs", tiny_model, given=given)
    facts = run(CONFIG.model_copy(update={"retrievers": ()}), inputs, tmp_path)
    (negative,) = read_records(tmp_path / "negatives.parquet", HardNegative)
    assert (negative.document_id, negative.retriever) == ("cake", Retriever.GIVEN)
    assert facts.queries_without == 1
    assert "1 given negatives name a document that the corpus does not have" in facts.warnings


def test_no_negatives_asked_for_is_an_empty_table(inputs: NegativesInputs, tmp_path: Path) -> None:
    """per_query = 0 writes a table without rows and warns of nothing."""
    facts = run(CONFIG.model_copy(update={"per_query": 0}), inputs, tmp_path)
    assert read_records(tmp_path / "negatives.parquet", HardNegative) == []
    assert (facts.queries, facts.negatives, facts.warnings) == (2, 0, ())


def test_queries_without_negatives_are_counted_with_the_reason(inputs: NegativesInputs, tmp_path: Path) -> None:
    """When nothing survives, the warning names the rule that dropped the most."""
    facts = run(CONFIG.model_copy(update={"depth": 1, "margin": 0.01}), inputs, tmp_path)
    assert facts.queries_without == 2
    assert facts.warnings == (
        "2 of 2 queries have no hard negative; most candidates were dropped as 'judged a positive of the query'",
    )


@pytest.mark.parametrize(
    ("metadata", "hint"),
    [({"category": "x", "language": "en"}, "the documents have: category"), ({}, "have no metadata")],
)
def test_category_field_that_no_document_has_is_an_error(
    tmp_path: Path, tiny_model: Path, metadata: Mapping[str, str], hint: str
) -> None:
    """A field that does nothing is refused, and the nearest known ones are named."""
    inputs = write_inputs(tmp_path, tiny_model, metadata=metadata)
    with pytest.raises(ConfigError, match="'categry': no document has this metadata field") as caught:
        run(CONFIG.model_copy(update={"same_category_field": "categry"}), inputs, tmp_path)
    assert hint in caught.value.hint


def test_rank_window_beyond_the_depth_is_an_error(inputs: NegativesInputs, tmp_path: Path) -> None:
    """A window that leaves no rank is refused before any work."""
    with pytest.raises(ConfigError, match=r"rank_from = 50 lies beyond negatives\.depth = 20"):
        run(CONFIG.model_copy(update={"rank_from": 50, "depth": 20}), inputs, tmp_path)


def test_no_retriever_and_no_given_negative_is_an_error(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Without a retriever there must be given negatives."""
    with pytest.raises(ConfigError, match=r"negatives\.retrievers is empty"):
        run(CONFIG.model_copy(update={"retrievers": ()}), inputs, tmp_path)


def test_given_is_no_retriever_to_configure() -> None:
    """Naming `given` among the retrievers is refused with what to write instead."""
    with pytest.raises(ConfigError, match="only 'bm25' and 'dense' can search"):
        load_config(None, overrides=["negatives.retrievers=['given']"], environment={})


def _with_pairs(inputs: NegativesInputs, folder: Path, pairs: Sequence[Pair]) -> Path:
    """Copy the pairs artefact with other pairs in it."""
    shutil.copytree(inputs.pairs, folder)
    write_records(folder / "pairs.parquet", pairs, Pair)
    return folder


def test_pairs_of_unknown_documents_are_refused(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Pairs from another corpus are an error that counts them."""
    pairs = _with_pairs(inputs, tmp_path / "pairs", [Pair("q-pump", "pump"), Pair("q-pump", "gone")])
    with pytest.raises(StorageError, match="1 of 2 training pairs name a document"):
        run(CONFIG, replace(inputs, pairs=pairs), tmp_path)


def test_pairs_of_held_out_queries_are_refused(inputs: NegativesInputs, tmp_path: Path) -> None:
    """A pair for a test query is an error: nothing is mined for what is held out."""
    pairs = _with_pairs(inputs, tmp_path / "pairs", [Pair("q-test", "soup")])
    with pytest.raises(StorageError, match=r"'q-test' .* is no train query"):
        run(CONFIG, replace(inputs, pairs=pairs), tmp_path)


def test_vectors_of_another_corpus_are_refused(inputs: NegativesInputs, tmp_path: Path) -> None:
    """Document vectors must belong to the corpus, row by row."""
    documents = read_records(inputs.corpus / "documents.parquet", Document)
    write_records(tmp_path / "documents.parquet", documents[::-1], Document)
    with pytest.raises(StorageError, match="document vectors were made from another corpus"):
        run(CONFIG, replace(inputs, corpus=tmp_path), tmp_path)


def test_mining_again_with_the_same_model_finds_the_same(
    inputs: NegativesInputs, tmp_path: Path, tiny_model: Path
) -> None:
    """Re-mining is the stage with fresh vectors: for the same model, the same negatives, and nothing is written."""
    run(CONFIG, inputs, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    encoder = Encoder.load(str(tiny_model), ModelConfig(base=str(tiny_model)))
    again = Reminer(CONFIG, inputs, tmp_path)(encoder.encode)
    first = read_records(tmp_path / "negatives.parquet", HardNegative)
    assert [(item.query_id, item.document_id, item.rank, item.retriever) for item in again] == [
        (item.query_id, item.document_id, item.rank, item.retriever) for item in first
    ]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_mining_again_leaves_frozen_documents_alone(inputs: NegativesInputs, tmp_path: Path, tiny_model: Path) -> None:
    """Where documents keep their vectors, only queries are encoded again, and the same negatives are found."""
    run(CONFIG, inputs, tmp_path)
    encoder = Encoder.load(str(tiny_model), ModelConfig(base=str(tiny_model)))
    roles: list[Role] = []

    def encode_noted(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        roles.append(role)
        return encoder.encode(texts, role)

    again = Reminer(CONFIG, inputs, tmp_path, frozen_documents=True)(encode_noted)
    first = read_records(tmp_path / "negatives.parquet", HardNegative)
    assert roles == [Role.QUERY]
    assert [(item.query_id, item.document_id) for item in again] == [
        (item.query_id, item.document_id) for item in first
    ]
