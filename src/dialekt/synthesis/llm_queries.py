"""Queries by an LLM: what is asked of each document, what the answers become, and the LLM as a judge."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from dialekt.config import Generator, SynthesisConfig
from dialekt.errors import ConfigError
from dialekt.synthesis.asking import Asker
from dialekt.synthesis.prompts import (
    GoodQueries,
    InstructedQuery,
    MadeQueries,
    Request,
    ask_for_instruction,
    ask_for_judgment,
    ask_for_queries,
    kinds_in_turn,
    language_in_turn,
)
from dialekt.synthesis.records import Draft
from dialekt.types import Document


def uses_llm(config: SynthesisConfig) -> bool:
    """Say whether any text leaves for an LLM under these settings."""
    return bool(config.generators) and (Generator.LLM in config.generators or config.judge)


def check_options(config: SynthesisConfig) -> None:
    """Raise `ConfigError` for options that could do nothing."""
    if config.instructions and Generator.LLM not in config.generators:
        raise ConfigError(
            "synthesis.instructions needs an LLM", hint="add 'llm' to synthesis.generators, or leave instructions off"
        )
    if Generator.DOC2QUERY in config.generators and config.doc2query_model is None:
        raise ConfigError(
            "synthesis.doc2query_model is not set", hint="name a seq2seq model that makes queries, or a local folder"
        )


def query_requests(
    config: SynthesisConfig, documents: Sequence[Document], *, count: int, train: Sequence[str], seed: int
) -> list[Request[MadeQueries]]:
    """Return a request per document, each with some train queries as examples, drawn by the document's id."""
    requests = []
    for document in documents:
        rng = np.random.default_rng([seed, *document.id.encode()])
        size = min(config.few_shot, len(train))
        examples = [train[int(row)] for row in rng.permutation(len(train))[:size]]
        requests.append(ask_for_queries(config, document, count, examples))
    return requests


def drafts_of_queries(
    config: SynthesisConfig, requests: Sequence[Request[MadeQueries]], answers: Sequence[MadeQueries | None], count: int
) -> list[Draft]:
    """Return the queries of all answers; what is more than asked for is left out."""
    return [
        Draft(
            text=" ".join(text.split()),
            document_id=request.document_id,
            kind=kind,
            generator=Generator.LLM,
            language=language_in_turn(config, request.document_id),
        )
        for request, answer in zip(requests, answers, strict=True)
        if answer
        for text, kind in zip(answer.queries, kinds_in_turn(config, request.document_id, count), strict=False)
    ]


def instruction_requests(
    config: SynthesisConfig, documents: Sequence[Document], neighbours: Mapping[str, Document]
) -> list[Request[InstructedQuery]]:
    """Return a request per document that has a neighbour."""
    return [
        ask_for_instruction(config, document, neighbours[document.id])
        for document in documents
        if document.id in neighbours
    ]


def drafts_of_instructions(
    config: SynthesisConfig,
    requests: Sequence[Request[InstructedQuery]],
    answers: Sequence[InstructedQuery | None],
    neighbours: Mapping[str, Document],
) -> list[Draft]:
    """Return the queries with instructions; the neighbour is the document that breaks it."""
    return [
        Draft(
            text=" ".join(answer.query.split()),
            document_id=request.document_id,
            kind=kinds_in_turn(config, request.document_id, 1)[0],
            generator=Generator.LLM,
            language=language_in_turn(config, request.document_id),
            instruction=" ".join(answer.instruction.split()),
            negative_id=neighbours[request.document_id].id,
        )
        for request, answer in zip(requests, answers, strict=True)
        if answer and answer.query.strip() and answer.instruction.strip()
    ]


def judge(asker: Asker, documents: Mapping[str, Document], drafts: Sequence[Draft]) -> list[bool]:
    """Say which drafts the LLM turns down, asking once per document; without an answer none is turned down."""
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, draft in enumerate(drafts):
        rows_of[draft.document_id].append(row)
    requests = [
        ask_for_judgment(documents[document_id], [drafts[row].full_text for row in rows])
        for document_id, rows in rows_of.items()
    ]
    barred = [False] * len(drafts)
    answers: list[GoodQueries | None] = asker.ask(requests, "let the LLM judge")
    for rows, answer in zip(rows_of.values(), answers, strict=True):
        for number, row in enumerate(rows, start=1):
            barred[row] = answer is not None and number not in answer.good
    return barred
