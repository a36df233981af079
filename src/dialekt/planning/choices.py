"""Every choice of dimensions and quantisation, planned through; which one to take, and what would change that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dialekt.config import IndexEngine, Quantization
from dialekt.planning import growth, queueing
from dialekt.planning.calibration import EncodingSpeed, SearchSpeed
from dialekt.planning.costs import Speeds, all_work, price_per_month
from dialekt.planning.growth import Growth
from dialekt.planning.records import (
    Basis,
    Choice,
    Figure,
    Input,
    Layout,
    Loss,
    Partitions,
    Plan,
    RowShape,
    Serving,
    Stored,
    Workload,
    counted,
    unknown,
)
from dialekt.planning.storage import quantizations, stored
from dialekt.types import Interval

_WORTH_MEASURING = 0.75
NOT_MEASURED_ENGINE = "search in this engine was not measured here"


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a plan rests on. `losses` are by `Layout.name`; `originals` are the bytes of texts and words of a unit.

    `search` is None for an engine that was not measured. `originals_how` says how `originals` were made.
    """

    encoding: EncodingSpeed
    search: SearchSpeed | None
    shape: RowShape
    partitions: Partitions
    originals: float
    originals_how: str
    losses: Mapping[str, Loss]
    inputs: tuple[Input, ...] = ()
    notes: tuple[str, ...] = ()
    machine: Mapping[str, str] | None = None


def layouts_of(engine: IndexEngine, dimensions: Sequence[int]) -> tuple[Layout, ...]:
    """Return what an engine can be made of for a model's trained dimensions, full vectors first."""
    full = max(dimensions)
    plain = Layout(engine, full, full, Quantization.NONE, first_stage=False)
    short = [
        Layout(engine, full, size, kind, first_stage=True)
        for size in sorted(dimensions, reverse=True)
        for kind in quantizations(engine, size)
        if (size, kind) != (full, Quantization.NONE)
    ]
    return (plain, *short)


def make_plan(workload: Workload, layouts: Sequence[Layout], grounds: Grounds) -> Plan:
    """Plan every choice through and recommend the cheapest that is known to lose no more than is allowed."""
    choices = tuple(_choice(workload, layout, grounds) for layout in layouts)
    recommended = recommend(choices, workload)
    search = grounds.search
    speeds = Speeds(
        grounds.encoding.documents, search.load if search else None, largest_rows=search.largest if search else 0
    )
    return Plan(
        workload=workload,
        inputs=grounds.inputs,
        originals=replace(counted(workload.units * grounds.originals, ""), how=grounds.originals_how),
        work=all_work(workload, speeds, units_per_document=workload.units / max(1, workload.documents)),
        choices=choices,
        recommended=recommended,
        reason=_reason(choices, recommended, workload),
        changes=_changes(workload, choices, recommended, grounds),
        notes=grounds.notes,
        machine=grounds.machine or {},
    )


def recommend(choices: Sequence[Choice], workload: Workload) -> Choice | None:
    """Return the cheapest choice that surely loses no more than is allowed; None where none is known to.

    Cheapest is: in one piece before in parts, then fewest machines, least memory, least storage. Where machines are
    unknown for all, memory and storage decide.
    """
    good = [one for one in choices if _allowed(one, workload)]
    return min(filter(_answers, good), key=_cost, default=None)


def _cost(choice: Choice) -> tuple[bool, float, float, float]:
    machines = math.inf if choice.machines.value is None else choice.machines.value
    return (choice.parts > 1, machines, choice.memory.value or 0.0, choice.disk.value or 0.0)


def _allowed(choice: Choice, workload: Workload) -> bool:
    return choice.loss.high is not None and choice.loss.high <= workload.allowed_loss + 1e-12


def _choice(workload: Workload, layout: Layout, grounds: Grounds) -> Choice:
    sizes = stored(layout, grounds.shape, rows=workload.units, partitions=grounds.partitions)
    machines, parts = _machines(workload, layout, sizes, grounds)
    return Choice(
        layout=layout,
        loss=_loss(layout, grounds.losses),
        disk=_bytes(workload, layout, sizes.disk, "vectors, codes, ids and indexes of the engine"),
        vectors=_bytes(workload, layout, sizes.vectors, "full vectors"),
        codes=_bytes(workload, layout, sizes.codes, "what is searched first, with its index"),
        building=_bytes(workload, layout, sizes.disk + sizes.building, "the most that a build takes"),
        memory=_bytes(workload, layout, sizes.memory, "what a search reads, all of it in memory"),
        search_seconds=_search_seconds(workload, layout, grounds),
        machines=machines,
        parts=parts,
        price_per_month=price_per_month(machines, workload),
    )


