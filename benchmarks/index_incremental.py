"""How much of a new model's gain an index keeps that is embedded again only in part, for real fine-tunes.

    python -m benchmarks.index_incremental --projects FOLDER...            # finished projects: base and tuned vectors
    python -m benchmarks.index_incremental --projects FOLDER --shares .02 .1 --seeds 1 --curve .3

Figures are shares of what embedding everything again gains in NDCG@10 on the test queries: 0% is the old model with the
old index, 100% the new model with a new one. The first table compares ways to guess new vectors from a random sample of
documents, whose rows are new in every line; columns are the ranking as it is, and its best 20, 50 and 100 ordered by
new vectors. The second is the product itself, `IncrementalUpdate` over exact search: the sample first, then documents
in the order of expected harm, the map learnt again at every line, beside random order (documents drawn at random, one
map), with NDCG@10 as a share of the new model's and the product's estimate of it. Past queries are training
queries, encoded by both models; test queries never were among them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine, ModelConfig
from dialekt.index.engines.exact import ExactEngine
from dialekt.index.opened import rows_of
from dialekt.index.records import EngineSpec
from dialekt.index.update.gate import judge_map
from dialekt.index.update.mapping import Pairs, fit_map
from dialekt.index.update.mixed import is_mapped
from dialekt.index.update.updating import IncrementalUpdate, PastQueries, Sides
from dialekt.measures.metrics import GainTable, judge, ndcg, tabulate
from dialekt.models.encoder import Encoder
from dialekt.models.topk import top_k
from dialekt.models.vectors import Vectors, load_vectors
from dialekt.store.tables import read_records
from dialekt.types import Document, Qrel, Query, Role, Split

Matrix = NDArray[np.float32]
SHORTLISTS = (20, 50, 100)
PENALTIES = np.logspace(-2.5, 2, 10)
CURVE = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75)


@dataclass(frozen=True)
class Case:
    """A fine-tune: its documents and test queries in both spaces, past queries, and the gain to keep."""

    name: str
    documents: list[Document]
    old: Matrix
    new: Matrix
    old_queries: Matrix
    new_queries: Matrix
    past: PastQueries
    table: GainTable
    on_demand_seconds: float

    def score(self, queries: Matrix, documents: Matrix) -> float:
        """Return NDCG@10."""
        return float(ndcg(top_k(queries, documents, 10).indices, self.table).mean())

    def kept(self, value: float) -> float:
        """Return an NDCG@10 as a share of the gain."""
        base, full = self.score(self.old_queries, self.old), self.score(self.new_queries, self.new)
        return (value - base) / (full - base)

    def shares(self, documents: Matrix) -> list[float]:
        """Return the shares kept by a ranking and by its shortlists ordered by new vectors."""
        best = top_k(self.new_queries, documents, max(SHORTLISTS)).indices
        fresh = np.einsum("qnd,qd->qn", self.new[best], self.new_queries)  # (queries, 100)
        found = [best]
        for depth in SHORTLISTS:
            order = np.argsort(-fresh[:, :depth], axis=1, kind="stable")
            found.append(np.take_along_axis(best, order, axis=1))
        return [self.kept(float(ndcg(indices[:, :10], self.table).mean())) for indices in found]


def read_case(folder: Path, past: int) -> Case:
    """Read a finished project; the past queries are encoded with its tuned model."""
    artefacts = folder / ".dialekt"
    base, tuned = (load_vectors(newest(artefacts / name)) for name in ("base_vectors", "tuned_vectors"))
    split = newest(artefacts / "split")
    queries = {query.id: query for query in read_records(split / "queries.parquet", Query)}
    qrels = read_records(split / "qrels.parquet", Qrel)
    test = [name for name in tuned.query_ids if queries[name].split is Split.TEST]
    documents = {unit.id: unit for unit in read_records(newest(artefacts / "corpus") / "documents.parquet", Document)}
    judged = judge([qrel for qrel in qrels if queries[qrel.query_id].split is Split.TEST], minimum_grade=1.0)
    encoder = Encoder.load(str(newest(artefacts / "training") / "model"), ModelConfig())
    units = [documents[name] for name in tuned.document_ids]
    order = {name: place for place, name in enumerate(base.document_ids)}
    return Case(
        name=folder.name,
        documents=units,
        old=base.document_vectors[[order[name] for name in tuned.document_ids]],
        new=np.array(tuned.document_vectors),
        old_queries=rows(base, test),
        new_queries=rows(tuned, test),
        past=read_past(base, queries, qrels, encoder, past),
        table=tabulate(judged, query_ids=test, document_ids=tuned.document_ids),
        on_demand_seconds=timed(encoder, [unit.content for unit in units]),
    )


def newest(folder: Path) -> Path:
    """Return the artefact of a stage that was written last."""
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime)


def rows(vectors: Vectors, names: Sequence[str]) -> Matrix:
    """Return the vectors of some queries."""
    places = {name: place for place, name in enumerate(vectors.query_ids)}
    return np.asarray(vectors.query_vectors[[places[name] for name in names]])


def read_past(
    base: Vectors, queries: dict[str, Query], qrels: Sequence[Qrel], encoder: Encoder, count: int
) -> PastQueries:
    """Return some training queries as the past: their texts, vectors of both models, and answers."""
    names = [name for name in base.query_ids if queries[name].split is Split.TRAIN]
    names = [names[place] for place in np.random.default_rng(0).permutation(len(names))[:count]]
    answers: dict[str, tuple[str, ...]] = {}
    for qrel in qrels:
        if qrel.grade > 0:
            answers[qrel.query_id] = (*answers.get(qrel.query_id, ()), qrel.document_id)
    texts = tuple(queries[name].text for name in names)
    new = encoder.embed(list(texts), Role.QUERY).vectors
    return PastQueries(texts, rows(base, names), new, tuple(answers.get(name, ()) for name in names))


def timed(encoder: Encoder, texts: Sequence[str]) -> float:
    """Return the median seconds that encoding 50 documents takes, as a search that embeds on demand would wait."""
    draw = np.random.default_rng(1)
    seconds = []
    for _ in range(5):
        wanted = [texts[place] for place in draw.integers(len(texts), size=50)]
        started = time.perf_counter()
        encoder.embed(wanted, Role.DOCUMENT)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def old_vectors(case: Case, _: NDArray[np.int64]) -> Matrix:
    """Guess that documents did not move: random order without a map."""
    return case.old.copy()


def procrustes(case: Case, sample: NDArray[np.int64]) -> Matrix:
    """Guess by the best rotation (Schönemann 1966)."""
    left, _, right = np.linalg.svd(case.old[sample].T @ case.new[sample])
    return unit(case.old @ (left @ right))


def ridge(case: Case, sample: NDArray[np.int64]) -> Matrix:
    """Guess by ridge regression, shrunk towards zero."""
    return unit(case.old @ ridge_weights(case.old[sample], case.new[sample]))


def identity_ridge(case: Case, sample: NDArray[np.int64]) -> Matrix:
    """Guess the displacement by ridge regression: shrunk towards the identity."""
    return unit(case.old + case.old @ ridge_weights(case.old[sample], case.new[sample] - case.old[sample]))


def ridge_weights(inputs: Matrix, targets: Matrix) -> NDArray[np.float64]:
    """Return the weights with the best leave-one-out error (penalty by Allen's PRESS)."""
    values, basis = np.linalg.eigh((inputs @ inputs.T).astype(np.float64))
    rotated = basis.T @ targets
    best: tuple[float, NDArray[np.float64]] = (np.inf, np.empty(0))
    for penalty in PENALTIES:
        inverse = 1 / (np.maximum(values, 0) + penalty)
        coefficients = basis @ (inverse[:, None] * rotated)
        error = float(np.square(coefficients / ((basis * basis) @ inverse)[:, None]).sum())
        if error < best[0]:
            best = (error, coefficients)
    return inputs.T @ best[1]


def ours_without_queries(case: Case, sample: NDArray[np.int64]) -> Matrix:
    """Guess by the product's map; the product takes this one or the next, whichever its gate says ranks better."""
    return mapped(case, sample, None)


def ours(case: Case, sample: NDArray[np.int64]) -> Matrix:
    """Guess by the product's map, learnt from half of the past queries too."""
    return mapped(case, sample, Pairs(case.past.old[::2], case.past.new[::2], case.past.texts[::2]))


def mapped(case: Case, sample: NDArray[np.int64], queries: Pairs | None) -> Matrix:
    """Return all documents mapped."""
    fitted = fit_map(pairs_of(case, sample), queries=queries, seed=0)
    return fitted.map.apply(case.old, [unit.content for unit in case.documents])


def pairs_of(case: Case, sample: NDArray[np.int64]) -> Pairs:
    """Return sampled documents in both spaces."""
    texts = tuple(case.documents[place].content for place in sample.tolist())
    return Pairs(case.old[sample], case.new[sample], texts)


def unit(vectors: NDArray[np.floating]) -> Matrix:
    """Return rows of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


METHODS: dict[str, Callable[[Case, NDArray[np.int64]], Matrix]] = {
    "old vectors": old_vectors,
    "Procrustes": procrustes,
    "ridge": ridge,
    "ridge to identity": identity_ridge,
    "ours": ours_without_queries,
    "ours with queries": ours,
}


def compare_maps(case: Case, shares: Sequence[float], seeds: int) -> None:
    """Print the first table and what the gate says of our map."""
    print(f"\n{case.name}: ways to guess new vectors from a sample, mean of {seeds} samples ± standard deviation")
    print(f"{'sample':>7}  {'':18}{'ranking':>16}" + "".join(f"{f'top {depth}':>9}" for depth in SHORTLISTS))
    for share in shares:
        for name, guess in METHODS.items():
            results = []
            for seed in range(seeds):
                sample = draw_sample(case, share, seed)
                vectors = guess(case, sample)
                vectors[sample] = case.new[sample]
                results.append(case.shares(vectors))
            means, spread = np.mean(results, axis=0), np.std(results, axis=0)[0]
            columns = "".join(f"{mean:9.1%}" for mean in means[1:])
            print(f"{share:7.0%}  {name:18}{means[0]:9.1%} ±{spread:5.1%}{columns}", flush=True)
        fitted = fit_map(pairs_of(case, draw_sample(case, share, 0)), seed=0)
        print(f"         gate: {judge_map(fitted, case.past.new[1::2], seed=0).reason}")


def draw_sample(case: Case, share: float, seed: int) -> NDArray[np.int64]:
    """Return the places of a random sample, at least 10."""
    size = max(10, round(share * len(case.documents)))
    return np.sort(np.random.default_rng(seed).permutation(len(case.documents))[:size])


def run_update(case: Case, share: float, seed: int, folder: Path) -> None:
    """Print how the product's own update goes: the share kept and estimated as more is embedded again."""
    source, target = (ExactEngine.open(EngineSpec(IndexEngine.EXACT, case.old.shape[1]), folder / n) for n in "ab")
    units = {unit.id: unit for unit in case.documents}
    source.load(rows_of(case.documents, "old", case.old))
    vectors = {unit.content: vector for unit, vector in zip(case.documents, case.new, strict=True)}
    sides = Sides(
        source=source,
        target=target,
        space="new",
        read=lambda ids: {name: units[name] for name in ids},
        embed=lambda texts, _: np.stack([vectors[text] for text in texts]),
        holding=nullcontext,
        store=target.upsert,
    )
    update = IncrementalUpdate(sides, case.past, seed=seed)
    started = time.perf_counter()
    learnt = update.learn([case.documents[place].id for place in draw_sample(case, share, seed).tolist()])
    if not learnt.gate.passed:
        print(f"the gate says: {learnt.gate.reason}")
        return
    update.load()
    seconds = time.perf_counter() - started
    probe = update.probe()
    print(f"\n{case.name}: the update from a sample of {share:.0%}, seed {seed}")
    print(
        f"map explains {learnt.fitted.explained:.1%}, cosine {learnt.fitted.cosine_before:.3f} → "
        f"{learnt.fitted.cosine:.3f}; learnt and {len(units):,} rows loaded in {seconds:.1f} s, encoding aside"
    )
    shortlists = ", ".join(f"{target:.0%}: {probe.shortlist(target)}" for target in (0.95, 0.97, 0.99))
    print(f"shortlist for a share of NDCG@10 of {shortlists}; encoding 50 takes {case.on_demand_seconds:.2f} s")
    print(f"{'embedded':>9}{'kept':>9}{'top 20':>9}{'top 50':>9}{'random':>9}{'NDCG@10 / full':>16}{'estimated':>11}")
    everything = case.score(case.new_queries, case.new)
    random = np.random.default_rng(seed).permutation(len(units))
    guessed = ours_without_queries(case, draw_sample(case, share, seed))
    for goal in (share, *(point for point in CURVE if point > share)):
        lacking = round(goal * len(units)) - sum(not is_mapped(of) for part in target.scan() for of in part.spaces)
        if lacking > 0:
            update.refresh(update.order()[:lacking])
            update.relearn()
        held = {
            name: row for part in target.scan(vectors=True) for name, row in zip(part.ids, part.vectors, strict=True)
        }
        now = np.stack([held[unit.id] for unit in case.documents])
        kept = case.shares(now)
        mixed = guessed.copy()
        mixed[random[: round(goal * len(units))]] = case.new[random[: round(goal * len(units))]]
        step = update.step(probe)
        print(
            f"{step.share:9.1%}{kept[0]:9.1%}{kept[1]:9.1%}{kept[2]:9.1%}{case.shares(mixed)[0]:9.1%}"
            f"{case.score(case.new_queries, now) / everything:16.1%}{step.estimated.value:11.1%}",
            flush=True,
        )
    source.close()
    target.close()


def main() -> None:
    """Measure every project."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--shares", type=float, nargs="*", default=[0.02, 0.05, 0.1, 0.2])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--curve", type=float, nargs="*", default=[0.02, 0.1], help="samples to run the update from")
    parser.add_argument("--past", type=int, default=1_000, help="past queries")
    given = parser.parse_args()
    for folder in given.projects:
        case = read_case(folder, given.past)
        base, full = case.score(case.old_queries, case.old), case.score(case.new_queries, case.new)
        lazy, repeated = case.kept(case.score(case.new_queries, case.old)), answered_before(case)
        print(
            f"\n{case.name}: {len(case.documents):,} documents, {len(case.new_queries):,} test queries, NDCG@10 "
            f"{base:.4f} → {full:.4f}; new queries against old vectors keep {lazy:.1%}; "
            f"{repeated:.0%} of the answers were answers of past queries",
            flush=True,
        )
        compare_maps(case, given.shares, given.seeds)
        for share in given.curve:
            with tempfile.TemporaryDirectory() as scratch:
                run_update(case, share, 0, Path(scratch))


def answered_before(case: Case) -> float:
    """Return the share of the test queries' answers that answered a past query."""
    before = {name for names in case.past.answers for name in names}
    known = np.array([unit.id in before for unit in case.documents])
    return float(known[case.table.keys % case.table.documents].mean())


if __name__ == "__main__":
    main()
