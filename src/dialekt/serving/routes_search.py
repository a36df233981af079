"""POST /search: queries → vectors → documents → perhaps another order → an answer, all from one release."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from uuid import uuid4

import numpy as np
from scipy.special import expit

from dialekt.config import SearchLog
from dialekt.errors import (
    EmptyInputError,
    EndpointError,
    InputError,
    NotFoundError,
    NotServedError,
    RequestError,
    StorageError,
    UnavailableError,
)
from dialekt.index.filters import Filter, parse_filter, tags_of
from dialekt.index.searching import Hit
from dialekt.models.engines.records import ModelInput, ModelKind, TokenizeOptions
from dialekt.serving.answers import Answer, to_json
from dialekt.serving.endpoint import Call
from dialekt.serving.index_service import IndexService
from dialekt.serving.journal import JournalEvent
from dialekt.serving.limits import check_batch
from dialekt.serving.records import Outcome, Work
from dialekt.serving.release import ServedRelease
from dialekt.serving.shaping import shape
from dialekt.serving.ubi import Searched
from dialekt.serving.wire_search import SearchRequest
from dialekt.types import Document, Role


@dataclass(frozen=True, slots=True)
class Ranked:
    """A hit with its unit as it is now; `rerank_score` where a re-ranker looked at it."""

    hit: Hit
    unit: Document
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A search once its request is checked. `depth` is how many documents are retrieved per query."""

    request: SearchRequest
    queries: tuple[str, ...]
    k: int
    depth: int
    where: Filter


async def search(call: Call) -> Answer:
    """POST /search: the best documents for a query, or for each of several."""
    index = index_of(call)
    plan = _plan(call, index)
    call.begin(len(plan.queries), ModelKind.EMBEDDING)
    with index_errors(call):
        served = index.current()
        with call.service.holding(served.queries) as lease:
            work = call.work(
                tuple(ModelInput(query) for query in plan.queries), TokenizeOptions(served.contract.prompt(Role.QUERY))
            )
            outcome = await call.compute(lease, work)
            encoded = perf_counter()
            left = work.deadline_seconds - (encoded - call.started)
            results = await index.in_thread(lambda: _retrieve(served, plan, outcome), seconds=left)
            retrieved = perf_counter()
            if plan.request.rerank:
                results = await _rerank(call, plan, results)
            results = [ranked[: plan.k] for ranked in results]
            call.service.metrics.index.searched(
                len(plan.queries),
                encode=encoded - call.started,
                retrieve=retrieved - encoded,
                rerank=perf_counter() - retrieved if plan.request.rerank else None,
            )
            ids = await _keep(call, index, plan, served, results)
            answer = call.answer(_body(call, plan, served, results, ids), lease, work, outcome)
    return replace(answer, headers=(*answer.headers, release_header(served.name)))


def index_of(call: Call) -> IndexService:
    """Return the index of the server. Raises `NotServedError` where it has none."""
    if call.index is None:
        raise NotServedError(
            "this server has no index", hint="dialekt index build makes one; then start dialekt serve in the project"
        )
    return call.index


@contextmanager
def index_errors(call: Call) -> Iterator[None]:
    """Tell what the index says in the words of a request; what the server's owner must look at goes to the log."""
    try:
        yield
    except InputError as error:
        raise RequestError(error.message, hint=error.hint) from None
    except NotFoundError as error:
        raise NotServedError(error.message, hint=error.hint) from None
    except (EndpointError, StorageError) as error:
        call.service.journal.note(JournalEvent.WARNING, path=call.scope["path"], message=error.message)
        raise UnavailableError(
            "the index cannot be used now; the server's log says why", hint="ask again later"
        ) from None


def release_header(name: str) -> tuple[bytes, bytes]:
    """Return the header that names a release."""
    return (b"x-dialekt-release", name.encode())


def _plan(call: Call, index: IndexService) -> Plan:
    """Check a request. Raises `RequestError`."""
    request, config = call.parse(SearchRequest), index.config
    queries = tuple(request.queries)
    check_batch(len(queries), most=call.service.config.max_client_batch_size)
    if not all(query.strip() for query in queries):
        raise EmptyInputError("`query` cannot be empty", param="query")
    k = request.k or config.default_k
    if k > config.max_k:
        raise RequestError(f"`k` is {k}, and the most is {config.max_k}", hint="search.max_k raises it", param="k")
    with index_errors(call):
        where = parse_filter(request.conditions)
    depth = max(k, min(request.rerank_depth, config.max_k)) if request.rerank else k
    return Plan(request, queries, k, depth, where)


