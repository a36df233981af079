"""Choices planned through, and which one is taken."""

from dataclasses import replace

import pytest
from tests.planning.samples import PARTITIONS, WORKLOAD, grounds, searching

from dialekt.config import IndexEngine, Quantization
from dialekt.planning.choices import layouts_of, make_plan
from dialekt.planning.records import Basis, Input, Loss, Plan, Workload

DIMENSIONS = (384, 256, 64)
LAYOUTS = layouts_of(IndexEngine.EXACT, DIMENSIONS)
SURE = Loss(0.002, 0.0, 0.006, "index advise")
DOUBTFUL = Loss(0.005, 0.0, 0.02, "index advise")


def plan_of(workload: Workload = WORKLOAD, **changes: object) -> Plan:
    """Return the plan of a workload on the sample machine."""
    return make_plan(workload, LAYOUTS, grounds(**changes))  # type: ignore[arg-type]


def test_every_dimension_meets_every_quantisation() -> None:
    """Full vectors once, then three kinds of each dimension but float32 of all of them."""
    assert [layout.name for layout in LAYOUTS] == [
        "full vectors", "384 int8", "384 binary", "256 float32", "256 int8", "256 binary",
        "64 float32", "64 int8", "64 binary",
    ]  # fmt: skip
    postgres = layouts_of(IndexEngine.PGVECTOR, (64,))
    assert [layout.quantization for layout in postgres] == [Quantization.NONE, Quantization.BINARY]


def test_figures_by_hand() -> None:
    """A million rows of 64 numbers take 1 + 6.4 ms, of 384 1 + 38.4; memory grows with the codes and nothing else."""
    by_name = {choice.layout.name: choice for choice in plan_of().choices}
    assert by_name["64 float32"].search_seconds.value == pytest.approx(0.0074)
    assert by_name["full vectors"].search_seconds.value == pytest.approx(0.0394)
    codes = [by_name[f"64 {kind}"].memory.value for kind in ("float32", "int8", "binary")]
    assert codes[0] is not None
    assert codes[1] is not None
    assert codes[2] is not None
    assert (codes[0] - codes[1], codes[1] - codes[2]) == pytest.approx((192e6, 56e6))
    assert by_name["full vectors"].vectors.value == 1_536e6


def test_nothing_measured_means_full_vectors() -> None:
    """A choice whose loss nobody knows is not recommended, and the plan says how to know it."""
    plan = plan_of(replace(WORKLOAD, queries_per_second=100.0))
    assert plan.recommended is not None
    assert plan.recommended.layout.name == "full vectors"
    assert plan.recommended.loss.basis is Basis.COUNTED
    assert plan.choices[-1].loss.basis is Basis.UNKNOWN
    assert any("64 binary needs" in line and "dialekt index advise" in line for line in plan.changes)


def test_the_cheapest_that_surely_loses_little_is_taken() -> None:
    """The upper end of a loss decides: .6% passes a limit of 1%, 2% does not, though its middle does."""
    busy = replace(WORKLOAD, queries_per_second=100.0)
    plan = plan_of(busy, losses={"64 float32": SURE, "64 binary": DOUBTFUL})
    assert plan.recommended is not None
    assert plan.recommended.layout.name == "64 float32"
    assert plan.recommended.machines.value < plan.choices[0].machines.value  # type: ignore[operator]
    more = plan_of(replace(busy, allowed_loss=0.02), losses={"64 float32": SURE, "64 binary": DOUBTFUL})
    assert more.recommended is not None
    assert more.recommended.layout.name == "64 binary"


def test_a_limit_on_loss_that_costs_machines_is_named() -> None:
    """Where a little more loss would save machines, the plan says which limit would allow it."""
    busy = replace(WORKLOAD, queries_per_second=100.0)
    plan = plan_of(busy, losses={"64 binary": DOUBTFUL})
    assert any(line.startswith("--allowed-loss 0.02 allows 64 binary") for line in plan.changes)


