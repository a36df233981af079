"""The stage from corpus to tables, with the local generator."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.synthesis.samples import DOCUMENTS, made_by_people, write_inputs

from dialekt.config import ModelConfig, SynthesisConfig
from dialekt.config.synthesis import Generator
from dialekt.errors import InputError
from dialekt.models.encoder import Encoder
from dialekt.store.tables import read_records
from dialekt.synthesis.records import InstructionNegative, SyntheticQuery
from dialekt.synthesis.stage import run
from dialekt.types import Document, Split

LOCAL = SynthesisConfig(generators=(Generator.LOCAL,))


def test_every_distinct_document_gets_queries(tmp_path: Path, tiny_model: Path) -> None:
    """Tables and facts agree; a copy gets no queries of its own; a small corpus gets ten per document."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(base=str(tiny_model)))
    facts = run(LOCAL, write_inputs(tmp_path / "in", encode=encoder.encode), tmp_path)
    queries = read_records(tmp_path / "queries.parquet", SyntheticQuery)
    assert {query.document_id for query in queries} == {"pump", "solar", "refund", "bread"}
    assert facts.queries == len(queries) == sum(facts.kinds.values())
    assert facts.made["local"] == facts.queries + sum(facts.dropped.values())
    assert facts.queries_per_document == {"local": 10}
    assert len({query.id for query in queries}) == len(queries)
    assert read_records(tmp_path / "negatives.parquet", InstructionNegative) == []


def test_dev_and_test_queries_are_never_made_again(tmp_path: Path) -> None:
    """What repeats a held-out query is barred; a train query may be made again."""
    run(LOCAL, write_inputs(tmp_path / "in"), tmp_path)
    made = [query.text for query in read_records(tmp_path / "queries.parquet", SyntheticQuery)]
    held_out, train = made_by_people(made[:3], Split.TEST), made_by_people(made[3:6])
    facts = run(LOCAL, write_inputs(tmp_path / "in", queries=[*held_out, *train]), tmp_path)
    left = {query.text for query in read_records(tmp_path / "queries.parquet", SyntheticQuery)}
    assert facts.dropped["held_out"] >= 3
    assert not left & set(made[:3])
    assert set(made[3:6]) <= left


def test_queries_are_made_of_what_training_reads(tmp_path: Path) -> None:
    """Words beyond the head of a document are in no query; the head starts with the title."""
    long = Document("long", "A gear pump moves oil. Zirconium valves wear out early.", title="Pumps", parent_id="long")
    inputs = write_inputs(tmp_path / "in", documents=[*DOCUMENTS, long])
    heads: list[str] = []

    def head(texts: Sequence[str]) -> list[str]:
        heads.extend(texts)
        return [text.split(" Zirconium")[0] for text in texts]

    run(LOCAL.model_copy(update={"round_trip_rank": None}), replace(inputs, head=head), tmp_path)
    made = read_records(tmp_path / "queries.parquet", SyntheticQuery)
    assert "Pumps A gear pump moves oil. Zirconium valves wear out early." in heads
    assert any(query.document_id == "long" for query in made)
    assert not any("zirconium" in query.text.lower() for query in made)


def test_only_as_many_documents_as_asked_for_get_queries(tmp_path: Path) -> None:
    """They are drawn by the seed; the others still take part in the round trip."""
    config = LOCAL.model_copy(update={"max_documents": 2, "queries_per_document": 3})
    facts = run(config, write_inputs(tmp_path / "in"), tmp_path)
    assert (facts.documents, facts.documents_asked) == (4, 2)
    assert facts.made["local"] == 6


def test_texts_reach_the_report_only_when_asked_for(tmp_path: Path) -> None:
    """Without `examples` the report holds counts and meanings only."""
    documents = [*DOCUMENTS, Document("twin", "Sourdough bread and more", title="Gear pump manual", parent_id="twin")]
    for examples in (0, 2):
        config = LOCAL.model_copy(update={"examples": examples})
        facts = run(config, write_inputs(tmp_path / "in", documents=documents), tmp_path)
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        assert facts.dropped["ambiguous"] >= 2
        assert {row["gate"]: row["count"] for row in report["rejected"]} == facts.dropped
        assert max(len(row["examples"]) for row in report["rejected"]) == examples


def test_without_generators_nothing_is_made(tmp_path: Path) -> None:
    """The tables are there and empty."""
    facts = run(SynthesisConfig(), write_inputs(tmp_path / "in"), tmp_path)
    assert facts.queries == 0
    assert read_records(tmp_path / "queries.parquet", SyntheticQuery) == []


def test_a_corpus_without_text_is_an_error(tmp_path: Path) -> None:
    """There is nothing to make queries from."""
    inputs = write_inputs(tmp_path / "in", documents=[Document("a", " ")])
    with pytest.raises(InputError, match="no document with text"):
        run(LOCAL, inputs, tmp_path)


def test_a_seq2seq_model_makes_queries(tmp_path: Path, tiny_writer: Path) -> None:
    """What it writes goes through the same gates as all others."""
    config = SynthesisConfig(
        generators=(Generator.DOC2QUERY,),
        doc2query_model=str(tiny_writer),
        queries_per_document=4,
        round_trip_rank=None,
    )
    facts = run(config, write_inputs(tmp_path / "in"), tmp_path)
    assert facts.queries_per_document == {"doc2query": 4}
    assert 4 <= facts.made["doc2query"] <= 16
    assert facts.made["doc2query"] == facts.queries + sum(facts.dropped.values())
