"""Trials and studies as a search would have left them."""

from dataclasses import replace

from dialekt.flow.recipes.records import DevPoint, Fidelity, Study, Trial, TrialState

QUERIES = 40


def trial(
    number: int,
    dev_ndcg: float,
    *,
    fidelity: Fidelity = Fidelity.FULL,
    seconds: float = 600.0,
    learning_rate: float | None = None,
    state: TrialState = TrialState.DONE,
    points: tuple[tuple[float, float], ...] = (),
) -> Trial:
    """A trial that reached this score on every dev query alike."""
    return Trial(
        number=number,
        fidelity=fidelity,
        settings={} if learning_rate is None else {"learning_rate": learning_rate},
        point={"learning_rate": 5e-5 if learning_rate is None else learning_rate},
        state=state,
        seconds=seconds,
        dev_ndcg=dev_ndcg if state is TrialState.DONE else None,
        points=tuple(DevPoint(*point) for point in points),
        dev_scores=(dev_ndcg,) * QUERIES if fidelity is Fidelity.FULL else (),
    )


def probe(number: int, dev_ndcg: float, *, learning_rate: float | None = None, seconds: float = 150.0) -> Trial:
    """A probe that reached this score."""
    return trial(number, dev_ndcg, fidelity=Fidelity.PROBE, learning_rate=learning_rate, seconds=seconds)


def study(*trials: Trial, probe_minutes: float | None = None) -> Study:
    """A study of these trials, which took all the time that is spent."""
    return Study("id", trials=trials, spent_seconds=sum(one.seconds for one in trials), probe_minutes=probe_minutes)


def with_scores(one: Trial, scores: list[float]) -> Trial:
    """The same trial with other scores by dev query."""
    return replace(one, dev_scores=tuple(scores), dev_ndcg=sum(scores) / len(scores))