def test_little_memory_divides_the_index() -> None:
    """An index of 1.9 GB in memory is divided over machines of half a GB; what fits in one piece comes first."""
    tight = replace(WORKLOAD, memory_bytes=500_000_000)
    plan = plan_of(tight, losses={"64 binary": SURE})
    by_name = {choice.layout.name: choice for choice in plan.choices}
    assert by_name["full vectors"].parts >= 4
    assert "a model" in by_name["full vectors"].machines.how
    assert by_name["64 binary"].parts == 1
    assert plan.recommended == by_name["64 binary"]


def test_a_latency_that_nothing_meets_recommends_nothing() -> None:
    """Where embedding a query takes longer than the limit, no choice has machines, and the reason says so."""
    plan = plan_of(replace(WORKLOAD, latency_seconds=0.003))
    assert plan.recommended is None
    assert "within 3 ms" in plan.reason
    assert all(choice.machines.value is None for choice in plan.choices)


def test_another_latency_is_named_where_it_saves_machines() -> None:
    """The same plan with twice the time needs fewer machines, and says how many."""
    plan = plan_of(replace(WORKLOAD, queries_per_second=200.0, latency_seconds=0.06))
    assert any(line.startswith("--latency-ms 120: full vectors, ") for line in plan.changes)


def test_an_engine_that_was_not_measured_is_planned_by_bytes() -> None:
    """Without a measurement, machines and search are unknown; disk and memory are not, and memory decides."""
    layouts = layouts_of(IndexEngine.PGVECTOR, DIMENSIONS)
    plan = make_plan(WORKLOAD, layouts, grounds(search=None, losses={"64 binary": SURE}))
    assert {choice.search_seconds.basis for choice in plan.choices} == {Basis.UNKNOWN}
    assert all(choice.memory.value for choice in plan.choices)
    assert plan.recommended is not None
    assert plan.recommended.layout.name == "64 binary"


def test_qdrants_bytes_are_assumed() -> None:
    """No Qdrant server was held against the formula, so its bytes do not say that they were counted."""
    plan = make_plan(WORKLOAD, layouts_of(IndexEngine.QDRANT, DIMENSIONS), grounds(search=None))
    assert {choice.disk.basis for choice in plan.choices} == {Basis.ASSUMED}


def test_assumptions_are_what_would_change_the_answer() -> None:
    """Each option that would replace an assumption is named once."""
    inputs = (
        Input("tokens per document", 128, Basis.ASSUMED, "", "--tokens-per-document"),
        Input("chunks per document", 1, Basis.ASSUMED, "", "--tokens-per-document"),
        Input("tokens per second", 10_000, Basis.MEASURED, ""),
    )
    named = [line for line in plan_of(inputs=inputs).changes if "--tokens-per-document" in line]
    assert named == ["tokens per document is assumed: --tokens-per-document sets it"]


def test_partitions_that_are_read() -> None:
    """Below 32 partitions all are read, above it three in four; a small table has none."""
    assert PARTITIONS.read_rows(4_999) == 4_999
    assert PARTITIONS.read_rows(32 * 2_048) == 32 * 2_048
    assert PARTITIONS.read_rows(100 * 2_048) == 75 * 2_048


def test_lancedb_is_planned_by_the_rows_it_reads() -> None:
    """Of a million rows a search reads three quarters, and a quarter where the user says so."""
    layouts = layouts_of(IndexEngine.LANCEDB, DIMENSIONS)
    speed = replace(searching(), engine=IndexEngine.LANCEDB)
    usual = make_plan(WORKLOAD, layouts, grounds(search=speed)).choices[0].search_seconds.value
    quarter = replace(grounds(search=speed), partitions=replace(PARTITIONS, read_share=0.25, fewest_read=1))
    less = make_plan(WORKLOAD, layouts, quarter).choices[0].search_seconds.value
    assert usual == pytest.approx(0.001 + 0.75 * 0.0384, rel=0.01)
    assert less == pytest.approx(0.001 + 0.25 * 0.0384, rel=0.01)
