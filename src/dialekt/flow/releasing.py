"""Releases: made, checked and switched to; rolled back; verified."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from dialekt.errors import GateError, ModelError, NotFoundError, StorageError, UsageError
from dialekt.flow.clock import now
from dialekt.flow.index_ahead import embedded_ahead
from dialekt.flow.index_models import IndexedModel, find_model
from dialekt.flow.indexing import (
    Estimate,
    IndexWorks,
    at_work,
    estimate,
    find_release,
    known_vectors,
    read_corpus,
    wanted_spec,
)
from dialekt.flow.records import Observer, SilentObserver
from dialekt.flow.release_gate import GateQueries, Side, check_release, gate_queries, ranked, score_rankings
from dialekt.index import switching
from dialekt.index.building import FillFacts, fill
from dialekt.index.checks import Check, check_rows, check_vectors
from dialekt.index.importing import ImportFacts
from dialekt.index.records import Embed, IndexVersion, Release, Switch
from dialekt.index.searching import Searcher
from dialekt.index.tuning import Tuned, tune
from dialekt.index.update.mixed import MIXED, mapped_space, searched
from dialekt.types import Role

Announce = Callable[[Estimate], None]


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """What became of a release. `switch` is None where it did not go live: asked not to, or live already."""

    release: Release
    version: IndexVersion
    corpus: ImportFacts | None
    estimate: Estimate
    fill: FillFacts
    tuned: Tuned | None
    checks: tuple[Check, ...]
    switch: Switch | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a migration is asked for. `override` is the reason to go live although a check says no."""

    model: str | None = None
    switch: bool = True
    override: str = ""
    read_corpus: bool = True
    announce: Announce = field(default=lambda _: None)


def build(works: IndexWorks, wishes: Wishes, *, observer: Observer | None = None) -> ReleaseFacts:
    """Make the first release, or bring the documents of the live one up to date.

    Raises `UsageError` when the live release is of another model or kind: that is a migration.
    """
    with at_work(works):
        started = time.monotonic()
        live = works.live()
        model = find_model(works.project, wishes.model) if live is None or wishes.model else works.model_of(live)
        if live is not None and (live.model_id != model.model_id or _changed_kind(works, live, model)):
            raise UsageError(
                f"the live release {live.name} is of another model or kind",
                hint=f"dialekt index migrate --model {model.reference} builds beside it and switches",
            )
        corpus = read_corpus(works, observer or SilentObserver()) if wishes.read_corpus else None
        return _make(works, model, wishes, corpus=corpus, started=started, completes=False)


def migrate(works: IndexWorks, wishes: Wishes, *, observer: Observer | None = None) -> ReleaseFacts:
    """Make a release of another model or kind beside the live one, check it, and switch.

    Killed or refused, the live release is as it was, and the same call goes on with what is done. Raises `GateError`
    with every check that failed, `NotFoundError` without a live release.
    """
    with at_work(works):
        started = time.monotonic()
        live = works.live()
        if live is None:
            raise NotFoundError("no release is live yet", hint="dialekt index build makes the first one")
        model = find_model(works.project, wishes.model)
        if not wishes.override:
            _check_comparable(works, live)
        corpus = read_corpus(works, observer or SilentObserver()) if wishes.read_corpus else None
        return _make(works, model, wishes, corpus=corpus, started=started, completes=True)


def roll_back(works: IndexWorks, *, reason: str = "", waiting: Callable[[int], None] = lambda _: None) -> Switch:
    """Go back to the release before the live one, with everything that was written since."""
    with at_work(works):
        model = works.model_of(switching.previous_release(works.opened))
        return switching.roll_back(works.opened, works.embed(model), now=now(), reason=reason, waiting=waiting)


def drop(works: IndexWorks, release: str) -> str:
    """Remove a release, and its vectors unless another release uses them; return the version that was removed."""
    with at_work(works):
        return switching.drop(works.opened, release)


def verify(works: IndexWorks, release: Release) -> tuple[Check, ...]:
    """Look whether a release's rows are the documents and its vectors the model's; changes nothing."""
    embed = works.embed(works.model_of(release))
    return (
        check_rows(works.opened, release.index),
        check_vectors(works.opened, release.index, embed, seed=works.project.config.project.seed),
    )


def _changed_kind(works: IndexWorks, live: Release, model: IndexedModel) -> bool:
    version = works.catalogue.version(live.index)
    return (version.space, version.spec) != (model.space, wanted_spec(works, model, live=live))


def _check_comparable(works: IndexWorks, live: Release) -> None:
    """Raise `GateError` where the live release cannot be compared with, before anything is embedded."""
    try:
        works.model_of(live)
    except (ModelError, NotFoundError, StorageError) as error:
        raise GateError(
            f"a new release cannot be compared with the live one: {error.message}",
            hint="restore that model, or go without the comparison: --override 'why'",
        ) from error


