"""Stage 1, judgments: the user's files, whatever their format → queries, qrels, inline documents, given negatives."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import JudgmentsConfig, JudgmentsFormat
from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Source
from dialekt.pairs.formats.table import FORMATS, detect
from dialekt.pairs.records import GivenNegative, GivenQrel, JudgedQuery
from dialekt.store.tables import write_records
from dialekt.types import Document, Progress, ReportProgress, no_progress

STAGE_VERSION = 1


@dataclass(frozen=True, slots=True)
class JudgmentsInputs:
    """Where the judgments lie. `time_field` is the query field that a split by time would use."""

    path: Path
    time_field: str = "timestamp"


@dataclass(frozen=True, slots=True)
class JudgmentsFacts:
    """What was read. `splits_given` counts the qrels per split that the user named; `dropped` counts by reason."""

    format: str
    queries: int
    qrels: int
    inline_documents: int
    given_negatives: int
    splits_given: dict[str, int]
    dropped: dict[str, int]
    warnings: tuple[str, ...]


def run(
    config: JudgmentsConfig, inputs: JudgmentsInputs, out: Path, *, progress: ReportProgress = no_progress
) -> JudgmentsFacts:
    """Read the judgments and write queries, qrels, inline documents and given negatives as Parquet.

    Raises `InputError` when the format is not recognised, an id stands for two texts, a line is damaged, or no
    judgment remains.
    """
    kind = detect(inputs.path) if config.format is JudgmentsFormat.AUTO else config.format
    if not inputs.path.exists():
        raise InputError(
            "there is no such file or folder", path=inputs.path, hint="check judgments.path in dialekt.toml"
        )
    progress(Progress("reading judgments", 0))
    builder = JudgmentsBuilder()
    FORMATS[kind].read(Source(inputs.path, config.minimum_score, inputs.time_field), builder)
    qrels = builder.known_qrels()
    negatives = builder.known_negatives(qrels)
    if not qrels:
        raise InputError(_why_none(builder), path=inputs.path, hint=f"{kind.value}: {FORMATS[kind].looks_for}")
    documents = write_records(out / "documents.parquet", builder.iterate_documents(), Document)
    write_records(out / "queries.parquet", builder.queries.values(), JudgedQuery)
    write_records(out / "qrels.parquet", qrels, GivenQrel)
    write_records(out / "given_negatives.parquet", negatives, GivenNegative)
    progress(Progress("reading judgments", len(qrels), len(qrels)))
    return JudgmentsFacts(
        format=kind.value,
        queries=len(builder.queries),
        qrels=len(qrels),
        inline_documents=documents,
        given_negatives=len(negatives),
        splits_given=dict(sorted(Counter(qrel.split for qrel in qrels if qrel.split).items())),
        dropped=dict(sorted(builder.dropped.items())),
        warnings=tuple(builder.warnings),
    )


def _why_none(builder: JudgmentsBuilder) -> str:
    """Say why there is no judgment to work with."""
    if builder.dropped["qrels_of_unknown_queries"]:
        return "every judgment names a query id that the queries lack"
    return f"holds no judgment of any of its {len(builder.queries)} queries"