def _bytes(workload: Workload, layout: Layout, per_unit: float, what: str) -> Figure:
    figure = counted(workload.units * per_unit, f"{what}: {per_unit:,.0f} bytes × {workload.units:,}")
    if layout.engine is IndexEngine.QDRANT:
        return replace(figure, low=None, high=None, basis=Basis.ASSUMED, how=f"{figure.how}, from Qdrant's own figures")
    return figure


def _loss(layout: Layout, losses: Mapping[str, Loss]) -> Figure:
    if not layout.first_stage:
        return counted(0.0, "what the others are compared with")
    found = losses.get(layout.name)
    if found is None:
        return unknown("dialekt index advise measures it")
    return Figure(found.value, found.low, found.high, Basis.MEASURED, found.origin)


def _search_seconds(workload: Workload, layout: Layout, grounds: Grounds) -> Figure:
    """Return how long one search takes by itself over an index in one piece."""
    if grounds.search is None:
        return unknown(NOT_MEASURED_ENGINE)
    line = grounds.search.alone(layout)
    found = line.seconds(_read_rows(workload.units, layout, grounds.partitions), layout.searched)
    how = (
        f"{growth.MODEL}, from at most {grounds.search.largest:,} rows, {grounds.search.oversampling:g} candidates each"
    )
    return Figure(found.value, found.low, found.high, Basis.MEASURED, how)


def _read_rows(rows: float, layout: Layout, partitions: Partitions) -> float:
    return partitions.read_rows(math.ceil(rows)) if layout.engine is IndexEngine.LANCEDB else rows


def _machines(workload: Workload, layout: Layout, sizes: Stored, grounds: Grounds) -> tuple[Figure, int]:
    """Return how many machines answer the queries, and into how many parts the index is divided for that."""
    least = max(1, math.ceil(workload.units * sizes.memory / workload.memory_bytes))
    if grounds.search is None:
        return unknown(NOT_MEASURED_ENGINE), least
    lines = (grounds.search.alone(layout), grounds.search.service(layout))
    usual, fast, slow = (
        _serve(workload, layout, grounds, lines, end=end, least=least) for end in ("value", "low", "high")
    )
    if usual is None:
        return unknown(f"no number of machines answers within {workload.latency_seconds * 1_000:g} ms"), least
    span = queueing.widest(usual, fast, slow)
    divided = "" if usual.parts == 1 else f"; the index divided into {usual.parts} parts, which is a model"
    high = span.high if math.isfinite(span.high) else None
    return Figure(span.value, span.low, high, Basis.MEASURED, f"{queueing.MODEL}{divided}"), usual.parts


def _serve(
    workload: Workload, layout: Layout, grounds: Grounds, lines: tuple[Growth, Growth], *, end: str, least: int
) -> Serving | None:
    """Plan with one end of every measured interval: the usual, the fast or the slow one."""

    def of(interval: Interval) -> float:
        return float(getattr(interval, end))

    def search(parts: int) -> tuple[float, float]:
        rows = _read_rows(workload.units / parts, layout, grounds.partitions)
        alone, service = (of(line.seconds(rows, layout.searched)) for line in lines)
        return alone, service

    encode = (of(grounds.encoding.query_alone), of(grounds.encoding.query))
    return queueing.serving(
        workload.queries_per_second, encode=encode, search=search, least_parts=least, target=workload.latency_seconds
    )


