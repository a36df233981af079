"""The common shape of files without ids: a query text, texts that answer it, texts that do not."""

from dataclasses import dataclass

from dialekt.pairs.formats.builder import JudgmentsBuilder, Place
from dialekt.pairs.formats.fields import as_list, as_text


@dataclass(frozen=True, slots=True)
class QueryTexts:
    """A query with its positive and negative texts; each side is a list, a single text, or `None`."""

    query: str
    positives: object
    negatives: object = None
    timestamp: str = ""


def add_texts(texts: QueryTexts, builder: JudgmentsBuilder, *, place: Place, split: str) -> None:
    """Add a query, its positives as qrels of grade 1 and its negatives as given negatives."""
    query_id = builder.add_query_text(texts.query, timestamp=texts.timestamp)
    if query_id is None:
        return
    for text in as_list(texts.positives):
        document_id = builder.add_document_text(as_text(text, place))
        if document_id is not None:
            builder.add_qrel(query_id, document_id, 1.0, split)
    for text in as_list(texts.negatives):
        document_id = builder.add_document_text(as_text(text, place))
        if document_id is not None:
            builder.add_negative(query_id, document_id)