def _retrieve(served: ServedRelease, plan: Plan, outcome: Outcome) -> list[list[Ranked]]:
    """Return every query's documents as they are now; one that was deleted or changed a moment ago may be none."""
    request, settings = plan.request, served.release.settings
    settings = replace(
        settings,
        exact=request.exact or settings.exact,
        oversampling=request.oversampling or settings.oversampling,
    )
    results = served.searcher.search(
        shape(outcome.values, dimensions=served.contract.dimension, normalize=True),
        k=plan.depth,
        where=plan.where or None,
        settings=settings,
        texts=plan.queries if request.hybrid else None,
    )
    units = served.searcher.documents.read(list({hit.unit_id for hits in results for hit in hits}))
    passing = {name for name, unit in units.items() if plan.where.matches(tags_of(unit.metadata))}
    return [[Ranked(hit, units[hit.unit_id]) for hit in hits if hit.unit_id in passing] for hits in results]


async def _rerank(call: Call, plan: Plan, results: list[list[Ranked]]) -> list[list[Ranked]]:
    """Let a cross-encoder order the best documents of every query; those that it does not see come after."""
    depth = plan.request.rerank_depth
    pairs = [
        ModelInput(query, pair=ranked.unit.content)
        for query, found in zip(plan.queries, results, strict=True)
        for ranked in found[:depth]
    ]
    if not pairs:
        return results
    name = plan.request.rerank if isinstance(plan.request.rerank, str) else None
    async with call.service.lease(name, ModelKind.RERANKER) as lease:
        work = call.work(pairs, TokenizeOptions())
        logits = (await call.service.run_windows(lease, _as_query(work, call), call.receive)).values[:, 0]
    scores = iter(expit(logits.astype(np.float64)).tolist())
    ordered: list[list[Ranked]] = []
    for found in results:
        seen = [replace(ranked, rerank_score=next(scores)) for ranked in found[:depth]]
        ordered.append([*sorted(seen, key=lambda ranked: -(ranked.rerank_score or 0.0)), *found[depth:]])
    return ordered


def _as_query(work: Work, call: Call) -> Work:
    """Give the pairs of a search the priority of its queries: somebody waits for them, however many they are."""
    return replace(work, priority=call.work((), TokenizeOptions()).priority)


async def _keep(
    call: Call, index: IndexService, plan: Plan, served: ServedRelease, results: Sequence[Sequence[Ranked]]
) -> list[str]:
    """Write the searches into the log; return their ids. A log that cannot be written fails no search."""
    request = plan.request
    ids = [str(uuid4()) for _ in plan.queries]
    if index.config.log is SearchLog.OFF:
        return ids
    attributes = {
        "release": served.name,
        "model": served.queries.target.reference,
        "k": plan.k,
        "hybrid": request.hybrid,
        "rerank": bool(request.rerank),
        "filtered": bool(plan.where),
    }
    searches = [
        Searched(
            query_id, query, tuple(ranked.hit.document_id for ranked in found), attributes,
            client_id=request.client_id, session_id=request.session_id, user_id=request.user_id,
            application=request.application,
        )
        for query_id, query, found in zip(ids, plan.queries, results, strict=True)
    ]  # fmt: skip
    try:
        await asyncio.to_thread(index.log.write_queries, searches)
    except (StorageError, OSError) as error:
        call.service.journal.note(JournalEvent.WARNING, search_log=type(error).__name__)
    return ids


def _body(
    call: Call, plan: Plan, served: ServedRelease, results: Sequence[Sequence[Ranked]], ids: Sequence[str]
) -> bytes:
    shown = [[_shown(ranked, plan.request) for ranked in found] for found in results]
    body = {
        "release": served.name,
        "model": served.queries.target.reference,
        "took_ms": round((perf_counter() - call.started) * 1e3, 3),
    }
    if isinstance(plan.request.query, str):
        return to_json({**body, "query_id": ids[0], "hits": shown[0]})
    return to_json({**body, "query_ids": ids, "results": shown})


def _shown(ranked: Ranked, request: SearchRequest) -> dict[str, object]:
    unit = ranked.unit
    shown: dict[str, object] = {
        "id": ranked.hit.document_id,
        "unit": unit.id,
        "score": ranked.hit.score,
        "title": unit.title,
    }
    if ranked.rerank_score is not None:
        shown["rerank_score"] = ranked.rerank_score
    if request.return_text:
        shown["text"] = unit.text
    if request.return_metadata:
        shown["metadata"] = dict(unit.metadata)
    return shown
