"""The routes by which the server is run: /health, /ready, /metrics, /info; and POST /, which is another route."""

import asyncio
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, assert_never

import orjson

from dialekt.config import Precision
from dialekt.errors import MalformedRequestError, UnavailableError
from dialekt.models.engines.records import EngineChoice, ModelKind
from dialekt.serving.answers import Answer, json_answer
from dialekt.serving.endpoint import Call, Handler, engine_type
from dialekt.serving.routes_scores import predict, rerank
from dialekt.serving.routes_tei import embed, similarity
from dialekt.serving.service import Lease

_DTYPES = {Precision.FP32.value: "float32", Precision.BF16.value: "bfloat16"}  # TEI's words
_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"


async def health(call: Call) -> Answer:
    """GET /health: 200 while the process can answer. Whether it should be asked says /ready."""
    if not call.service.is_alive:
        raise UnavailableError("unhealthy")
    return Answer()


async def ready(call: Call) -> Answer:
    """GET /ready: 200 while requests should come."""
    if (call.service if call.index is None else call.index).ready:
        return Answer()
    raise UnavailableError("the server is about to end" if call.service.draining else "the model is being loaded")


async def metrics(call: Call) -> Answer:
    """GET /metrics: counters and durations in Prometheus' text format."""
    call.service.metrics.queue_changed(call.service.waiting)
    return Answer(call.service.metrics.render(), media_type=_PROMETHEUS)


async def info(call: Call) -> Answer:
    """GET /info: TEI's facts of the first model served, its engine and how that was chosen, and all models."""
    config = call.service.config
    async with call.service.lease(None, *ModelKind) as lease:
        model, choice = lease.model, lease.model.choice
        rows = await asyncio.to_thread(call.service.rows)
        facts = {
            "model_id": config.served_model_name or lease.reference,
            "model_sha": model.content_id,
            "model_dtype": _DTYPES.get(model.engine.precision, model.engine.precision),
            "served_model_name": config.served_model_name or lease.slot.target.name,
            "model_type": _model_type(lease),
            "max_concurrent_requests": config.max_concurrent_requests,
            "max_input_length": model.max_tokens,
            "max_batch_tokens": config.max_batch_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": config.max_client_batch_size,
            "auto_truncate": config.auto_truncate,
            "tokenization_workers": call.service.tokenization_workers,
            "version": version("dialekt"),
            "sha": None,
            "docker_label": None,
            "engine": {"name": choice.engine, "compute_type": engine_type(lease), **_trials(choice)},
            "models": [asdict(row) for row in rows],
        }
    return json_answer(facts)


async def root(call: Call) -> Answer:
    """POST /: /rerank, /similarity, /embed or /predict, by the shape of the body and the kind of the model."""
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise MalformedRequestError("Failed to parse the request body as JSON") from None
    fields: dict[str, Any] = body if isinstance(body, dict) else {}
    handler = _by_shape(fields) or await _by_kind(call, fields.get("model"))
    return await handler(call)


def _by_shape(fields: dict[str, Any]) -> Handler | None:
    if "query" in fields or "texts" in fields:
        return rerank
    return similarity if isinstance(fields.get("inputs"), dict) else None


async def _by_kind(call: Call, reference: Any) -> Handler:
    async with call.service.lease(reference if isinstance(reference, str) else None, *ModelKind) as lease:
        match lease.model.kind:
            case ModelKind.EMBEDDING:
                return embed
            case ModelKind.RERANKER | ModelKind.CLASSIFIER:
                return predict
            case _:
                assert_never(lease.model.kind)


def _model_type(lease: Lease) -> dict[str, Any]:
    model = lease.model
    match model.kind:
        case ModelKind.EMBEDDING:
            contract = model.contract
            return {"embedding": {"pooling": contract.pooling if contract else ""}}
        case ModelKind.RERANKER | ModelKind.CLASSIFIER:
            numbered = {str(number): label for number, label in enumerate(model.labels)}
            labels = {"id2label": numbered, "label2id": {label: int(number) for number, label in numbered.items()}}
            return {model.kind.value: labels}
        case _:
            assert_never(model.kind)


def _trials(choice: EngineChoice) -> dict[str, Any]:
    return {
        "measured": choice.measured,
        "from_cache": choice.from_cache,
        "trials": [asdict(trial) for trial in choice.trials],
    }
