"""What `dialekt plan` prints: work, choices, which one to take, what would change that, and on what it rests."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dialekt.cli.screen import Screen
from dialekt.flow.facts import plain
from dialekt.planning.queueing import MODEL
from dialekt.planning.records import Basis, Choice, Figure, Input, Plan, Work

if TYPE_CHECKING:
    from rich.table import Table

NOT_KNOWN = "?"
_DAY, _YEAR = 86_400.0, 365.25 * 86_400.0


def show_plan(screen: Screen, plan: Plan) -> None:
    """Print the whole plan."""
    out = screen.results
    out.print(_headline(plan), soft_wrap=True, markup=False)
    out.print()
    out.print(_work_table(plan))
    out.print(f"texts and words: {size(plan.originals)} on disk, {plan.originals.how}", soft_wrap=True, markup=False)
    out.print()
    out.print(_choices_table(plan))
    out.print(_caption(plan), style="dim", soft_wrap=True, markup=False)
    out.print()
    taken = plan.recommended
    out.print(f"Take {taken.layout.name}: {plan.reason}." if taken else f"Nothing to recommend: {plan.reason}.",
              style="bold", soft_wrap=True, markup=False)  # fmt: skip
    if taken is not None:
        out.print(_settings(taken), soft_wrap=True, markup=False)
    if plan.changes:
        out.print("\nWhat would change the answer:", markup=False)
        for line in plan.changes:
            out.print(f"- {line}", soft_wrap=True, markup=False)
    out.print("\nWhat it rests on:", markup=False)
    for one in plan.inputs:
        out.print(f"- {_input(one)}", soft_wrap=True, markup=False)
    for note in plan.notes:
        out.print(f"Note: {note}.", soft_wrap=True, markup=False)


def answer(plan: Plan) -> dict[str, Any]:
    """Return the plan as `--json` prints it; of the recommended choice the name, since it is among the choices."""
    facts: dict[str, Any] = plain(plan)
    for choice, shown in zip(plan.choices, facts["choices"], strict=True):
        shown["name"] = choice.layout.name
    return facts | {"recommended": plan.recommended.layout.name if plan.recommended else None}


def time_of(figure: Figure) -> str:
    """Write a time with its range, in the unit that suits it: `3.2 h (2.9–4.1)`."""
    if figure.value is None:
        return NOT_KNOWN
    for unit, seconds in (("years", _YEAR), ("days", _DAY), ("h", 3_600.0), ("min", 60.0), ("s", 1.0)):
        if figure.value >= 2 * seconds or unit == "s":
            return f"{_ranged(figure, seconds)} {unit}"
    raise AssertionError("seconds suit every time")


def size(figure: Figure) -> str:
    """Write a number of bytes: `1.2 TB`."""
    if figure.value is None:
        return NOT_KNOWN
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if figure.value >= scale:
            return f"{_short(figure.value / scale)} {unit}"
    return f"{figure.value / 1e3:,.0f} kB"


def _headline(plan: Plan) -> str:
    asked, machine = plan.workload, plan.machine
    units = f" ({asked.units:,} chunks)" if asked.units != asked.documents else ""
    return (
        f"{asked.documents:,} documents{units}, {asked.queries_per_second:g} queries a second, 95 of 100 within "
        f"{asked.latency_seconds * 1_000:g} ms; {machine['model']} in {machine['engine']}, on machines like this one "
        f"({machine['cores']} cores, {machine['memory_gb']} GB, {machine['device']})"
    )


def _work_table(plan: Plan) -> "Table":
    from rich.table import Table

    shared = plan.workload.embedding_machines > 1
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("work", no_wrap=True)
    table.add_column("one machine", justify="right", no_wrap=True)
    if shared:
        table.add_column(f"{plan.workload.embedding_machines} machines", justify="right", no_wrap=True)
    if plan.workload.price is not None:
        table.add_column("price", justify="right", no_wrap=True)
    for work in plan.work:
        if work.seconds.value != 0:
            table.add_row(work.name, *_work_cells(work, plan, shared=shared))
    return table


def _work_cells(work: Work, plan: Plan, *, shared: bool) -> list[str]:
    cells = [time_of(work.seconds)]
    alone = replace(work.seconds_on_all, low=None, high=None)
    cells += [time_of(alone)] if shared else []
    return cells + ([_money(work.price)] if plan.workload.price is not None else [])


def _choices_table(plan: Plan) -> "Table":
    from rich.table import Table

    priced = plan.workload.price is not None
    divided = any(choice.parts > 1 for choice in plan.choices)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    heads = ["searched first", "loss", "disk", "memory", "a search", "machines"]
    heads += [*(["parts"] if divided else []), *(["a month"] if priced else [])]
    for head in heads:
        may_wrap = head in {"loss", "a search", "machines"}
        table.add_column(head, no_wrap=not may_wrap, justify="left" if head == heads[0] else "right")
    for choice in plan.choices:
        cells = [_loss(choice.loss), size(choice.disk), size(choice.memory), _milliseconds(choice.search_seconds)]
        cells += [_machines(choice), *([str(choice.parts)] if divided else [])]
        cells += [_money(choice.price_per_month)] if priced else []
        table.add_row(choice.layout.name, *cells, style="bold green" if choice == plan.recommended else "")
    return table


def _caption(plan: Plan) -> str:
    """Say of every column how it was made."""
    first = plan.choices[0]
    lines = ["loss: measured by dialekt index advise or the evaluation, ? where it was not; full vectors lose nothing"]
    lines.append(f"disk, memory: {first.disk.basis.value}, memory for all that a search reads; a build takes up to "
                 f"{size(max((one.building for one in plan.choices), key=lambda one: one.value or 0))}")  # fmt: skip
    if first.search_seconds.value is not None:
        lines.append(f"a search: measured, {first.search_seconds.how}; ± is how far measurements lie off")
        lines.append(f"machines: {MODEL} over measured times, embedding of queries included")
    if any(choice.parts > 1 for choice in plan.choices):
        lines.append("parts: no engine here divides an index over machines; what it would take if yours were divided")
    return "\n".join(lines)


def _milliseconds(figure: Figure) -> str:
    """Write how long a search takes, and by which share it may be off."""
    if figure.value is None or figure.high is None:
        return NOT_KNOWN
    value = f"{_short(figure.value * 1_000)} ms" if figure.value < 1 else f"{_short(figure.value)} s"
    return f"{value} ±{figure.high / figure.value - 1:.0%}"


def _loss(figure: Figure) -> str:
    if figure.value is None:
        return NOT_KNOWN
    if figure.basis is not Basis.MEASURED:
        return "0%"
    return f"{figure.value:.1%} (≤ {figure.high:.1%})"


def _machines(choice: Choice) -> str:
    figure = choice.machines
    if figure.value is None:
        return NOT_KNOWN if choice.search_seconds.value is None else "too slow"
    high = "∞" if figure.high is None else f"{figure.high:,.0f}"
    span = "" if figure.low == figure.value == figure.high else f" ({figure.low:,.0f}–{high})"
    return f"{figure.value:,.0f}{span}"


def _settings(choice: Choice) -> str:
    if not choice.layout.first_stage:
        return "In dialekt.toml no first stage is needed."
    return (
        f"In dialekt.toml:\n[index]\nfirst_stage_dimensions = {choice.layout.searched}\n"
        f'first_stage_quantization = "{choice.layout.quantization.value}"'
    )


def _input(one: Input) -> str:
    option = f" [{one.option}]" if one.option else ""
    how = "" if one.basis is Basis.GIVEN else f": {one.how}"
    return f"{one.name}: {_short(one.value)} ({one.basis.value}{how}){option}"


def _money(figure: Figure | None) -> str:
    return NOT_KNOWN if figure is None or figure.value is None else f"{figure.value:,.2f}"


def _ranged(figure: Figure, unit: float) -> str:
    assert figure.value is not None
    value = _short(figure.value / unit)
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return value
    return f"{value} ({_short(figure.low / unit)}–{_short(figure.high / unit)})"


def _short(value: float) -> str:
    """Write a number with two or three digits: 1,234, 12.3, 1.2, 0.25."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
