"""Reads judgments from small files that a test wrote, and gives back what came out in a form easy to compare."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import JudgmentsConfig, JudgmentsFormat
from dialekt.pairs import judgments
from dialekt.pairs.records import GivenNegative, GivenQrel, JudgedQuery
from dialekt.store.tables import read_records
from dialekt.types import Document


@dataclass(frozen=True)
class Read:
    """The artefact with inline ids replaced by their texts, so that golden values are readable."""

    facts: judgments.JudgmentsFacts
    queries: dict[str, str]
    qrels: set[tuple[str, str, float, str]]
    documents: dict[str, str]
    negatives: set[tuple[str, str]]


def write(path: Path, content: str | list[object] | object) -> Path:
    """Write a text as it is, a list as JSON lines (gzipped if the name ends in .gz), anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in content)
    else:
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path: Path, out: Path, *, kind: str = "auto", minimum_score: float = 0.5) -> Read:
    """Run the judgments stage and read its tables back."""
    out.mkdir(exist_ok=True)
    config = JudgmentsConfig(format=JudgmentsFormat(kind), minimum_score=minimum_score)
    facts = judgments.run(config, judgments.JudgmentsInputs(path), out)
    queries = {row.id: row.text for row in read_records(out / "queries.parquet", JudgedQuery)}
    documents = {row.id: row.content for row in read_records(out / "documents.parquet", Document)}
    qrels = read_records(out / "qrels.parquet", GivenQrel)
    negatives = read_records(out / "given_negatives.parquet", GivenNegative)
    return Read(
        facts,
        queries,
        {(row.query_id, row.document_id, row.grade, row.split) for row in qrels},
        documents,
        {(row.query_id, row.document_id) for row in negatives},
    )


def by_text(found: Read) -> tuple[set[tuple[str, str, float, str]], set[tuple[str, str]]]:
    """Return qrels and negatives with texts in place of ids."""
    qrels = {(found.queries[query], found.documents[unit], grade, split) for query, unit, grade, split in found.qrels}
    return qrels, {(found.queries[query], found.documents[unit]) for query, unit in found.negatives}
