"""A search log whose truth is known: clicks drawn from judgments by a click model, with noise and bots.

Three models of a searcher who reads a page from the top. Position-based: each rank is looked at with probability
rank^-bias, whatever happens at the others. Cascade (Craswell 2008): down the page to the first click, then away.
Dynamic Bayesian (Chapelle and Zhang 2009): on after a click, too, unless the document satisfied. In the last two, a
searcher gives up after each document with probability 1 - exp(-0.15 bias).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

SEARCHES_PER_BLOCK = 20_000
ATTRACTION = 0.9  # click probability of an examined document with the top grade
SATISFACTION = 0.8  # share of its clicks that end the search
GIVING_UP = 0.15  # per rank, for a bias of 1: see the module's docstring
SECONDS_PER_DAY = 86_400.0


class SimulatedModel(StrEnum):
    """How a simulated searcher reads a page."""

    POSITION_BASED = "position-based"
    CASCADE = "cascade"
    DBN = "dbn"


class Searcher(StrEnum):
    """Who searches: people, or a machine of one of three kinds."""

    PERSON = "person"
    CRAWLER = "crawler"
    CLICKER = "clicker"
    HAMMER = "hammer"


BOTS = (Searcher.CRAWLER, Searcher.CLICKER, Searcher.HAMMER)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known: for each query the documents that its ranker proposes, best first, and how good they are.

    `candidates` (queries, depth) indexes `document_ids`, -1 where a list is shorter; `grades` has the same shape.
    """

    queries: tuple[str, ...]
    document_ids: tuple[str, ...]
    candidates: Integers
    grades: Floats


@dataclass(frozen=True, slots=True)
class Simulation:
    """How people and machines behave. `bots` is the share of all searches that machines make.

    `noise` is the click probability of an examined document that is no answer; `shuffle` says how far the ranking of a
    search strays from the ranker's (0: never); `skew` is the exponent of the query frequencies.
    """

    model: SimulatedModel = SimulatedModel.POSITION_BASED
    sessions: int = 10_000
    searches_per_session: float = 1.6
    page: int = 10
    position_bias: float = 1.0
    noise: float = 0.1
    shuffle: float = 1.0
    bots: float = 0.0
    skew: float = 0.8
    days: float = 28.0
    start: float = 1_767_225_600.0  # 1 January 2026, UTC
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sessions:
    """Every search: who, when, what (all (searches,)), in order of time. `kind` is the place in `Searcher`."""

    query: Integers
    session: Integers
    client: Integers
    time: Floats
    kind: Integers


@dataclass(frozen=True, slots=True)
class Block:
    """Pages of some searches (searches, page). `document` is -1 where a page is shorter; `dwell` is 0 without click."""

    sessions: Sessions
    first_search: int
    document: Integers
    clicked: Mask
    dwell: Floats


def simulate(truth: Truth, settings: Simulation) -> Iterator[Block]:
    """Yield blocks of simulated searches in order of time; equal settings give equal blocks."""
    _check(truth, settings)
    generator = np.random.default_rng(settings.seed)
    sessions = draw_sessions(truth, settings, generator)
    for first in range(0, len(sessions.query), SEARCHES_PER_BLOCK):
        part = slice(first, first + SEARCHES_PER_BLOCK)
        block = Sessions(
            sessions.query[part],
            sessions.session[part],
            sessions.client[part],
            sessions.time[part],
            sessions.kind[part],
        )
        yield _block(truth, settings, block, first, generator)


def _check(truth: Truth, settings: Simulation) -> None:
    if not len(truth.queries) or not (truth.grades > 0).any():
        raise UsageError("there is no query with a positive document to simulate", hint="check the split and the qrels")
    if not 0 <= settings.bots < 1 or not 0 <= settings.noise < ATTRACTION:
        raise UsageError(
            f"bots = {settings.bots:g} and noise = {settings.noise:g} must lie in [0, 1) and [0, {ATTRACTION:g})",
            hint="for example: --bots 0.2 --noise 0.1",
        )


def draw_sessions(truth: Truth, settings: Simulation, generator: np.random.Generator) -> Sessions:
    """Return the searches of people and machines, by time."""
    chances = 1 / np.arange(1, len(truth.queries) + 1) ** settings.skew
    popularity = generator.permutation(chances / chances.sum())
    people = _people(popularity, settings, generator)
    wanted = round(len(people.query) * settings.bots / (1 - settings.bots))
    parts = [people]
    for number, kind in enumerate(BOTS):
        searches = wanted // len(BOTS) + (number < wanted % len(BOTS))
        parts += _bots(kind, searches, popularity, settings, generator)
    return _by_time(parts)


