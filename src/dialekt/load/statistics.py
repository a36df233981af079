"""From single requests to the numbers that are shown, and from rounds of two servers to ratios."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from dialekt.load.records import OK, BatchFill, Failure, Latency, Ratio, Summary, Tally
from dialekt.load.targets import BatchCounters

PERCENTILES = (50, 90, 95, 99)
CONFIDENCE = 0.95
Floats = NDArray[np.float64]


def combine(tallies: Sequence[Tally], *, together: bool) -> Tally:
    """Join what several processes measured `together`, or one after the other in rounds."""
    seconds = [tally.seconds for tally in tallies]
    shares = [tally.busy_share for tally in tallies]
    return Tally(
        seconds=max(seconds) if together else math.fsum(seconds),
        intended=_laid(tallies, [tally.intended for tally in tallies], together=together),
        finished=_laid(tallies, [tally.finished for tally in tallies], together=together),
        status=np.concatenate([tally.status for tally in tallies]),
        tokens=np.concatenate([tally.tokens for tally in tallies]),
        unsent=sum(tally.unsent for tally in tallies),
        busy_share=max(shares),
        stopped=any(tally.stopped for tally in tallies),
        examples={status: text for tally in tallies for status, text in tally.examples.items()},
        complaints=tuple(complaint for tally in tallies for complaint in tally.complaints),
    )


def _laid(tallies: Sequence[Tally], times: Sequence[Floats], *, together: bool) -> Floats:
    """Return all times; those of rounds are laid one after the other, so each round starts where the last ended."""
    if together:
        return np.concatenate(times)
    starts = np.cumsum([0.0, *(tally.seconds for tally in tallies[:-1])])
    return np.concatenate([part + start for part, start in zip(times, starts, strict=True)])


def latencies_ms(tally: Tally) -> Floats:
    """Return the latency of every request that was sent in the measured time and answered with 200."""
    chosen = (tally.status == OK) & (tally.intended >= 0)
    waited: Floats = (tally.finished[chosen] - tally.intended[chosen]) * 1_000
    return waited


def summarise(tally: Tally, *, texts_per_request: int, fill: BatchFill | None = None) -> Summary:
    """Return rates of what was answered within the measured time, and latencies of what was sent within it."""
    answered = (tally.status == OK) & (tally.finished >= 0) & (tally.finished <= tally.seconds)
    count = int(answered.sum())
    rate = count / tally.seconds if tally.seconds > 0 else 0.0
    tokens = tally.tokens[answered]
    counted = tokens.size > 0 and bool((tokens >= 0).all())
    failed = tally.status[(tally.status != OK) & (tally.intended >= 0)]
    return Summary(
        seconds=tally.seconds,
        requests=int((tally.intended >= 0).sum()),
        answered=count,
        requests_per_second=rate,
        texts_per_second=rate * texts_per_request,
        tokens_per_second=float(tokens.sum()) / tally.seconds if counted else None,
        latency_ms=_latency(latencies_ms(tally)),
        failures=dict(sorted(Counter(status_name(int(status)) for status in failed).items())),
        unsent=tally.unsent,
        busy_share=tally.busy_share,
        batch_fill=fill,
        examples={status_name(status): text for status, text in tally.examples.items()},
    )


def status_name(status: int) -> str:
    """Return an HTTP status as digits, or the word for a request that got none."""
    return str(status) if status > 0 else Failure(status).name.lower()


def _latency(values: Floats) -> Latency | None:
    if values.size == 0:
        return None
    p50, p90, p95, p99 = (float(value) for value in np.percentile(values, PERCENTILES))
    return Latency(float(values.mean()), p50, p90, p95, p99, float(values.max()))


def batch_fill(
    before: BatchCounters | None, after: BatchCounters | None, *, most_tokens: int | None
) -> BatchFill | None:
    """Return the means over the batches that the server ran between two looks at its metrics."""
    if before is None or after is None or after.batches <= before.batches:
        return None
    batches = after.batches - before.batches
    tokens = None
    if before.tokens is not None and after.tokens is not None:
        tokens = (after.tokens - before.tokens) / batches
    share = tokens / most_tokens if tokens is not None and most_tokens else None
    return BatchFill(int(batches), (after.texts - before.texts) / batches, tokens, share)


def ratio(name: str, first: Sequence[float], second: Sequence[float]) -> Ratio | None:
    """Return first over second by rounds: geometric mean and its 95% interval (Student's t of the logarithms).

    None where a round has no value; the interval is missing with one round.
    """
    pairs = list(zip(first, second, strict=True))
    if not pairs or any(one <= 0 or other <= 0 for one, other in pairs):
        return None
    logs = np.log([one / other for one, other in pairs])
    mean, rounds = float(logs.mean()), tuple(float(value) for value in np.exp(logs))
    if logs.size == 1:
        return Ratio(name, math.exp(mean), None, None, rounds)
    half = float(stdtrit(logs.size - 1, (1 + CONFIDENCE) / 2)) * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    return Ratio(name, math.exp(mean), math.exp(mean - half), math.exp(mean + half), rounds)


def compare(first: Sequence[Summary], second: Sequence[Summary]) -> tuple[Ratio, ...]:
    """Return the ratios of throughput and of latencies over interleaved rounds of two servers."""
    rates = [[one.texts_per_second for one in rounds] for rounds in (first, second)]
    found = [ratio("texts/s", rates[0], rates[1])]
    for name in ("p50", "p99"):
        values = [[getattr(one.latency_ms, name, 0.0) for one in rounds] for rounds in (first, second)]
        found.append(ratio(name, values[0], values[1]))
    return tuple(one for one in found if one is not None)


def join_fills(fills: Sequence[BatchFill | None]) -> BatchFill | None:
    """Return the means over the batches of several rounds."""
    known = [fill for fill in fills if fill is not None]
    batches = sum(fill.batches for fill in known)
    if batches == 0:
        return None
    tokens = [fill.tokens for fill in known if fill.tokens is not None]
    shares = [fill.share for fill in known if fill.share is not None]
    weights = [fill.batches / batches for fill in known]
    return BatchFill(
        batches,
        _weighted([fill.texts for fill in known], weights),
        _weighted(tokens, weights) if len(tokens) == len(known) else None,
        _weighted(shares, weights) if len(shares) == len(known) else None,
    )


def _weighted(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True))
