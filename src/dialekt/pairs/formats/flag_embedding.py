"""FlagEmbedding rows: `{"query": str, "pos": [str], "neg": [str], …}`.

`pos_scores` and `neg_scores` are a teacher's logits of no fixed scale, so they are not taken as grades.
"""

from collections.abc import Mapping
from typing import Any

from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_text, take
from dialekt.pairs.formats.files import row_files
from dialekt.pairs.formats.texts import QueryTexts, add_texts
from dialekt.store.rows import read_rows

LOOKS_FOR = 'rows {"query": text, "pos": [texts], "neg": [texts]}'


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the row has FlagEmbedding's fields."""
    return isinstance(values.get("query"), str) and isinstance(values.get("pos"), list)


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read every row as a query with positives and negatives."""
    for path, split in row_files(source.path):
        for row in read_rows(path):
            place = Place(path, row.line)
            query = as_text(take(row.values, ("query",), place), place)
            texts = QueryTexts(query, take(row.values, ("pos",), place), row.values.get("neg"))
            add_texts(texts, builder, place=place, split=split)
