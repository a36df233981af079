"""Layouts whose rows bring their texts: sentence-transformers, AutoTrain, FlagEmbedding."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from dialekt.pairs.exports.files import Written, write_rows
from dialekt.pairs.exports.records import Example, Examples
from dialekt.types import Split

Row = dict[str, object]


def write_sentence_transformers(examples: Examples, out: Path) -> Written:
    """Write `train.jsonl` (anchor, positive, negative_1 …), `train-pairs.jsonl` and `dev.jsonl` (anchor, positive).

    Every row of a file has the same columns, as the library wants: a query with fewer negatives than the others names
    its own again, one with none goes into `train-pairs.jsonl`.
    """
    width = max((len(example.negatives) for example in examples.train), default=0)
    mined = [example for example in examples.train if example.negatives]
    plain = [example for example in examples.train if not example.negatives]
    rows = {
        "train.jsonl": write_rows(out / "train.jsonl", _tuples(examples, mined, width)),
        "train-pairs.jsonl": write_rows(out / "train-pairs.jsonl", _pairs(examples, plain)),
        "dev.jsonl": write_rows(out / "dev.jsonl", _pairs(examples, examples.by_split[Split.DEV])),
    }
    return _written(examples.train, rows)


def write_autotrain(examples: Examples, out: Path) -> Written:
    """Write `triplet/` and `pair/`, each with `train.jsonl` and `valid.jsonl`; AutoTrain takes one of the folders.

    A triplet is (anchor, positive, negative): a row per negative. Validation has no mined negatives, so that of the
    triplets takes the answer of the next dev query.
    """
    dev = examples.by_split[Split.DEV]
    rows = {
        "triplet/train.jsonl": write_rows(out / "triplet" / "train.jsonl", _triplets(examples, examples.train)),
        "triplet/valid.jsonl": write_rows(out / "triplet" / "valid.jsonl", _dev_triplets(examples, dev)),
        "pair/train.jsonl": write_rows(out / "pair" / "train.jsonl", _pairs(examples, examples.train)),
        "pair/valid.jsonl": write_rows(out / "pair" / "valid.jsonl", _pairs(examples, dev)),
    }
    without = sum(not example.negatives for example in examples.train)
    left_out = (f"{without:,} queries without a hard negative are in pair/ only",) if without else ()
    return _written(examples.train, rows, left_out)


def write_flag_embedding(examples: Examples, out: Path) -> Written:
    """Write `train.jsonl`: a row per query with all its answers and negatives; a query without negatives has none."""
    rows = {"train.jsonl": write_rows(out / "train.jsonl", _grouped(examples, examples.train))}
    without = sum(not example.negatives for example in examples.train)
    left_out: tuple[str, ...] = ()
    if without:
        left_out = (
            f'{without:,} queries have an empty "neg": FlagEmbedding wants some, its scripts/hn_mine.py fills them up',
        )
    return _written(examples.train, rows, left_out)


def _pairs(examples: Examples, chosen: Sequence[Example]) -> Iterator[Row]:
    for example in chosen:
        for label in example.positives:
            yield {"anchor": example.query.text, "positive": examples.text(label.unit_id)}


def _tuples(examples: Examples, chosen: Sequence[Example], width: int) -> Iterator[Row]:
    for example in chosen:
        texts = [examples.text(unit) for unit in islice(cycle(example.negatives), width)]
        named: Row = {f"negative_{number}": text for number, text in enumerate(texts, 1)}
        for row in _pairs(examples, [example]):
            yield row | named


def _triplets(examples: Examples, chosen: Sequence[Example]) -> Iterator[Row]:
    for example in chosen:
        for row in _pairs(examples, [example]):
            for unit in example.negatives:
                yield row | {"negative": examples.text(unit)}


def _dev_triplets(examples: Examples, dev: Sequence[Example]) -> Iterator[Row]:
    """Yield the pairs of dev queries, each with an answer of the next query that does not answer this one."""
    for place, example in enumerate(dev):
        own = {label.unit_id for label in example.positives}
        others = (label.unit_id for turn in range(1, len(dev)) for label in dev[(place + turn) % len(dev)].positives)
        other = next((unit for unit in others if unit not in own), None)
        if other is not None:
            for row in _pairs(examples, [example]):
                yield row | {"negative": examples.text(other)}


def _grouped(examples: Examples, chosen: Sequence[Example]) -> Iterator[Row]:
    for example in chosen:
        positives = [examples.text(label.unit_id) for label in example.positives]
        yield {
            "query": example.query.text,
            "pos": positives,
            "neg": [examples.text(unit) for unit in example.negatives],
        }


def _written(train: Sequence[Example], rows: dict[str, int], left_out: tuple[str, ...] = ()) -> Written:
    return Written(
        pairs=sum(len(example.positives) for example in train),
        negatives=sum(len(example.negatives) for example in train),
        rows={name: count for name, count in rows.items() if count},
        left_out=left_out,
    )
