"""What a plan must know of the corpus: texts to measure with, how long they are, and what an index keeps of them."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dialekt.errors import StorageError
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.planning.encoding import Sample
from dialekt.flow.project import Project
from dialekt.flow.records import StageName
from dialekt.index.documents import Documents
from dialekt.index.filters import tags_of
from dialekt.index.schema import open_database
from dialekt.planning.records import RowShape
from dialekt.store.tables import read_records
from dialekt.types import Document, Query

SAMPLE_TEXTS = 1_000
ASSUMED_TOKENS = 128
ASSUMED_QUERY_TOKENS = 12
_SPECIAL_TOKENS = 2
_Item = TypeVar("_Item")
_WORDS = """
the pump valve stops when pressure rises above its limit and a warning light comes on before you restart it check
the filter then open the cover turn power off wait ten minutes read the manual for your model number order parts
by code or call the service team with date and place of sale we reply within two working days return policy holds
for new items only keep the invoice ship in the first box and write the case number on each side of that box
""".split()  # noqa: SIM905 - a list of 90 quoted words is unreadable


@dataclass(frozen=True, slots=True)
class Material:
    """The corpus as a plan sees it. `documents` and `units` are 0 where there is no corpus; `how` says where from.

    `originals` are the bytes of a unit's text, its words and its change in the index's own file, measured on a sample.
    """

    sample: Sample
    documents: int
    units: int
    shape: RowShape
    originals: float
    how: str


def material_of(project: Project | None, *, tokens: float | None, max_tokens: int) -> Material:
    """Return the project's own documents and queries where its corpus was read, else made texts of a length.

    `tokens` is the length of a document that the user names: then the texts are made, too.
    """
    found = _read(project) if project is not None and tokens is None else None
    if found is not None:
        return found
    length = min(round(tokens or ASSUMED_TOKENS), max_tokens)
    texts = made_texts(SAMPLE_TEXTS, length)
    units = [Document(f"unit-{number:011d}", text) for number, text in enumerate(texts)]
    sample = Sample(texts, made_texts(SAMPLE_TEXTS, ASSUMED_QUERY_TOKENS))
    how = f"made texts of {length} tokens"
    return Material(sample, 0, 0, RowShape(), _originals(units), how)


def made_texts(count: int, tokens: int) -> tuple[str, ...]:
    """Return texts of everyday words in random order, about so many tokens long with the special ones."""
    words = max(1, tokens - _SPECIAL_TOKENS)
    draw = random.Random(count)  # noqa: S311 - no secret
    return tuple(" ".join(draw.choices(_WORDS, k=words)) for _ in range(count))


def _read(project: Project) -> Material | None:
    """Return what the last run read; None where there was none, or it is damaged."""
    store = ArtefactStore(project.artefacts)
    corpus, pairs = store.latest_folder(StageName.CORPUS), store.latest_folder(StageName.PAIRS)
    if corpus is None:
        return None
    try:
        units = read_records(corpus / "documents.parquet", Document)
        queries = [one.text for one in read_records(pairs / "queries.parquet", Query)] if pairs else []
    except StorageError:
        return None
    if not units:
        return None
    few = _spread(units)
    asked = tuple(_spread(queries)) or made_texts(SAMPLE_TEXTS, ASSUMED_QUERY_TOKENS)
    return Material(
        sample=Sample(tuple(unit.content for unit in few), asked),
        documents=len({unit.parent_id or unit.id for unit in units}),
        units=len(units),
        shape=_shape(units),
        originals=_originals(few),
        how=f"{len(few):,} of the corpus's {len(units):,} documents or chunks",
    )


def _spread(items: Sequence[_Item]) -> Sequence[_Item]:
    """Return at most `SAMPLE_TEXTS` of the items, at equal distances."""
    return items[:: max(1, len(items) // SAMPLE_TEXTS)][:SAMPLE_TEXTS]


def _shape(units: Sequence[Document]) -> RowShape:
    tags = [tags_of(unit.metadata) for unit in units]
    return RowShape(
        id_bytes=_mean([unit.id for unit in units]),
        document_bytes=_mean([unit.parent_id or unit.id for unit in units]),
        tags=sum(map(len, tags)) / len(units),
        tag_bytes=sum(len(tag.encode()) for own in tags for tag in own) / len(units),
    )


def _mean(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / len(texts)


def _originals(units: Sequence[Document]) -> float:
    """Return the bytes that a unit takes in an index's own file: text, metadata, words for BM25, the change log."""
    with tempfile.TemporaryDirectory(prefix="dialekt-plan-") as folder:
        database = open_database(Path(folder))
        try:
            Documents(database).write(units, may_move=True)
        finally:
            database.close()
        return sum(path.stat().st_size for path in Path(folder).iterdir()) / len(units)
