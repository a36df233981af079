"""Vertex AI's embedding tuning: `corpus.jsonl`, `queries.jsonl`, and labels as TSV with a header.

The contract is that of https://docs.cloud.google.com/vertex-ai/docs/generative-ai/models/tune-embeddings: `_id` and
`text` of every row, `title` where there is one; labels `query-id`, `corpus-id`, `score`, a whole number, 0 for a
document that does not answer. It is BEIR's layout, too.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.exports.files import Written, write_labels, write_rows
from dialekt.pairs.exports.records import Example, Examples
from dialekt.types import Document, Split

FEWEST, MOST_QUERIES, MOST_DOCUMENTS, MOST_LABELS = 9, 10_000, 500_000, 499_999
FEWEST_QUERIES_IN_FILE = 3
_NAMES = {Split.TRAIN: "train", Split.DEV: "dev", Split.TEST: "test"}


def write_vertex(examples: Examples, out: Path) -> Written:
    """Write `corpus.jsonl`, `queries.jsonl` and `qrels/{train,dev,test}.tsv`; train's negatives have the score 0.

    Raises `InputError` for what the service would refuse: too many or too few queries, documents or labels. A file of
    fewer than three queries is left out; the service then divides the training labels itself.
    """
    kept = {split: found for split, found in examples.by_split.items() if _is_enough(split, found)}
    small = [split for split, found in examples.by_split.items() if found and split not in kept]
    queries = [example.query for found in kept.values() for example in found]
    labels = {split: list(_labels(found)) for split, found in kept.items()}
    _check("queries", len(queries), FEWEST, MOST_QUERIES, "take fewer: --queries N draws that many train queries")
    _check("documents", len(examples.units), FEWEST, MOST_DOCUMENTS, "export a project with a part of the corpus")
    _check("labels", sum(map(len, labels.values())), 1, MOST_LABELS, "lower negatives.per_query, or take --queries N")
    rows = {
        "corpus.jsonl": write_rows(out / "corpus.jsonl", map(_row, examples.units.values())),
        "queries.jsonl": write_rows(out / "queries.jsonl", ({"_id": one.id, "text": one.text} for one in queries)),
    }
    for split, found in labels.items():
        name = f"qrels/{_NAMES[split]}.tsv"
        rows[name] = write_labels(out / name, found)
    train = kept[Split.TRAIN]
    return Written(
        pairs=sum(len(example.positives) for example in train),
        negatives=sum(len(example.negatives) for example in train),
        rows=rows,
        left_out=tuple(f"fewer than {FEWEST_QUERIES_IN_FILE} {_NAMES[split]} queries: no file" for split in small),
    )


def _is_enough(split: Split, found: Sequence[Example]) -> bool:
    return split is Split.TRAIN or len(found) >= FEWEST_QUERIES_IN_FILE


def _row(unit: Document) -> dict[str, object]:
    """Return a document; the service wants a text, so one that is all title has it there."""
    title: dict[str, object] = {"title": unit.title} if unit.title and unit.text else {}
    return {"_id": unit.id, **title, "text": unit.text or unit.title}


def _labels(found: Sequence[Example]) -> Iterator[tuple[str, str, int]]:
    for example in found:
        for label in example.positives:
            yield example.query.id, label.unit_id, max(1, round(label.grade))
        for unit in example.negatives:
            yield example.query.id, unit, 0


def _check(what: str, count: int, least: int, most: int, hint: str) -> None:
    if not least <= count <= most:
        raise InputError(f"Vertex AI takes {least:,} to {most:,} {what}, and here are {count:,}", hint=hint)