def _reason(choices: Sequence[Choice], recommended: Choice | None, workload: Workload) -> str:
    loss = f"{workload.allowed_loss:.2%}".replace(".00%", "%")
    if recommended is None:
        if all(one.search_seconds.value is None for one in choices):
            return f"{NOT_MEASURED_ENGINE}, and no choice is known to lose at most {loss}"
        return (
            f"no choice that is known to lose at most {loss} answers {workload.queries_per_second:g} queries a second "
            f"within {workload.latency_seconds * 1_000:g} ms"
        )
    divided = "" if recommended.parts == 1 else f"; divided into {recommended.parts} parts, which no engine here does"
    if not recommended.layout.first_stage:
        others = "; no first stage that is cheaper is known to lose so little" if len(choices) > 1 else ""
        return f"full vectors lose nothing{others}{divided}"
    return f"the cheapest that surely loses at most {loss} ({recommended.loss.how}){divided}"


def _changes(
    workload: Workload, choices: Sequence[Choice], recommended: Choice | None, grounds: Grounds
) -> tuple[str, ...]:
    """Return what would change the answer: what is not measured, and each limit moved by itself."""
    found = [_unmeasured(choices, recommended), _more_loss(choices, recommended, workload)]
    twice = replace(workload, latency_seconds=2 * workload.latency_seconds)
    found.append(_moved(twice, choices, recommended, grounds, f"--latency-ms {twice.latency_seconds * 1_000:g}"))
    larger = replace(workload, memory_bytes=2 * workload.memory_bytes)
    found.append(_moved(larger, choices, recommended, grounds, f"--memory-per-machine {larger.memory_bytes / 1e9:.3g}"))
    assumed = {one.option: one for one in reversed(grounds.inputs) if one.option and one.basis is Basis.ASSUMED}
    found += [f"{one.name} is assumed: {one.option} sets it" for one in reversed(assumed.values())]
    return tuple(filter(None, found))


def _unmeasured(choices: Sequence[Choice], recommended: Choice | None) -> str:
    """Name the cheapest choice whose loss nobody knows, where it would save machines, or a quarter of the memory."""
    unknown_ones = [one for one in choices if one.loss.value is None and _answers(one)]
    cheapest = min(unknown_ones, key=_cost, default=None)
    if cheapest is None:
        return ""
    if recommended is None or _cost(cheapest)[:2] < _cost(recommended)[:2]:
        instead = "" if recommended is None else f" instead of {_counted_machines(recommended)}"
        saved = f"{cheapest.layout.name} needs {_counted_machines(cheapest)}{instead}"
    elif _gigabytes(recommended) >= 1 and _gigabytes(cheapest) < _WORTH_MEASURING * _gigabytes(recommended):
        saved = f"{cheapest.layout.name} takes {_gigabytes(cheapest):.3g} GB of memory instead of "
        saved += f"{_gigabytes(recommended):.3g}"
    else:
        return ""
    return f"{saved}, and what it loses is not measured here: dialekt index advise measures it"


def _answers(choice: Choice) -> bool:
    """Whether some machines answer in time, or nobody knows what machines do."""
    return choice.machines.value is not None or choice.search_seconds.value is None


def _gigabytes(choice: Choice) -> float:
    return (choice.memory.value or 0.0) / 1e9


def _more_loss(choices: Sequence[Choice], recommended: Choice | None, workload: Workload) -> str:
    known = [one for one in choices if one.loss.high is not None and one.machines.value is not None]
    dearer = [one for one in known if not _allowed(one, workload)]
    best = min(dearer, key=_cost, default=None)
    if best is None or (recommended is not None and _cost(best)[:2] >= _cost(recommended)[:2]):
        return ""
    assert best.loss.high is not None
    allowed = math.ceil(best.loss.high * 1_000) / 1_000
    return f"--allowed-loss {allowed:g} allows {best.layout.name}: {_counted_machines(best)}"


def _moved(
    workload: Workload, choices: Sequence[Choice], recommended: Choice | None, grounds: Grounds, option: str
) -> str:
    again = recommend([_choice(workload, one.layout, grounds) for one in choices], workload)
    if again is None or again.machines.value is None:
        return ""
    same = recommended is not None and _cost(again)[:2] == _cost(recommended)[:2]
    return "" if same else f"{option}: {again.layout.name}, {_counted_machines(again)}"


def _counted_machines(choice: Choice) -> str:
    if choice.machines.value is None:
        return "an unknown number of machines"
    number = int(choice.machines.value)
    parts = f" in {choice.parts} parts" if choice.parts > 1 else ""
    return f"{number:,} machine{'s' if number != 1 else ''}{parts}"
