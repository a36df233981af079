"""A project's knowledge of its domain: texts to calibrate engines on, and dev queries to prove their quality."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.dev import DevInputs, DevSet, dev_scores, make_dev_set, pool_vectors
from dialekt.models.contract import EncodingContract
from dialekt.models.encoder import normalize
from dialekt.models.engines.bulk import run_rows
from dialekt.models.engines.choice import CalibrationMaterial
from dialekt.models.engines.records import Engine, ModelInput, TokenizeOptions, TokenRow
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.store.tables import read_records
from dialekt.types import Document, Query, Role, Split

MAX_DEV_QUERIES = 200
MAX_DEV_DOCUMENTS = 2_000
_CALIBRATION_TEXTS = 256  # of the documents, and of the queries


def calibration_material(inputs: DevInputs) -> CalibrationMaterial:
    """Draw texts of a project's documents and queries, and make the gate of its dev queries, if it has any.

    `inputs.split` is the folder whose `queries.parquet` and `qrels.parquet` hold all queries. Test queries are left
    alone; dev queries are drawn only where there are none to train on.
    """
    generator = np.random.default_rng(inputs.seed)
    documents = [document.content for document in read_records(inputs.corpus / "documents.parquet", Document)]
    queries = read_records(inputs.split / "queries.parquet", Query)
    dev = [query.text for query in queries if query.split is Split.DEV]
    train = [query.text for query in queries if query.split is Split.TRAIN]

    def gate(reference: Engine, tokenizer: RequestTokenizer, contract: EncodingContract) -> "DevGate":
        return DevGate(inputs, reference, tokenizer, contract)

    return CalibrationMaterial(
        documents=_drawn(documents, generator), queries=_drawn(train or dev, generator), gate=gate if dev else None
    )


class DevGate:
    """Tells what an engine costs in NDCG@10 on the dev queries, against the model in fp32 (`reference`).

    The documents are tokenised and the reference is scored when the first engine is looked at.
    """

    def __init__(
        self, inputs: DevInputs, reference: Engine, tokenizer: RequestTokenizer, contract: EncodingContract
    ) -> None:
        self._inputs = inputs
        self._reference = reference
        self._tokenizer = tokenizer
        self._contract = contract

    def __call__(self, engine: Engine) -> float:
        """Return the mean over the dev queries of the engine's NDCG@10 minus that of the reference."""
        return float(np.mean(self._scores(engine) - self._wanted))

    @cached_property
    def _dev_set(self) -> DevSet:
        return make_dev_set(self._inputs, max_queries=MAX_DEV_QUERIES, max_documents=MAX_DEV_DOCUMENTS)

    @cached_property
    def _query_rows(self) -> list[TokenRow]:
        return self._rows(self._dev_set.query_texts, Role.QUERY)

    @cached_property
    def _document_rows(self) -> list[TokenRow]:
        return self._rows(self._dev_set.document_texts, Role.DOCUMENT)

    @cached_property
    def _wanted(self) -> NDArray[np.float64]:
        return self._scores(self._reference)

    def _rows(self, texts: Sequence[str], role: Role) -> list[TokenRow]:
        options = TokenizeOptions(self._contract.prompt(role))
        return self._tokenizer.encode([ModelInput(text) for text in texts], options)

    def _scores(self, engine: Engine) -> NDArray[np.float64]:
        return dev_scores(self._dev_set, normalize(run_rows(engine, self._query_rows)), self._documents(engine))

    def _documents(self, engine: Engine) -> NDArray[np.float32]:
        """Encode the documents, unless that is the work of another model, whose vectors are there."""
        if self._contract.document_model:
            return pool_vectors(self._dev_set, self._inputs.vectors)
        return normalize(run_rows(engine, self._document_rows))


def _drawn(texts: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    """Draw texts that are not empty, without replacement."""
    written = [text for text in texts if text.strip()]
    return tuple(written[row] for row in generator.permutation(len(written))[:_CALIBRATION_TEXTS].tolist())
