"""GritLM rows: `{"query": [instruction, text], "pos": [[instruction, text]], "neg": [[instruction, text]]}`.

The instructions are left out: the encoding contract has one prompt per side, and it is set in `[model]`.
"""

from collections.abc import Mapping
from typing import Any

from dialekt.errors import InputError
from dialekt.pairs.formats.builder import JudgmentsBuilder, Place, Source
from dialekt.pairs.formats.fields import as_list, as_text, take
from dialekt.pairs.formats.files import row_files
from dialekt.pairs.formats.texts import QueryTexts, add_texts
from dialekt.store.rows import read_rows

LOOKS_FOR = 'rows {"query": [instruction, text], "pos": [[instruction, text]], "neg": […]}'


def in_row(values: Mapping[str, Any]) -> bool:
    """Tell whether the row's query carries an instruction."""
    return isinstance(values.get("query"), list) and isinstance(values.get("pos"), list)


def read(source: Source, builder: JudgmentsBuilder) -> None:
    """Read every row as a query with positives and negatives, without their instructions."""
    instructions = set()
    for path, split in row_files(source.path):
        for row in read_rows(path):
            place = Place(path, row.line)
            query = take(row.values, ("query",), place)
            instructions.add(query[0] if isinstance(query, list) and len(query) > 1 else "")
            positives = [_bare(item, place) for item in as_list(take(row.values, ("pos",), place))]
            negatives = [_bare(item, place) for item in as_list(row.values.get("neg"))]
            add_texts(QueryTexts(_bare(query, place), positives, negatives), builder, place=place, split=split)
    if len(instructions) > 1:
        builder.warnings.append(
            f"{len(instructions)} different instructions were left out; set model.query_prompt to one"
        )


def _bare(item: object, place: Place) -> str:
    """Return the text of `[instruction, text]`, of `[text]`, or of a bare text."""
    if isinstance(item, list):
        if not 1 <= len(item) <= 2:
            raise InputError(
                f"expected [instruction, text], found a list of {len(item)}",
                path=place.path,
                line=place.line,
                hint=LOOKS_FOR,
            )
        item = item[-1]
    return as_text(item, place)
