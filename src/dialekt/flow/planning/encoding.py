"""How fast this machine embeds: documents in bulk, queries in the batches that the server makes, and one by itself."""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dialekt.config import EngineName, ServingConfig
from dialekt.flow.clock import now
from dialekt.flow.index_models import IndexedModel
from dialekt.flow.planning.rounds import LABEL, ROUNDS, Effort, Kept, interval, key_of, timed
from dialekt.models.engines.lanes import cpu_count
from dialekt.planning.calibration import EncodingSpeed, encoding_from_json, to_json
from dialekt.types import Interval, Progress, ReportProgress, Role, no_progress

if TYPE_CHECKING:
    from dialekt.models.encoder import Encoder
    from dialekt.models.engines.servable import Servable

_MOST_BATCH = 512
_PROBED_TEXTS = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts that stand for the corpus and for its queries."""

    documents: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _QuerySpeed:
    """Seconds of the machine per query in full batches, seconds of one by itself, and tokens of one."""

    full: Interval
    alone: Interval
    tokens: float


def encoding_speed(
    model: IndexedModel,
    serving: ServingConfig,
    sample: Sample,
    kept: Kept,
    *,
    effort: Effort,
    progress: ReportProgress = no_progress,
) -> EncodingSpeed:
    """Return how fast this machine embeds with a model: as it was measured before, or measured now and kept.

    A measurement holds for this model, these texts, this machine and these libraries. Where the settings leave the
    server's engine open, torch is measured: choosing another one takes the server minutes. Raises `ModelError`.
    """
    engine = EngineName.TORCH if serving.engine is EngineName.AUTO else serving.engine
    settled = serving.model_copy(update={"engine": engine})
    key = key_of(
        {
            "model": model.model_id,
            "contract": asdict(model.contract),
            "texts": asdict(sample),
            "device": model.config.device,
            "engine": engine,
            "dtype": serving.dtype,
        }
    )
    name = f"encoding-{key[:16]}.json"
    known = encoding_from_json(kept.read(name), key)
    if known is not None:
        return known
    found = _measure(model, settled, sample, effort, progress)
    kept.write(name, to_json(key, found))
    return found


def _measure(
    model: IndexedModel, serving: ServingConfig, sample: Sample, effort: Effort, progress: ReportProgress
) -> EncodingSpeed:
    from dialekt.models.encoder import Encoder
    from dialekt.models.engines.loading import load_servable
    from dialekt.models.machine import describe_machine

    progress(Progress(LABEL, 0, note="loading the model"))
    encoder = Encoder.load(model.location, model.config)
    documents, document_tokens = _documents(encoder, sample.documents, effort.document_seconds, progress)
    servable = load_servable(
        model.location,
        model=model.config,
        engine=serving.engine,
        dtype=serving.dtype,
        cache=serving.cache,
        material=None,
    )
    try:
        query = _queries(servable, model.contract.query_prompt, sample.queries, effort.query_seconds, progress)
    finally:
        servable.engine.close()
    machine = describe_machine(model.config.device)
    return EncodingSpeed(
        measured_at=now(),
        device=machine.device_name,
        precision=encoder.precision.value,
        cores=cpu_count(),
        memory_bytes=machine.memory_bytes,
        model_bytes=servable.size_bytes,
        documents=documents,
        document_tokens=document_tokens,
        query=query.full,
        query_alone=query.alone,
        query_tokens=query.tokens,
        serving_engine=f"{servable.choice.engine.value} {servable.engine.precision}",
    )


def _documents(
    encoder: "Encoder", texts: Sequence[str], seconds: float, progress: ReportProgress
) -> tuple[Interval, float]:
    """Return tokens per second in bulk, and the mean tokens of a text."""
    few = texts[:_PROBED_TEXTS]
    encoder.embed(few, Role.DOCUMENT)  # the first call is slower
    start = time.perf_counter()
    encoder.embed(few, Role.DOCUMENT)
    per_text = (time.perf_counter() - start) / len(few)
    size = max(len(few), min(len(texts), int(seconds / ROUNDS / per_text)))
    rates, tokens = [], 0.0
    for turn in range(ROUNDS):
        progress(Progress(LABEL, turn, ROUNDS, note="embedding documents"))
        part = [texts[(turn * size + place) % len(texts)] for place in range(size)]
        start = time.perf_counter()
        embedded = encoder.embed(part, Role.DOCUMENT).tokens
        rates.append(embedded / (time.perf_counter() - start))
        tokens += embedded
    return interval(rates), tokens / (ROUNDS * size)


def _queries(
    servable: "Servable", prompt: str, texts: Sequence[str], seconds: float, progress: ReportProgress
) -> _QuerySpeed:
    from dialekt.models.engines.bulk import run_rows
    from dialekt.models.engines.records import ModelInput, TokenizeOptions

    engine, options = servable.engine, TokenizeOptions(prompt)
    rows = servable.tokenizer.encode([ModelInput(text) for text in texts], options)
    length = sum(len(row.ids) for row in rows) / len(rows)
    batch = max(1, min(_MOST_BATCH, int(engine.batch_tokens / length)))
    turns = itertools.cycle(texts)

    def run(count: int) -> None:
        taken = [ModelInput(text) for text in itertools.islice(turns, count)]
        run_rows(engine, servable.tokenizer.encode(taken, options))

    def lanes(threads: ThreadPoolExecutor) -> None:
        for done in [threads.submit(run, batch) for _ in range(engine.lanes)]:
            done.result()

    with ThreadPoolExecutor(engine.lanes) as threads:
        progress(Progress(LABEL, 0, 2, note="embedding queries, many at once"))
        full = timed(lambda: lanes(threads), seconds / 2)
        progress(Progress(LABEL, 1, 2, note="embedding queries, one by one"))
        alone = timed(lambda: run(1), seconds / 2)
    return _QuerySpeed(interval([one / (batch * engine.lanes) for one in full]), interval(alone), length)
