"""An update for corpora too large to embed at once: mapped rows go live, then rows are embedded by expected harm."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from dialekt.errors import GateError, NotFoundError, UsageError
from dialekt.flow.artefacts import ArtefactStore
from dialekt.flow.clock import now
from dialekt.flow.index_models import IndexedModel, find_model
from dialekt.flow.indexing import IndexWorks, at_work, find_release, wanted_spec
from dialekt.flow.records import StageName
from dialekt.flow.release_gate import GateQueries, Side, gate_queries, ranked, score_rankings
from dialekt.flow.releasing import judge_release, require
from dialekt.index import switching
from dialekt.index.building import fill
from dialekt.index.checks import Check
from dialekt.index.records import IndexVersion, Release, State, Switch
from dialekt.index.searching import Searcher
from dialekt.index.update.gate import MapGate
from dialekt.index.update.mixed import MIXED, mapped_space, searched
from dialekt.index.update.probe import Probe
from dialekt.index.update.updating import IncrementalUpdate, PastQueries, Sides, sample_size
from dialekt.store.tables import read_records
from dialekt.types import Interval, Query, Role, Split

MOST_PAST_QUERIES = 3_000
STEPS = 20  # reports on the way to all documents


@dataclass(frozen=True, slots=True)
class UpdateStep:
    """How far it is: new rows of all, the estimated share of the new model's NDCG@10, and true NDCG@10 if judged."""

    fresh: int
    total: int
    estimated: Interval
    ndcg: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """What an update came to. `shortlist`: candidates that searches embed on demand; `switch` None: live before."""

    release: Release
    version: IndexVersion
    gate: MapGate
    shortlist: int
    checks: tuple[Check, ...]
    switch: Switch | None
    steps: tuple[UpdateStep, ...]
    complete: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class UpdateWishes:
    """What an update is asked for.

    `sample` is the share of documents to learn the map from, None few of them; `target` is the share of the new model's
    NDCG@10 at which embedding stops, 1 for all documents.
    """

    model: str | None = None
    sample: float | None = None
    target: float = 1.0
    override: str = ""
    step: Callable[[UpdateStep], None] = field(default=lambda _: None)


def update(works: IndexWorks, wishes: UpdateWishes) -> UpdateFacts:
    """Move the live index to another model by a map, go live, and embed the documents in the order of harm.

    Killed at any moment, the same call goes on. Raises `GateError` where the map does not help, `NotFoundError` without
    a live release, `UsageError` where nothing is to be mapped.
    """
    with at_work(works):
        started = time.monotonic()
        live = works.live()
        if live is None:
            raise NotFoundError("no release is live yet", hint="dialekt index build makes the first one")
        model = find_model(works.project, wishes.model)
        release = find_release(works, model, wanted_spec(works, model))
        source = _source(works, release, live)
        return _Update(works, wishes, model=model, release=release, source=source).run(started)


def _source(works: IndexWorks, release: Release, live: Release) -> Release:
    """Return the release whose vectors are mapped: the live one, or the one before if the new one is live already."""
    if live.name == release.name and MIXED not in release.facts:
        raise UsageError(f"{release.name} is live, and every document is embedded", hint="dialekt index list")
    source = live if live.name != release.name else _previous(works, release)
    versions = [works.catalogue.version(one.index) for one in (release, source)]
    if versions[0].space == versions[1].space:
        raise UsageError(
            f"{release.model} has the same document vectors as the live index: nothing is to be mapped",
            hint=f"dialekt index migrate --model {release.model}",
        )
    if versions[0].spec.dimension != versions[1].spec.dimension:
        raise UsageError(
            f"{release.model} makes vectors of another dimension than the live index has",
            hint=f"dialekt index migrate --model {release.model} embeds all documents",
        )
    return source


def _previous(works: IndexWorks, release: Release) -> Release:
    try:
        return switching.previous_release(works.opened)
    except NotFoundError as error:
        raise NotFoundError(
            "the release that was mapped from is gone",
            hint=f"dialekt index migrate --model {release.model} embeds the rest",
        ) from error


