"""A machine that was never measured: round figures that a hand can reckon with."""

from dataclasses import replace

from dialekt.config import IndexEngine, Quantization
from dialekt.planning.calibration import EncodingSpeed, SearchSpeed, SearchTrial
from dialekt.planning.choices import Grounds
from dialekt.planning.records import Input, Loss, Partitions, RowShape, Workload
from dialekt.types import Interval

PARTITIONS = Partitions(least_rows=5_000, rows_each=2_048, fewest=4, fewest_read=32)
WORKLOAD = Workload(
    documents=1_000_000,
    units=1_000_000,
    tokens_per_unit=100.0,
    queries_per_second=10.0,
    latency_seconds=0.2,
    changed_per_day=1_000,
    embedding_machines=4,
    memory_bytes=8_000_000_000,
    allowed_loss=0.01,
)
ENCODING = EncodingSpeed(
    measured_at="2026-01-01T00:00:00+00:00",
    device="cpu",
    precision="fp32",
    cores=2,
    memory_bytes=10_000_000_000,
    model_bytes=90_000_000,
    documents=Interval(10_000.0, 8_000.0, 12_500.0),
    document_tokens=100.0,
    query=Interval(0.001, 0.001, 0.001),
    query_alone=Interval(0.004, 0.004, 0.004),
    query_tokens=12.0,
    serving_engine="torch fp32",
)


def exactly(seconds: float) -> Interval:
    """Return a time without any range."""
    return Interval(seconds, seconds, seconds)


def searching(*, fixed: float = 0.001, per_number: float = 1e-10) -> SearchSpeed:
    """Return an exact engine that takes `fixed + rows × dimensions × per_number` seconds, whatever the codes."""
    stages = [(False, 384, Quantization.NONE), (True, 256, Quantization.NONE), (True, 64, Quantization.NONE)]
    stages += [(True, size, kind) for kind in (Quantization.INT8, Quantization.BINARY) for size in (384, 64)]
    trials = tuple(
        SearchTrial(stage, size, kind, rows, float(rows), seconds, seconds)
        for stage, size, kind in stages
        for rows in (10_000, 50_000)
        for seconds in [exactly(fixed + rows * size * per_number)]
    )
    return SearchSpeed("2026-01-01T00:00:00+00:00", IndexEngine.EXACT, 8.0, Interval(5_000.0, 4_000.0, 6_250.0), trials)


GROUNDS = Grounds(
    encoding=ENCODING,
    search=searching(),
    shape=RowShape(),
    partitions=PARTITIONS,
    originals=1_000.0,
    originals_how="measured on samples",
    losses={},
    inputs=(),
)


def grounds(*, losses: dict[str, Loss] | None = None, search: SearchSpeed | None = GROUNDS.search,
            inputs: tuple[Input, ...] = ()) -> Grounds:  # fmt: skip
    """Return the grounds with some of them changed."""
    return replace(GROUNDS, losses=losses or {}, search=search, inputs=inputs)
