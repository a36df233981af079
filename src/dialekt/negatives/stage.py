"""The stage: pairs, judgments, corpus and vectors → hard negatives and an audit of every rule."""

from dataclasses import dataclass
from pathlib import Path

from dialekt.config import NegativesConfig
from dialekt.errors import ConfigError
from dialekt.negatives.audit import Audit, with_texts, write_audit
from dialekt.negatives.mining import Miner, Mining, hard_negatives, mine_blocks
from dialekt.negatives.rules import MEANINGS, Rule
from dialekt.negatives.sources import NegativesInputs, Sources, read_sources, vectors_in_order
from dialekt.negatives.tables import MiningTables
from dialekt.negatives.words import keep_hits
from dialekt.store.tables import write_records
from dialekt.types import Divide, HardNegative, ReportProgress, no_progress, one_by_one

STAGE_VERSION = 2
NEGATIVES_NAME = "negatives.parquet"

__all__ = ["STAGE_VERSION", "NegativesFacts", "NegativesInputs", "run"]


@dataclass(frozen=True, slots=True)
class NegativesFacts:
    """What was mined.

    `queries_without` have no hard negative, `queries_short` fewer than asked for (those without among them).
    `mean_rank` is the mean retrieval rank of the negatives that a retriever found. `dropped` counts candidates by the
    first rule that barred them.
    """

    queries: int
    negatives: int
    queries_without: int
    queries_short: int
    candidates: int
    found_by_several: int
    mean_rank: float
    kept_by_retriever: dict[str, int]
    dropped: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _OpenMiner:
    """Opens the vectors where the mining is done: they lie in files, and are too large to send."""

    config: NegativesConfig
    tables: MiningTables
    vectors: Path
    seed: int

    def __call__(self) -> Miner:
        return Miner(self.config, self.tables, *vectors_in_order(self.vectors, self.tables), seed=self.seed)


def run(
    config: NegativesConfig,
    inputs: NegativesInputs,
    out: Path,
    *,
    divide: Divide = one_by_one,
    progress: ReportProgress = no_progress,
) -> NegativesFacts:
    """Mine hard negatives for the train queries into `out/negatives.parquet`, with `out/audit.json`.

    BM25's hits stay in `out/bm25_rows.npy`, so that mining again does not search the words again. Raises
    `ConfigError` for an option that could do nothing, `StorageError` when the artefacts do not belong together.
    """
    check_options(config)
    sources = read_sources(config, inputs, hits=out, divide=divide, progress=progress)
    if sources.tables.lexical_rows is not None:
        keep_hits(out, sources.tables.lexical_rows)
    _check_any_source(config, sources)
    open_miner = _OpenMiner(config, sources.tables, inputs.vectors, inputs.seed)
    mining = mine_blocks(config, sources.tables, open_miner, divide=divide, progress=progress)
    write_records(out / NEGATIVES_NAME, hard_negatives(mining.selection, sources.tables), HardNegative)
    audit = mining.audit
    if config.examples:
        audit = with_texts(audit, sources.query_texts, sources.document_texts(audit.example_documents))
    write_audit(out, audit)
    return _facts(config, mining, sources)


def check_options(config: NegativesConfig) -> None:
    """Raise `ConfigError` for options that rule each other out."""
    if config.rank_from > config.depth:
        raise ConfigError(
            f"negatives.rank_from = {config.rank_from} lies beyond negatives.depth = {config.depth}: "
            "no candidate could become a negative",
            hint="raise negatives.depth, or lower negatives.rank_from",
        )


def _check_any_source(config: NegativesConfig, sources: Sources) -> None:
    if config.per_query and not config.retrievers and not len(sources.tables.queries.given.values):
        raise ConfigError(
            "negatives.retrievers is empty, and the judgments bring no negatives of their own",
            hint="name 'bm25', 'dense' or both; for no hard negatives set negatives.per_query = 0",
        )


def _facts(config: NegativesConfig, mining: Mining, sources: Sources) -> NegativesFacts:
    audit = mining.audit
    return NegativesFacts(
        queries=len(sources.tables.queries.ids),
        negatives=audit.kept.total,
        queries_without=audit.queries_without,
        queries_short=audit.queries_short,
        candidates=audit.candidates,
        found_by_several=audit.found_by_several,
        mean_rank=audit.mean_rank,
        kept_by_retriever={"bm25": audit.kept.bm25, "dense": audit.kept.dense, "given": audit.kept.given},
        dropped=audit.dropped,
        warnings=_warnings(config, audit, sources),
    )


def _warnings(config: NegativesConfig, audit: Audit, sources: Sources) -> tuple[str, ...]:
    warnings = []
    if audit.queries_without:
        barred = {name: count for name, count in audit.dropped.items() if name != Rule.NOT_SAMPLED}
        worst = max(barred, key=lambda name: barred[name])
        reason = f"; most candidates were dropped as {MEANINGS[Rule(worst)]!r}" if barred[worst] else ""
        warnings.append(f"{audit.queries_without} of {audit.queries} queries have no hard negative{reason}")
    if sources.unknown_given and config.per_query:
        warnings.append(f"{sources.unknown_given} given negatives name a document that the corpus does not have")
    return tuple(warnings)
