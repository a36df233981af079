"""NanoBEIR from the Hugging Face Hub: fifty queries each of thirteen public test collections."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dialekt.errors import EndpointError
from dialekt.evaluation.general.records import GeneralMaterial
from dialekt.types import Document, Progress, Qrel, Query, ReportProgress, no_progress

NANOBEIR = "sentence-transformers/NanoBEIR-en"
COLLECTIONS = (
    "NanoArguAna", "NanoClimateFEVER", "NanoDBPedia", "NanoFEVER", "NanoFiQA2018", "NanoHotpotQA", "NanoMSMARCO",
    "NanoNFCorpus", "NanoNQ", "NanoQuoraRetrieval", "NanoSCIDOCS", "NanoSciFact", "NanoTouche2020",
)  # fmt: skip


def read_nanobeir(*, progress: ReportProgress = no_progress) -> GeneralMaterial:
    """Download NanoBEIR, or read what was downloaded before; raise `EndpointError` when neither is possible."""
    documents: list[Document] = []
    queries: list[Query] = []
    qrels: list[Qrel] = []
    for number, name in enumerate(COLLECTIONS, start=1):
        documents += [Document(_id(name, row["_id"]), row["text"]) for row in _rows("corpus", name)]
        queries += [Query(_id(name, row["_id"]), row["text"]) for row in _rows("queries", name)]
        qrels += to_qrels(name, _rows("qrels", name))
        progress(Progress("reading NanoBEIR", number, len(COLLECTIONS), note=name))
    return GeneralMaterial(documents, queries, qrels)


def to_qrels(name: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[Qrel]:
    """Yield the judgments of a collection: a row holds one document id, or a list of them."""
    for row in rows:
        found = row["corpus-id"]
        for document_id in [found] if isinstance(found, str) else found:
            yield Qrel(_id(name, row["query-id"]), _id(name, document_id))


def _id(name: str, row_id: str) -> str:
    return f"{name}/{row_id}"


def _rows(subset: str, name: str) -> Iterable[Mapping[str, Any]]:
    from datasets import load_dataset

    try:
        rows: Iterable[Mapping[str, Any]] = load_dataset(NANOBEIR, subset, split=name)
    except (OSError, ValueError) as error:  # offline, unknown, refused: the library has no error of its own for all
        raise EndpointError(
            f"{NANOBEIR} cannot be read from the Hugging Face Hub: {type(error).__name__}",
            hint='set evaluation.general to "builtin", or to the folder of a BEIR collection',
        ) from None
    return rows