def _people(popularity: Floats, settings: Simulation, generator: np.random.Generator) -> Sessions:
    lengths = generator.geometric(1 / settings.searches_per_session, settings.sessions)
    session = np.repeat(np.arange(settings.sessions), lengths)
    begin = settings.start + generator.random(settings.sessions) * settings.days * SECONDS_PER_DAY
    pause = generator.lognormal(np.log(45), 0.8, len(session))
    elapsed = np.cumsum(pause)
    starts = np.cumsum(lengths) - lengths
    client = generator.integers(0, max(settings.sessions // 3, 1), settings.sessions)
    return Sessions(
        query=generator.choice(len(popularity), len(session), p=popularity),
        session=session,
        client=client[session],
        time=begin[session] + elapsed - elapsed[starts][session],
        kind=np.zeros(len(session), dtype=np.int64),
    )


def _bots(
    kind: Searcher, searches: int, popularity: Floats, settings: Simulation, generator: np.random.Generator
) -> list[Sessions]:
    """Return machines that make about 300 searches each, one after the other, in one sitting."""
    found = []
    while searches > 0:
        size = min(int(generator.integers(200, 400)), searches)
        searches -= size
        match kind:
            case Searcher.CRAWLER:
                gaps = np.full(size, 10.0)
                query = generator.permutation(len(popularity))[np.arange(size) % len(popularity)]
            case Searcher.CLICKER:
                gaps = generator.uniform(4, 12, size)
                query = generator.choice(len(popularity), size, p=popularity)
            case Searcher.HAMMER:
                gaps = generator.exponential(0.5, size)
                query = generator.choice(len(popularity), size)
            case Searcher.PERSON:
                raise AssertionError("people are no bots")
            case _:
                assert_never(kind)
        begin = settings.start + generator.random() * settings.days * SECONDS_PER_DAY
        same = np.zeros(size, dtype=np.int64)
        found.append(Sessions(query, same, same, begin + np.cumsum(gaps), same + list(Searcher).index(kind)))
    return found


def _by_time(parts: list[Sessions]) -> Sessions:
    """Join sessions, give each machine a client and a session of its own, and sort by time."""
    people, machines = parts[0], parts[1:]
    sessions, clients = int(people.session.max()) + 1, int(people.client.max()) + 1
    session = np.concatenate([people.session, *(part.session + sessions + at for at, part in enumerate(machines))])
    client = np.concatenate([people.client, *(part.client + clients + at for at, part in enumerate(machines))])
    time = np.concatenate([part.time for part in parts])
    order = np.argsort(time, kind="stable")
    return Sessions(
        np.concatenate([part.query for part in parts])[order],
        session[order],
        client[order],
        time[order],
        np.concatenate([part.kind for part in parts])[order],
    )


def _block(truth: Truth, settings: Simulation, sessions: Sessions, first: int, generator: np.random.Generator) -> Block:
    document, grades = _pages(truth, settings, sessions.query, generator)
    best = max(float(truth.grades.max()), 1.0)
    answer = (2 ** np.clip(grades, 0, None) - 1) / (2**best - 1)  # Chapelle's gain, in [0, 1]
    attraction = settings.noise + (ATTRACTION - settings.noise) * answer
    attraction[document < 0] = 0
    satisfied = generator.random(document.shape) < SATISFACTION * answer + 0.05
    clicked = _clicks(settings, attraction, satisfied, generator)
    clicked = np.where((sessions.kind == 0)[:, None], clicked, _bot_clicks(sessions.kind, document, generator))
    seconds = np.where(satisfied, generator.lognormal(np.log(60), 0.8, document.shape), 0)
    seconds = np.where(satisfied, seconds, generator.lognormal(np.log(7), 0.9, document.shape))
    seconds[sessions.kind > 0] = 1.0
    return Block(sessions, first, document, clicked, np.where(clicked, seconds, 0))


def _pages(
    truth: Truth, settings: Simulation, query: Integers, generator: np.random.Generator
) -> tuple[Integers, Floats]:
    """Return the documents that each search shows, and their grades (searches, page)."""
    candidates, grades = truth.candidates[query], truth.grades[query]
    place = np.log(np.arange(1, candidates.shape[1] + 1))
    keys = place + settings.shuffle * generator.gumbel(size=candidates.shape)
    keys[candidates < 0] = np.inf
    order = np.argsort(keys, axis=1)[:, : settings.page]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(grades, order, axis=1)


def _clicks(settings: Simulation, attraction: Floats, satisfied: Mask, generator: np.random.Generator) -> Mask:
    attracted: Mask = generator.random(attraction.shape) < attraction
    ranks = np.arange(1.0, attraction.shape[1] + 1)
    stays = np.exp(-GIVING_UP * settings.position_bias)
    match settings.model:
        case SimulatedModel.POSITION_BASED:
            looked: Mask = generator.random(attraction.shape) < ranks**-settings.position_bias
            return attracted & looked
        case SimulatedModel.CASCADE:
            stops = attracted
        case SimulatedModel.DBN:
            stops = attracted & satisfied
        case _:
            assert_never(settings.model)
    leaves = stops | (generator.random(attraction.shape) > stays)
    gone = np.cumsum(leaves, axis=1) - leaves > 0
    clicked: Mask = attracted & ~gone
    return clicked


def _bot_clicks(kind: Integers, document: Integers, generator: np.random.Generator) -> Mask:
    """Crawlers click nothing, clickers all, hammers here and there."""
    chance = np.select([kind == list(Searcher).index(one) for one in BOTS], [0.0, 1.0, 0.3], 0.0)
    clicked: Mask = (generator.random(document.shape) < chance[:, None]) & (document >= 0)
    return clicked
