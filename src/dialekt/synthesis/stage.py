"""The stage: a corpus → made queries that passed every gate, instruction negatives, and a report of the rejected."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dialekt.config import Generator, SynthesisConfig
from dialekt.errors import InputError
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_text
from dialekt.store.tables import read_records, write_records
from dialekt.synthesis.gates import Surroundings, Verdicts, pass_gates
from dialekt.synthesis.language import Vocabulary
from dialekt.synthesis.local import generate_locally
from dialekt.synthesis.realism import Lengths, compare_with_real
from dialekt.synthesis.records import (
    GATE_MEANINGS,
    NEGATIVES_NAME,
    QUERIES_NAME,
    REPORT_NAME,
    STAGE_VERSION,
    Draft,
    InstructionNegative,
    SynthesisFacts,
    SynthesisInputs,
    SyntheticQuery,
)
from dialekt.synthesis.round_trip import RoundTrip
from dialekt.types import Document, Query, ReportProgress, Split, no_progress

__all__ = ["STAGE_VERSION", "run"]

LOCAL_QUERIES = 20_000
LOCAL_PER_DOCUMENT = (3, 10)
ASKED_PER_DOCUMENT = 3


@dataclass(frozen=True, slots=True)
class _Material:
    """What queries are made from: every distinct document, those that get queries, and the real queries by split."""

    documents: Sequence[Document]
    asked: Sequence[Document]
    train: Sequence[str]
    held_out: dict[str, str]


def run(
    config: SynthesisConfig, inputs: SynthesisInputs, out: Path, *, progress: ReportProgress = no_progress
) -> SynthesisFacts:
    """Write `queries.parquet`, `negatives.parquet` and `report.json` into `out`.

    Raises `InputError` for a corpus without text.
    """
    material = _read(config, inputs)
    per_document = {name.value: _per_document(config, name, len(material.asked)) for name in config.generators}
    drafts: list[Draft] = []
    vocabulary = Vocabulary.of([document.content for document in material.documents])
    for generator in config.generators:
        drafts += generate_locally(
            material.asked,
            vocabulary,
            per_document=per_document[generator.value],
            seed=inputs.seed,
            progress=progress,
        )
    round_trip = None
    if drafts and config.round_trip_rank is not None:
        round_trip = RoundTrip(material.documents, rank=config.round_trip_rank, encode=inputs.encode, progress=progress)
    around = Surroundings(
        documents={document.id: document for document in material.asked},
        held_out=material.held_out,
        lengths=Lengths.of(material.train),
        round_trip=round_trip,
    )
    verdicts = pass_gates(config, drafts, around)
    facts = _facts(material, drafts, verdicts, per_document)
    _write(config, out, verdicts, facts)
    return facts


def _read(config: SynthesisConfig, inputs: SynthesisInputs) -> _Material:
    documents = [
        document
        for document in read_records(inputs.corpus, Document)
        if document.duplicate_of in {"", document.id} and document.content.strip()
    ]
    if not documents:
        raise InputError("the corpus has no document with text", hint="check corpus.path")
    queries = read_records(inputs.queries, Query) if inputs.queries else []
    return _Material(
        documents=documents,
        asked=_drawn(documents, config.max_documents, inputs.seed),
        train=[query.text for query in queries if query.split is Split.TRAIN],
        held_out={query.id: query.text for query in queries if query.split is not Split.TRAIN},
    )


def _drawn(documents: Sequence[Document], most: int | None, seed: int) -> Sequence[Document]:
    if most is None or most >= len(documents):
        return documents
    rows = np.random.default_rng(seed).choice(len(documents), size=most, replace=False)
    return [documents[row] for row in np.sort(rows)]


def _per_document(config: SynthesisConfig, generator: Generator, documents: int) -> int:
    if config.queries_per_document is not None:
        return config.queries_per_document
    if generator is not Generator.LOCAL:
        return ASKED_PER_DOCUMENT
    least, most = LOCAL_PER_DOCUMENT
    return min(most, max(least, -(-LOCAL_QUERIES // documents)))


def _write(config: SynthesisConfig, out: Path, verdicts: Verdicts, facts: SynthesisFacts) -> None:
    queries = [_query(draft) for draft in verdicts.passing]
    write_records(out / QUERIES_NAME, queries, SyntheticQuery)
    negatives = [
        InstructionNegative(query.id, draft.negative_id)
        for query, draft in zip(queries, verdicts.passing, strict=True)
        if draft.negative_id
    ]
    write_records(out / NEGATIVES_NAME, negatives, InstructionNegative)
    report = dataclasses.asdict(facts) | {"rejected": _rejected(verdicts, config.examples)}
    write_atomic(out / REPORT_NAME, json.dumps(report, ensure_ascii=False, indent=1))


def _query(draft: Draft) -> SyntheticQuery:
    return SyntheticQuery(
        id=f"made-{hash_text(f'{draft.document_id} {draft.full_text}')}",
        text=draft.full_text,
        document_id=draft.document_id,
        kind=draft.kind,
        language=draft.language,
        instruction=draft.instruction,
        generator=draft.generator,
    )


def _rejected(verdicts: Verdicts, examples: int) -> list[dict[str, object]]:
    """Return each gate with its meaning, its count, and the first rejected texts when the user asked for texts."""
    counts = verdicts.counts()
    return [
        {
            "gate": gate.value,
            "meaning": meaning,
            "count": counts[gate.value],
            "examples": [
                {"query": draft.full_text, "document_id": draft.document_id, "kind": draft.kind.value}
                for found, draft in verdicts.rejected
                if found is gate
            ][:examples],
        }
        for gate, meaning in GATE_MEANINGS.items()
    ]


def _facts(
    material: _Material, drafts: Sequence[Draft], verdicts: Verdicts, per_document: dict[str, int]
) -> SynthesisFacts:
    kept = verdicts.passing
    without = len(material.asked) - len({draft.document_id for draft in kept})
    return SynthesisFacts(
        documents=len(material.documents),
        documents_asked=len(material.asked),
        documents_without=without,
        queries=len(kept),
        instruction_negatives=sum(bool(draft.negative_id) for draft in kept),
        made=dict(sorted(Counter(draft.generator.value for draft in drafts).items())),
        kept=dict(sorted(Counter(draft.generator.value for draft in kept).items())),
        kinds=dict(sorted(Counter(draft.kind.value for draft in kept).items())),
        dropped=verdicts.counts(),
        queries_per_document=per_document,
        realism=compare_with_real(material.train, [draft.full_text for draft in kept]),
        warnings=_warnings(len(drafts), len(kept)),
    )


def _warnings(made: int, kept: int) -> tuple[str, ...]:
    if made and kept < 0.3 * made:
        return (f"the gates left {kept:,} of {made:,} made queries: look at the rejected ones with synthesis.examples",)
    return ()
