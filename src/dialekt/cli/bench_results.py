"""What `dialekt bench serve` shows: the table, remarks on it, and its JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from dialekt.load.records import Pace, Plan, Protocol, Ratio, Summary, Tally
    from dialekt.load.rounds import Round
    from dialekt.load.targets import Access

BUSY_SHARE = 0.8  # from here on the generator itself may be what is slow
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent to every server; `length` says in a word how long the texts are."""

    texts: Sequence[str]
    batch_size: int
    length: str
    access: "Access"
    protocol: "Protocol | None"
    pace: "Pace"
    seed: int


@dataclass(frozen=True, slots=True)
class Server:
    """One server's part: all of its rounds together, and each of them."""

    plan: "Plan"
    tally: "Tally"
    summary: "Summary"
    rounds: "tuple[Round, ...]"

    @property
    def name(self) -> str:
        """The address without its scheme."""
        return self.plan.target.url.partition("//")[2] or self.plan.target.url


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything that was measured; `ratios` are of the first server to the second."""

    servers: tuple[Server, ...]
    ratios: "tuple[Ratio, ...]"


def measurement(plans: "Sequence[Plan]", found: "Sequence[Sequence[Round]]") -> Measurement:
    """Join the rounds of each server, and compare two."""
    from dialekt.load.statistics import combine, compare, join_fills, summarise

    servers = []
    for plan, rounds in zip(plans, found, strict=True):
        tally = combine([one.tally for one in rounds], together=False)
        fill = join_fills([one.summary.batch_fill for one in rounds])
        summary = summarise(tally, texts_per_request=plan.texts_per_request, fill=fill)
        servers.append(Server(plan, tally, summary, tuple(rounds)))
    if len(found) < 2:
        return Measurement(tuple(servers), ())
    return Measurement(tuple(servers), compare(*[[one.summary for one in rounds] for rounds in found]))


def describe(load: Load) -> str:
    """Return the load in a line."""
    pace = load.pace
    loop = (
        f"{pace.connections:,} clients at a time"
        if pace.rate_per_second is None
        else f"{pace.rate_per_second:,g} requests/s at random times"
    )
    texts = "1 text" if load.batch_size == 1 else f"{load.batch_size} texts"
    return f"{loop}, {texts} a request ({load.length}), {pace.warmup_seconds:g} s of warm-up"


def table(measured: Measurement) -> "Table":
    """Return the numbers, one column a server, and ratios where there are two."""
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    shown.add_column("", no_wrap=True)
    for server in measured.servers:
        shown.add_column(server.name, justify="right", no_wrap=True)
    ratios = {one.name: ratio_text(one) for one in measured.ratios}
    if ratios:
        shown.add_column("first / second", justify="right", no_wrap=True)
    columns = [rows(server) for server in measured.servers]
    for name in columns[0]:
        cells = [column[name] for column in columns]
        shown.add_row(name, *cells, *([ratios.get(name, "")] if ratios else ()))
    return shown


def rows(server: Server) -> dict[str, str]:
    """Return one server's numbers by the names that the table gives them."""
    found, latency = server.summary, server.summary.latency_ms
    names = ("p50", "p90", "p95", "p99", "max", "mean")
    milliseconds = {name: NOTHING if latency is None else f"{getattr(latency, name):,.1f} ms" for name in names}
    return {
        "route": server.plan.target.path,
        "requests/s": f"{found.requests_per_second:,.1f}",
        "texts/s": f"{found.texts_per_second:,.1f}",
        "tokens/s": NOTHING if found.tokens_per_second is None else f"{found.tokens_per_second:,.0f}",
        **milliseconds,
        "answered": f"{found.answered:,}",
        "errors": _errors(found),
        **_fill(found),
    }


def _errors(found: "Summary") -> str:
    counts = {**found.failures, **({"unsent": found.unsent} if found.unsent else {})}
    return ", ".join(f"{count:,} × {name}" for name, count in counts.items()) or "none"


def _fill(found: "Summary") -> dict[str, str]:
    """Return how full the server's batches were, where it says."""
    fill = found.batch_fill
    texts = tokens = NOTHING
    if fill is not None:
        texts = f"{fill.texts:.1f}"
        share = "" if fill.share is None else f" ({fill.share:.0%})"
        tokens = NOTHING if fill.tokens is None else f"{fill.tokens:,.0f}{share}"
    return {"texts/batch": texts, "tokens/batch": tokens}


def ratio_text(ratio: "Ratio") -> str:
    """Return a ratio with its interval."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def remarks(measured: Measurement) -> list[str]:
    """Return what a reader must know beside the numbers."""
    found = []
    for server in measured.servers:
        summary, url = server.summary, server.plan.target.url
        found += [f"{url}: {status}: {text}" for status, text in summary.examples.items()]
        if summary.busy_share > BUSY_SHARE:
            found.append(
                f"{url}: the generator itself used {summary.busy_share:.0%} of a core and may be what is slow; "
                "use --workers"
            )
        if server.tally.stopped:
            found.append(f"{url}: stopped early, after {summary.seconds:.1f} s")
    return found


def answer(load: Load, measured: Measurement) -> dict[str, Any]:
    """Return the facts of the command."""
    pace = load.pace
    return {
        "concurrency": pace.connections,
        "rate_per_second": pace.rate_per_second,
        "texts_per_request": load.batch_size,
        "length": load.length,
        "seed": load.seed,
        "servers": [_server_facts(server) for server in measured.servers],
        "ratios": [asdict(one) for one in measured.ratios],
    }


def _server_facts(server: Server) -> dict[str, Any]:
    target = server.plan.target
    return {
        "url": target.url,
        "protocol": target.protocol,
        "route": target.path,
        "model": target.name,
        "stopped": server.tally.stopped,
        **asdict(server.summary),
        "rounds": [round(one.summary.texts_per_second, 2) for one in server.rounds],
    }
