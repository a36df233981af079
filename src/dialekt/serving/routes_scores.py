"""The routes of Text Embeddings Inference that score: /rerank and /predict."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from dialekt.errors import BackendError, EmptyInputError
from dialekt.models.engines.records import ModelInput, ModelKind
from dialekt.serving.answers import Answer, to_json
from dialekt.serving.endpoint import Call
from dialekt.serving.limits import check_batch
from dialekt.serving.routes_tei import checked_inputs, tokenize_options
from dialekt.serving.wire_tei import PredictRequest, RerankRequest, predict_inputs


async def rerank(call: Call) -> Answer:
    """POST /rerank: texts by how well they answer a query, the best first."""
    request = call.parse(RerankRequest)
    if not request.texts:
        raise EmptyInputError("`texts` cannot be empty", param="texts")
    check_batch(len(request.texts), most=call.service.config.max_client_batch_size)
    inputs = checked_inputs(call, [ModelInput(request.query, pair=text) for text in request.texts])
    call.begin(len(inputs), ModelKind.RERANKER)
    async with call.service.lease(request.model, ModelKind.RERANKER) as lease:
        work = call.work(inputs, tokenize_options(call, truncate=request.truncate, direction=request.direction))
        outcome = await call.compute(lease, work)
        scores = _scores(outcome.values, raw=request.raw_scores)[:, 0]
        order = np.argsort(-scores, kind="stable")
        ranks = [
            {"index": index, "text": request.texts[index], "score": scores[index]}
            if request.return_text
            else {"index": index, "score": scores[index]}
            for index in order.tolist()
        ]
        return call.answer(to_json(ranks), lease, work, outcome)


async def predict(call: Call) -> Answer:
    """POST /predict: labels with their scores, the best first."""
    request = call.parse(PredictRequest)
    inputs = checked_inputs(call, predict_inputs(request.inputs))
    call.begin(len(inputs), ModelKind.CLASSIFIER)
    async with call.service.lease(request.model, ModelKind.CLASSIFIER, ModelKind.RERANKER) as lease:
        work = call.work(inputs, tokenize_options(call, truncate=request.truncate, direction=request.direction))
        outcome = await call.compute(lease, work)
        labels = lease.model.labels
        rows = [
            [{"score": row[place], "label": labels[place]} for place in np.argsort(-row, kind="stable").tolist()]
            for row in _scores(outcome.values, raw=request.raw_scores)
        ]
        is_batch = isinstance(request.inputs, list) and isinstance(request.inputs[0], list)
        return call.answer(to_json(rows if is_batch else rows[0]), lease, work, outcome)


def _scores(logits: NDArray[np.float32], *, raw: bool) -> NDArray[np.float32]:
    """Return (inputs, labels) scores: the logits, the sigmoid of one, or the softmax of several."""
    if not np.isfinite(logits).all():
        raise BackendError("score is NaN")
    if raw:
        return logits
    chances = expit(logits.astype(np.float64)) if logits.shape[1] == 1 else softmax(logits.astype(np.float64), axis=1)
    return np.asarray(chances, dtype=np.float32)
