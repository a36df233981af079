"""The stage: a corpus → made queries that passed every gate, instruction negatives, and a report of the rejected."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dialekt.config import SynthesisConfig
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_text
from dialekt.store.tables import write_records
from dialekt.synthesis.asking import Asker
from dialekt.synthesis.gates import Surroundings, Verdicts, pass_gates
from dialekt.synthesis.generation import Workshop
from dialekt.synthesis.journal import Journal
from dialekt.synthesis.llm_queries import check_options, judge, uses_llm
from dialekt.synthesis.material import Material, per_document, read_material
from dialekt.synthesis.realism import Lengths, compare_with_real
from dialekt.synthesis.records import (
    ANSWERS_NAME,
    GATE_MEANINGS,
    NEGATIVES_NAME,
    QUERIES_NAME,
    REPORT_NAME,
    STAGE_VERSION,
    Draft,
    Gate,
    InstructionNegative,
    LlmUse,
    SynthesisFacts,
    SynthesisInputs,
    SyntheticQuery,
)
from dialekt.synthesis.round_trip import RoundTrip
from dialekt.types import ReportProgress, no_progress

__all__ = ["STAGE_VERSION", "run"]


def run(
    config: SynthesisConfig, inputs: SynthesisInputs, out: Path, *, progress: ReportProgress = no_progress
) -> SynthesisFacts:
    """Write `queries.parquet`, `negatives.parquet` and `report.json` into `out`.

    A killed run is run again: answers of an LLM lie in the journal, everything else is made anew. Raises `InputError`
    for a corpus without text, `ConfigError` for options that could do nothing, `EndpointError` for an LLM that fails.
    """
    check_options(config)
    material = read_material(config, inputs)
    counts = {name.value: per_document(config, name, len(material.asked)) for name in config.generators}
    asker = None
    if uses_llm(config):
        asker = Asker(config, Journal(inputs.answers or out / ANSWERS_NAME), progress=progress)
    retrieval = _retrieval(config, inputs, material, progress=progress)
    drafts = Workshop(config, material, counts, inputs.seed, asker, retrieval, progress).make()
    documents = {document.id: document for document in material.asked}
    around = Surroundings(
        documents=documents,
        held_out=material.held_out,
        lengths=Lengths.of(material.train),
        round_trip=retrieval if config.round_trip_rank is not None else None,
    )
    verdicts = pass_gates(config, drafts, around)
    if asker and config.judge:
        verdicts.apply(Gate.JUDGE, lambda found: judge(asker, documents, found))
    facts = _facts(material, drafts, verdicts, counts, asker.use if asker else LlmUse())
    _write(config, out, verdicts, facts)
    return facts


def _retrieval(
    config: SynthesisConfig, inputs: SynthesisInputs, material: Material, *, progress: ReportProgress
) -> RoundTrip | None:
    """Return the corpus ready to be searched, when a gate or instructions need it."""
    if not config.generators or (config.round_trip_rank is None and not config.instructions):
        return None
    rank = config.round_trip_rank or 1
    return RoundTrip(material.documents, rank=rank, encode=inputs.encode, language=material.language, progress=progress)


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
    material: Material, drafts: Sequence[Draft], verdicts: Verdicts, counts: dict[str, int], llm: LlmUse
) -> SynthesisFacts:
    kept = verdicts.passing
    return SynthesisFacts(
        documents=len(material.documents),
        documents_asked=len(material.asked),
        documents_without=len(material.asked) - len({draft.document_id for draft in kept}),
        queries=len(kept),
        instruction_negatives=sum(bool(draft.negative_id) for draft in kept),
        made=dict(sorted(Counter(draft.generator.value for draft in drafts).items())),
        kept=dict(sorted(Counter(draft.generator.value for draft in kept).items())),
        kinds=dict(sorted(Counter(draft.kind.value for draft in kept).items())),
        dropped=verdicts.counts(),
        queries_per_document=counts,
        llm=llm,
        realism=compare_with_real(material.train, [draft.text for draft in kept]),
        warnings=tuple(_warnings(len(drafts), len(kept), llm)),
    )


def _warnings(made: int, kept: int, llm: LlmUse) -> Iterator[str]:
    if made and kept < 0.3 * made:
        yield f"the gates left {kept:,} of {made:,} made queries: look at the rejected ones with synthesis.examples"
    if llm.left_by_budget:
        yield f"the budget was used up: {llm.left_by_budget:,} calls were not made"
    if llm.failed:
        yield f"{llm.failed:,} calls failed after all retries"
    if llm.malformed:
        yield f"{llm.malformed:,} requests never got an answer that could be read"