class _Update:
    """One update under way."""

    def __init__(
        self, works: IndexWorks, wishes: UpdateWishes, *, model: IndexedModel, release: Release, source: Release
    ):
        self._works, self._wishes, self._model, self._release = works, wishes, model, release
        self._version = works.catalogue.version(release.index)
        self._embed = works.embed(model)
        opened = works.opened
        engine = opened.engine(release.index)
        sides = Sides(
            source=opened.engine(source.index),
            target=engine,
            space=self._version.space,
            read=opened.documents.read,
            embed=self._embed,
            holding=partial(opened.holding, self._version.name),
            store=engine.load if self._version.state is State.BUILDING else engine.upsert,
        )
        self._seed = works.project.config.project.seed
        self._judged = gate_queries(works.project, opened.documents)
        past = past_queries(works, self._judged, old=works.model_of(source), new=model)
        self._update = IncrementalUpdate(sides, past, seed=self._seed)

    def run(self, started: float) -> UpdateFacts:
        """Learn, map, check, go live, embed."""
        works, release, learnt = self._works, self._release, self._learn()
        self._map()
        probe = self._update.probe()
        shortlist = self._remember(probe)
        switching.catch_up(works.opened, self._version.name, self._embed)
        switch, checks = self._go_live()
        steps = tuple(self._embed_rest(probe, started))
        complete = self._finish(steps)
        found = works.catalogue.release(release.name)
        version = works.catalogue.version(self._version.name)
        seconds = time.monotonic() - started
        return UpdateFacts(found, version, learnt, shortlist, checks, switch, steps, complete, seconds)

    def _learn(self) -> MapGate:
        """Embed a sample and learn the map. Raises `GateError` where it does not help; the sample is kept."""
        documents = self._works.opened.documents
        wanted, units = self._wishes.sample, documents.count()
        size = sample_size(units) if wanted is None else round(wanted * units)
        learnt = self._update.learn(documents.sample(size, seed=self._seed), progress=self._works.progress)
        if not learnt.gate.passed:
            raise GateError(
                f"{self._release.name} did not go live: {learnt.gate.reason}",
                hint=f"embed all documents: dialekt index migrate --model {self._release.model}; or learn from more: "
                "--sample 0.1",
            )
        return learnt.gate

    def _map(self) -> None:
        """Load mapped rows, and what the old index lacks, once: a version that is ready holds them."""
        works, version = self._works, self._version
        if version.state is State.READY:
            return
        self._update.load(progress=works.progress)
        fill(
            works.opened, version.name, self._embed, also=mapped_space(version.space),
            chunk_documents=works.config.chunk_documents, progress=works.progress,
        )  # fmt: skip

    def _remember(self, probe: Probe) -> int:
        """Record how servers are to search while rows are mapped; return the shortlist that they embed on demand."""
        known = self._release.facts.get(MIXED)
        shortlist = int(known["shortlist"]) if known else probe.shortlist(self._works.config.target)
        calibration = self._update.learnt.calibration
        mixed = {"offset": calibration.offset, "slope": calibration.slope, "shortlist": shortlist}
        self._works.catalogue.set_facts(self._release.name, {MIXED: mixed})
        self._release = self._works.catalogue.release(self._release.name)
        return shortlist

    def _go_live(self) -> tuple[Switch | None, tuple[Check, ...]]:
        works, release = self._works, self._release
        live = works.live()
        if live is not None and live.name == release.name:
            return None, ()
        _, checks = judge_release(works, release, self._model, live)
        require(works, release, checks, override=self._wishes.override)
        failed = tuple(check.name for check in checks if not check.passed)
        switch = switching.go_live(
            works.opened, release.name, self._embed, now=now(), reason=self._wishes.override, overridden=failed
        )
        return switch, checks

    def _embed_rest(self, probe: Probe, started: float) -> Iterator[UpdateStep]:
        """Embed what is left, a twentieth at a time, until the target is reached; searches go on."""
        learnt_from = 0
        while True:
            step = self._step(probe, started)
            self._wishes.step(step)
            yield step
            order = self._update.order()
            if not order or (self._wishes.target < 1 and step.estimated.low >= self._wishes.target):
                return
            if learnt_from and step.fresh >= 2 * learnt_from:
                self._update.relearn(progress=self._works.progress)
                self._remember(probe)
            if not learnt_from or step.fresh >= 2 * learnt_from:
                learnt_from = step.fresh
            self._embed_units(order[: max(1, step.total // STEPS)])

    def _embed_units(self, units: list[str]) -> None:
        chunk = self._works.config.chunk_documents
        for start in range(0, len(units), chunk):
            self._update.refresh(units[start : start + chunk])
            switching.catch_up(self._works.opened, self._version.name, self._embed)

    def _step(self, probe: Probe, started: float) -> UpdateStep:
        found = self._update.step(probe)
        return UpdateStep(found.fresh, found.total, found.estimated, self._ndcg(), time.monotonic() - started)

    def _ndcg(self) -> float | None:
        """Return the true NDCG@10 on held-out judged queries, without what servers embed on demand."""
        if self._judged.judgments is None:
            return None
        engine = self._works.opened.engine(self._version.name)
        side = Side(
            Searcher(self._works.opened.documents, searched(engine, self._release), self._release.settings), self._embed
        )
        return float(score_rankings(ranked(side, self._judged.texts), self._judged).mean())

    def _finish(self, steps: tuple[UpdateStep, ...]) -> bool:
        """Search as in any other index once every row is new."""
        complete = steps[-1].fresh >= steps[-1].total
        if complete:
            self._works.catalogue.forget_fact(self._release.name, MIXED)
        return complete


def past_queries(works: IndexWorks, held_out: GateQueries, *, old: IndexedModel, new: IndexedModel) -> PastQueries:
    """Return what people asked before, encoded by both models: training queries, else what the checks ask."""
    folder = ArtefactStore(works.project.artefacts).latest_folder(StageName.PAIRS)
    known = read_records(folder / "queries.parquet", Query) if folder else []
    texts = tuple(query.text for query in known if query.split is Split.TRAIN)[:MOST_PAST_QUERIES] or held_out.texts
    vectors = [works.embed(model)(texts, Role.QUERY) for model in (old, new)]
    return PastQueries(texts, vectors[0], vectors[1])