def _make(
    works: IndexWorks,
    model: IndexedModel,
    wishes: Wishes,
    *,
    corpus: ImportFacts | None,
    started: float,
    completes: bool,
) -> ReleaseFacts:
    """Fill, tune, check and switch; each step does only what is left to do.

    `completes` embeds rows that an update has mapped; else they are left to it and its order.
    """
    embed, live = works.embed(model), works.live()
    release = find_release(works, model, wanted_spec(works, model, live=None if completes else live))
    version = works.catalogue.version(release.index)
    known = known_vectors(works, version, embed)
    also = mapped_space(version.space) if MIXED in release.facts and not completes else ""
    ahead = estimate(works, version, embed, known, also=also)
    wishes.announce(ahead)
    with embedded_ahead(works, model, version, known, also=also) as embed_chunk:
        filled = fill(
            works.opened, version.name, embed_chunk, known=known, also=also,
            chunk_documents=works.config.chunk_documents, progress=works.progress,
        )  # fmt: skip
    switching.catch_up(works.opened, version.name, embed)
    if completes:
        works.catalogue.forget_fact(release.name, MIXED)
        release = works.catalogue.release(release.name)
    is_live = live is not None and live.name == release.name
    tuned: Tuned | None = None
    switch: Switch | None = None
    checks: tuple[Check, ...]
    if is_live:
        checks = (check_rows(works.opened, version.name),)
    else:
        tuned, checks = judge_release(works, release, model, live)
        require(works, release, checks, override=wishes.override)
    if wishes.switch and not is_live:
        overridden = tuple(check.name for check in checks if not check.passed)
        switch = switching.go_live(
            works.opened, release.name, embed, now=now(), reason=wishes.override, overridden=overridden
        )
    switching.shorten_log(works.opened)
    release, version = works.catalogue.release(release.name), works.catalogue.version(version.name)
    seconds = time.monotonic() - started
    return ReleaseFacts(release, version, corpus, ahead, filled, tuned, checks, switch, seconds)


def judge_release(
    works: IndexWorks, release: Release, model: IndexedModel, live: Release | None
) -> tuple[Tuned, tuple[Check, ...]]:
    """Choose how hard searches try, and look at everything that must hold before a release goes live."""
    opened, embed = works.opened, works.embed(model)
    queries = gate_queries(works.project, opened.documents)
    tuned = _tuned(works, release, embed, queries)
    opened.catalogue.set_settings(release.name, tuned.settings)
    new = Side(Searcher(opened.documents, searched(opened.engine(release.index), release), tuned.settings), embed)
    before = _live_side(works, live)
    seed = works.project.config.project.seed
    checks = (
        check_rows(opened, release.index),
        check_vectors(opened, release.index, embed, seed=seed),
        check_recall(tuned, new, queries, target=works.config.target),
        check_release(before, new, queries, works.config, seed=seed),
    )
    facts = {check.name: {"passed": check.passed, "detail": check.detail, **check.facts} for check in checks}
    opened.catalogue.set_facts(release.name, {"checks": facts, "settings": asdict(tuned.settings)})
    return tuned, checks


def check_recall(tuned: Tuned, side: Side, queries: GateQueries, *, target: float) -> Check:
    """Say whether searches find what exact search finds: its results or, with judgments, its share of NDCG@10.

    A short first stage may miss results that are as good as those it finds; what counts then is what people judged.
    """
    facts: dict[str, float] = {"recall": tuned.recall, "milliseconds": tuned.milliseconds}
    said = f"recall@10 {tuned.recall:.3f} of exact search, {tuned.milliseconds:.1f} ms a query"
    if not tuned.warning:
        return Check("recall", passed=True, detail=said, facts=facts)
    if queries.judgments is None:
        return Check("recall", passed=False, detail=tuned.warning, facts=facts)
    exact = replace(
        side, searcher=Searcher(side.searcher.documents, side.searcher.engine, replace(tuned.settings, exact=True))
    )
    scores = [score_rankings(ranked(one, queries.texts), queries).mean() for one in (side, exact)]
    share = float(scores[0] / scores[1]) if scores[1] else 1.0
    detail = f"{said}, and {share:.1%} of its NDCG@10 on {len(queries.texts):,} {queries.origin}"
    return Check("recall", passed=share >= target, detail=detail, facts={**facts, "ndcg_share": share})


def _tuned(works: IndexWorks, release: Release, embed: Embed, queries: GateQueries) -> Tuned:
    version = works.catalogue.version(release.index)
    if not queries.texts:  # nothing was asked yet, and there is no document to ask for
        return Tuned(release.settings, recall=1.0, milliseconds=0.0, tried=())
    vectors = embed(queries.texts, Role.QUERY)
    return tune(
        works.opened.engine(version.name), version.spec, vectors,
        target=works.config.target, oversampling=works.config.oversampling, progress=works.progress,
    )  # fmt: skip


def _live_side(works: IndexWorks, live: Release | None) -> Side | None:
    if live is None:
        return None
    try:
        embed = works.embed(works.model_of(live))
    except (ModelError, NotFoundError, StorageError):
        return None  # the user went on without a comparison
    engine = searched(works.opened.engine(live.index), live)
    return Side(Searcher(works.opened.documents, engine, live.settings), embed)


def require(works: IndexWorks, release: Release, checks: tuple[Check, ...], *, override: str) -> None:
    """Mark a release as ready, or say what speaks against it. Rows and vectors must hold whatever the reason."""
    failed = [check for check in checks if not check.passed]
    hard = [check for check in failed if check.name in {"rows", "vectors"}]
    if hard or (failed and not override):
        way = (
            "dialekt index migrate again repairs what is missing"
            if hard
            else f"the live release is as it was; look into it, or give a reason: --override 'why'; "
            f"or remove it: dialekt index drop {release.name}"
        )
        said = "; ".join(f"{check.name}: {check.detail}" for check in failed)
        raise GateError(f"{release.name} did not go live: {said}", hint=way)
    works.catalogue.set_release_ready(release.name)
