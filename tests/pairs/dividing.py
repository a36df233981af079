"""Runs the split and pairs stages on records that a test made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import PairsConfig, SplitConfig
from dialekt.pairs import split, stage
from dialekt.pairs.records import GivenNegative, GivenQrel, HeldOutDocument, JudgedQuery
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Pair, Qrel, Query, Split


@dataclass(frozen=True)
class Divided:
    """What the split stage wrote."""

    facts: split.SplitFacts
    queries: list[Query]
    qrels: list[Qrel]
    held_out: list[str]

    def ids(self, part: Split) -> set[str]:
        """Return the ids of the queries of one part."""
        return {query.id for query in self.queries if query.split is part}


def document(document_id: str, text: str = "", *, parent: str = "", twin_of: str = "") -> Document:
    """Return a document whose text is its id unless given."""
    return Document(
        document_id, text or document_id, parent_id=parent or document_id, duplicate_of=twin_of or document_id
    )


def write_inputs(
    folder: Path,
    queries: Sequence[JudgedQuery],
    qrels: Sequence[GivenQrel],
    documents: Sequence[Document] | None = None,
    *,
    inline: Sequence[Document] = (),
) -> None:
    """Write the judgments and corpus artefacts; by default the corpus has exactly the judged documents."""
    for name in ("judgments", "corpus", "split", "pairs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if documents is None:
        documents = [document(name) for name in sorted({qrel.document_id for qrel in qrels})]
    write_records(folder / "judgments/queries.parquet", queries, JudgedQuery)
    write_records(folder / "judgments/qrels.parquet", qrels, GivenQrel)
    write_records(folder / "judgments/documents.parquet", inline, Document)
    write_records(folder / "judgments/given_negatives.parquet", [], GivenNegative)
    write_records(folder / "corpus/documents.parquet", documents, Document)


def divide(folder: Path, config: SplitConfig | None = None, *, seed: int = 13, minimum_grade: float = 1.0) -> Divided:
    """Run the split stage on the artefacts of a folder."""
    inputs = split.SplitInputs(folder / "judgments", folder / "corpus", seed, minimum_grade, Path("judged"))
    facts = split.run(config or SplitConfig(), inputs, folder / "split")
    held_out = read_records(folder / "split/held_out_documents.parquet", HeldOutDocument)
    return Divided(
        facts,
        read_records(folder / "split/queries.parquet", Query),
        read_records(folder / "split/qrels.parquet", Qrel),
        [row.document_id for row in held_out],
    )


def make_pairs(folder: Path, config: PairsConfig | None = None) -> tuple[stage.PairsFacts, list[Pair]]:
    """Run the pairs stage on the artefacts of a folder."""
    inputs = stage.PairsInputs(folder / "corpus", folder / "split", folder / "judgments")
    facts = stage.run(config or PairsConfig(), inputs, folder / "pairs")
    return facts, read_records(folder / "pairs/pairs.parquet", Pair)
