"""What is exported, whatever the layout: queries with the texts that answer them and those that do not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.errors import LeakError, StorageError
from dialekt.pairs.chunks import read_chunks
from dialekt.pairs.records import HeldOutDocument
from dialekt.store.tables import read_records
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Split


@dataclass(frozen=True, slots=True)
class ExportInputs:
    """Folders of artefacts: `made` is the pairs stage's; `pairs` and `negatives` are what training sees.

    The last two are the teacher's where one corrected them. `minimum_grade` is a positive's.
    """

    corpus: Path
    made: Path
    pairs: Path
    negatives: Path
    minimum_grade: float


@dataclass(frozen=True, slots=True)
class Label:
    """A unit that answers a query, with its grade."""

    unit_id: str
    grade: float


@dataclass(frozen=True, slots=True)
class Example:
    """A query with what answers it, best grade first, and with its hard negatives, hardest first; ids of units."""

    query: Query
    positives: tuple[Label, ...]
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Examples:
    """All examples by split; those of dev and test have no negatives. `units` are the whole corpus by id."""

    by_split: Mapping[Split, tuple[Example, ...]]
    units: Mapping[str, Document]

    @property
    def train(self) -> tuple[Example, ...]:
        """What may be trained on."""
        return self.by_split[Split.TRAIN]

    def text(self, unit: str) -> str:
        """Return title and text of a unit as one, as every encoder here sees it."""
        return self.units[unit].content


def read_examples(inputs: ExportInputs) -> Examples:
    """Read what training sees, and the judgments of the held-out queries.

    Raises `LeakError` when a pair's query is held out, or its answer or negative is a held-out document; `StorageError`
    for artefacts that do not belong together.
    """
    units = {unit.id: unit for unit in read_records(inputs.corpus / "documents.parquet", Document)}
    queries = {query.id: query for query in read_records(inputs.made / "queries.parquet", Query)}
    pairs = read_records(inputs.pairs / "pairs.parquet", Pair)
    negatives = read_records(inputs.negatives / "negatives.parquet", HardNegative)
    _check(pairs, negatives, queries, units, inputs.made)
    held_out = _held_out(inputs, queries)
    return Examples({Split.TRAIN: _train(pairs, negatives, queries), **held_out}, units)


def _check(
    pairs: Sequence[Pair],
    negatives: Sequence[HardNegative],
    queries: Mapping[str, Query],
    units: Mapping[str, Document],
    made: Path,
) -> None:
    """Raise unless every example is of a train query and of documents that training may see."""
    barred = {one.document_id for one in read_records(made / "held_out_documents.parquet", HeldOutDocument)}
    links: list[Pair | HardNegative] = [*pairs, *negatives]
    for link in links:
        query, unit = queries.get(link.query_id), units.get(link.document_id)
        if query is None or unit is None:
            raise StorageError(
                "pairs or negatives name a query or document that is not there",
                path=made,
                hint="run dialekt mine again: the artefacts are of different runs",
            )
        if query.split is not Split.TRAIN:
            raise LeakError(
                f"the query {query.id!r} is held out ({query.split.value}) and would be trained on",
                hint="run dialekt mine again; if it stays, report this fault",
            )
        if (unit.parent_id or unit.id) in barred:
            raise LeakError(
                f"the document {unit.id!r} answers held-out queries only and would be trained on",
                hint="run dialekt mine again; if it stays, report this fault",
            )


def _train(
    pairs: Iterable[Pair], negatives: Iterable[HardNegative], queries: Mapping[str, Query]
) -> tuple[Example, ...]:
    positives: defaultdict[str, list[Label]] = defaultdict(list)
    for pair in pairs:
        positives[pair.query_id].append(Label(pair.document_id, pair.grade))
    against: defaultdict[str, list[str]] = defaultdict(list)
    for negative in negatives:
        against[negative.query_id].append(negative.document_id)
    return tuple(
        Example(queries[name], tuple(sorted(own, key=_hardest)), tuple(against.get(name, ())))
        for name, own in sorted(positives.items())
    )


def _hardest(label: Label) -> tuple[float, str]:
    return (-label.grade, label.unit_id)


def _held_out(inputs: ExportInputs, queries: Mapping[str, Query]) -> dict[Split, tuple[Example, ...]]:
    """Return the judged answers of dev and test queries; of a document in chunks, the chunk that fits the query."""
    good: defaultdict[str, list[Qrel]] = defaultdict(list)
    for qrel in read_records(inputs.made / "qrels.parquet", Qrel):
        query = queries.get(qrel.query_id)
        if query is not None and query.split is not Split.TRAIN and qrel.grade >= inputs.minimum_grade:
            good[qrel.query_id].append(qrel)
    documents = {qrel.document_id for own in good.values() for qrel in own}
    chunks = read_chunks(inputs.corpus / "documents.parquet", documents)
    found: dict[Split, list[Example]] = {Split.DEV: [], Split.TEST: []}
    for name, own in sorted(good.items()):
        query = queries[name]
        best = [(chunks.best(query.text, qrel.document_id), qrel.grade) for qrel in own]
        labels = sorted((Label(chunk.id, grade) for chunk, grade in best if chunk is not None), key=_hardest)
        if labels:
            found[query.split].append(Example(query, tuple(labels)))
    return {split: tuple(examples) for split, examples in found.items()}
