"""The table of layouts: how each is written and who takes it. A new layout is its module, its test and its row here."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dialekt.pairs.exports.files import Written
from dialekt.pairs.exports.names import ExportLayout
from dialekt.pairs.exports.records import Examples
from dialekt.pairs.exports.texts import write_autotrain, write_flag_embedding, write_sentence_transformers
from dialekt.pairs.exports.vertex import write_vertex
from dialekt.types import Split


@dataclass(frozen=True, slots=True)
class Layout:
    """How a layout is written, and how it is used, in one line."""

    write: Callable[[Examples, Path], Written]
    usage: str


LAYOUTS: dict[ExportLayout, Layout] = {
    ExportLayout.AUTOTRAIN: Layout(
        write_autotrain, "AutoTrain: the task sentence-transformers:triplet with triplet/, or :pair with pair/"
    ),
    ExportLayout.VERTEX: Layout(
        write_vertex,
        "Vertex AI: copy it to Cloud Storage and name the files: corpus_path, queries_path, train_label_path",
    ),
    ExportLayout.SENTENCE_TRANSFORMERS: Layout(
        write_sentence_transformers,
        "load_dataset('json', data_files=…); MultipleNegativesRankingLoss takes the columns",
    ),
    ExportLayout.FLAG_EMBEDDING: Layout(write_flag_embedding, "FlagEmbedding: --train_data train.jsonl"),
}


def drawn(examples: Examples, queries: int | None, *, seed: int) -> Examples:
    """Return the examples with at most so many train queries, drawn at random; held-out ones stay."""
    train = examples.train
    if queries is None or queries >= len(train):
        return examples
    places = sorted(random.Random(seed).sample(range(len(train)), queries))  # noqa: S311 - no secret
    return replace(examples, by_split={**examples.by_split, Split.TRAIN: tuple(train[place] for place in places)})
