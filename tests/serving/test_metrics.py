"""What Prometheus reads of the server."""

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dialekt.models.engines.records import ModelKind
from dialekt.serving.metrics import Metrics
from dialekt.serving.records import Outcome


def _samples(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def _outcome(*tokens: int) -> Outcome:
    return Outcome(np.zeros((len(tokens), 1), np.float32), (), tokens, 0.001, 0.002, 0.004)


def test_a_request_is_counted_once_and_its_inputs_each() -> None:
    """TEI counts requests by method, and inputs by task."""
    metrics = Metrics()
    metrics.request_started(inputs=3, kind=ModelKind.EMBEDDING)
    metrics.request_answered(_outcome(4, 5, 600), kind=ModelKind.EMBEDDING, seconds=0.01)
    metrics.request_started(inputs=1, kind=ModelKind.RERANKER)
    metrics.request_answered(_outcome(7), kind=ModelKind.RERANKER, seconds=0.02)
    samples = _samples(metrics)
    assert samples['te_request_count{method="batch"}'] == samples['te_request_success{method="batch"}'] == 1
    assert samples['te_request_count{method="single"}'] == 1
    assert samples["te_embed_count"] == samples["te_embed_success"] == 3
    assert samples["te_predict_count"] == samples["te_predict_success"] == 1
    assert samples["te_request_duration_count"] == 2
    assert samples["te_request_duration_sum"] == pytest.approx(0.03)
    assert samples["te_embed_queue_duration_count"] == 3
    assert samples["te_request_input_length_count"] == 4
    assert samples['te_request_input_length_bucket{le="4.0"}'] == 1
    assert samples['te_request_input_length_bucket{le="8.0"}'] == 3
    assert samples['te_request_input_length_bucket{le="+Inf"}'] == 4


def test_batches_queue_models_and_failures_are_shown_under_their_names() -> None:
    """The names of TEI where it has one; `dialekt_*` elsewhere."""
    metrics = Metrics()
    metrics.batch(inputs=8, tokens=256)
    metrics.queue_changed(5)
    metrics.request_failed("overloaded")
    metrics.models_changed(loaded=2, size_bytes=1000)
    metrics.model_loaded()
    metrics.model_reloaded()
    metrics.model_evicted()
    samples = _samples(metrics)
    assert samples["te_batch_next_size_sum"] == 8
    assert samples['te_batch_next_tokens_bucket{le="256.0"}'] == 1
    assert samples["te_queue_size"] == 5
    assert samples['te_request_failure{err="overloaded"}'] == 1
    assert samples["dialekt_models_loaded"] == 2
    assert samples["dialekt_models_bytes"] == 1000
    assert samples["dialekt_model_loads"] == samples["dialekt_model_reloads"] == samples["dialekt_model_evictions"] == 1
    assert samples["process_resident_memory_bytes"] > 0


def test_searches_and_writes_of_the_index_are_counted() -> None:
    """Queries, the seconds of their parts, changes by kind, what is pending, and the release as a label."""
    metrics = Metrics()
    assert not any(name.startswith("dialekt_index_release") for name in _samples(metrics))
    metrics.index.searched(3, encode=0.01, retrieve=0.002, rerank=None)
    metrics.index.searched(1, encode=0.01, retrieve=0.002, rerank=0.5)
    metrics.index.changed(4, kind="upsert")
    metrics.index.pending_changed(2)
    metrics.index.release_changed("r2")
    samples = _samples(metrics)
    assert samples["dialekt_search_count"] == 4
    assert samples["dialekt_search_encode_duration_count"] == samples["dialekt_search_retrieve_duration_count"] == 2
    assert samples["dialekt_search_rerank_duration_sum"] == 0.5
    assert samples['dialekt_index_changes{kind="upsert"}'] == 4
    assert samples["dialekt_index_pending"] == 2
    assert samples['dialekt_index_release{release="r2"}'] == 1


def test_counters_keep_tei_s_names_and_type() -> None:
    """No `_total` is appended, so that a dashboard made for TEI finds them."""
    text = Metrics().render().decode()
    assert "# TYPE te_request_count counter" in text
    assert len(list(text_string_to_metric_families(text))) > 30
    assert "_total{" not in text.replace("process_cpu_seconds_total", "")
