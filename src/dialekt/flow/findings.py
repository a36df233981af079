"""The parts of a diagnosis: from the artefacts of the journey to what the diagnosis room looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.config import TRAINED_HERE
from dialekt.diagnosis.baseline import baseline_facts
from dialekt.diagnosis.curve import Sampling as GainSampling
from dialekt.diagnosis.curve import expect_gain
from dialekt.diagnosis.effects import data_facts
from dialekt.diagnosis.inputs import BASE, BaselineInputs, DataInputs, Sampling
from dialekt.diagnosis.language import language_facts
from dialekt.diagnosis.records import BaselineFacts, Cost, DataFacts, GainFacts, LanguageFacts
from dialekt.evaluation import reranking
from dialekt.evaluation.systems import Held, Plan, System, build_systems
from dialekt.flow.probing.adapters import adapter_probes
from dialekt.flow.probing.material import Finished, FinishedProbes, open_probes
from dialekt.flow.probing.trained import LEAST_PROBE, trained_probes
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.measures.metrics import NDCG, judge, score_run
from dialekt.measures.retrieval import Collection, read_collection
from dialekt.measures.statistics import minimum_detectable_effect
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import load_vectors
from dialekt.pairs.records import MADE_QUERIES
from dialekt.store.tables import read_records
from dialekt.training.derive import default_epochs
from dialekt.types import DevComparison, Document, Pair, Qrel, Query, ReportProgress, Role, Split, TeacherScore

LEAST_MEASURED = 20
DEPTH = 100
RERANKED_QUERIES = 100
_ROOM_FOR_SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Probed:
    """The probes, smallest first, and what else they tell of the whole."""

    finished: tuple[Finished, ...]
    measured_queries: int
    all_train_queries: int
    asks_test_queries: bool

    @property
    def largest(self) -> Finished:
        """The probe that was really trained on most."""
        return max((one for one in self.finished if one.pairs_per_second), key=lambda one: one.point.queries)


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The held-out queries as every untuned system answered them."""

    collection: Collection
    documents: list[Document]
    lexical: Bm25
    held: Held
    systems: dict[str, System]


def language(workbench: Workbench, *, progress: ReportProgress) -> LanguageFacts:
    """Look at the documents' language with the eyes of the base model."""
    encoder = workbench.base_encoder
    documents = read_records(workbench.folder(StageName.CORPUS) / "documents.parquet", Document)
    return language_facts(
        [document.content for document in documents],
        token_offsets=encoder.token_offsets,
        encode=lambda texts: encoder.encode(texts, Role.DOCUMENT),
        seed=workbench.config.project.seed,
        progress=progress,
    )


def probed(workbench: Workbench, out: Path, *, progress: ReportProgress) -> Probed | None:
    """Train the probes; None where there are too few queries to learn from or to measure on."""
    probes = open_probes(workbench, out, progress=progress)
    if probes.largest < LEAST_PROBE or len(probes.base) < LEAST_MEASURED:
        return None
    finished = FinishedProbes(out / "probes.json")
    found = [*adapter_probes(probes, finished), *trained_probes(probes, finished)]
    found.sort(key=lambda one: (one.point.recipe, one.point.queries, one.point.seed))
    return Probed(tuple(found), len(probes.base), _all_train_queries(workbench), probes.asks_test_queries)


def _all_train_queries(workbench: Workbench) -> int:
    facts = workbench.artefacts[StageName.PAIRS].manifest.facts
    return int(facts.get("all_train_queries", facts["queries"]))


def ask(workbench: Workbench, *, progress: ReportProgress) -> Asked:
    """Ask BM25, the base model and their hybrid the held-out queries, of which the test queries count."""
    corpus, pairs = workbench.folder(StageName.CORPUS), workbench.folder(StageName.PAIRS)
    queries = read_records(pairs / "queries.parquet", Query)
    judgments = judge(read_records(pairs / "qrels.parquet", Qrel), minimum_grade=workbench.config.pairs.minimum_grade)
    test = [query for query in queries if query.split is Split.TEST]
    drawn = np.random.default_rng(workbench.config.project.seed).permutation(len(test))
    chosen = sorted(drawn[: workbench.config.diagnosis.max_queries].tolist())
    held = Held([query for query in queries if query.split is Split.DEV], [test[row] for row in chosen], judgments)
    collection = read_collection(corpus)
    plan = Plan(
        base_vectors=workbench.folder(StageName.BASE_VECTORS),
        tuned_vectors=None,
        dimensions=(),
        depth=DEPTH,
        rank_constant=workbench.config.evaluation.hybrid_rank_constant,
    )
    systems = {system.name: system for system in build_systems(collection, held, plan, progress=progress)}
    documents = read_records(corpus / "documents.parquet", Document)
    return Asked(collection, documents, Bm25.build(collection.texts), held, systems)


def baseline(workbench: Workbench, asked: Asked, *, progress: ReportProgress) -> BaselineFacts | None:
    """Score what was found without tuning, and sort the failures; None without test queries."""
    if not asked.held.test:
        return None
    encoder = workbench.base_encoder
    vectors = load_vectors(workbench.folder(StageName.BASE_VECTORS))
    inputs = BaselineInputs(
        collection=asked.collection,
        documents=asked.documents,
        document_vectors=vectors.document_vectors,
        queries=asked.held.test,
        judgments=asked.held.judgments,
        systems={name: asked.systems[name].run for name in (BASE, "bm25", "hybrid_base")},
        token_offsets=encoder.token_offsets,
        max_tokens=encoder.contract.max_tokens - _ROOM_FOR_SPECIAL_TOKENS - _prompt_tokens(workbench),
        english=asked.lexical.english,
        sampling=_sampling(workbench),
    )
    return replace(baseline_facts(inputs), reranker=_reranker(workbench, progress=progress))


def _reranker(workbench: Workbench, *, progress: ReportProgress) -> DevComparison | None:
    """Let the cross-encoder that the configuration names rerank the base model's first hits on dev queries."""
    from dialekt.models.reranker import Reranker

    config = workbench.config.teacher
    if config.model in (None, TRAINED_HERE):
        return None
    reranker = Reranker.load(
        config.model,
        device=workbench.config.model.device,
        max_tokens=config.max_tokens,
        trust_remote_code=workbench.config.model.trust_remote_code,
    )
    inputs = reranking.RerankingInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        vectors=workbench.folder(StageName.BASE_VECTORS),
        minimum_grade=workbench.config.pairs.minimum_grade,
        max_queries=RERANKED_QUERIES,
        depth=config.depth,
        seed=workbench.config.project.seed,
    )
    return reranking.compare(
        inputs, lambda queries, documents, pairs: reranker.score(queries, documents, pairs, progress=progress)
    )


def _prompt_tokens(workbench: Workbench) -> int:
    encoder = workbench.base_encoder
    prompt = encoder.contract.document_prompt
    return len(encoder.token_offsets([prompt])[0]) if prompt else 0


def data(workbench: Workbench, asked: Asked, found: Probed | None) -> DataFacts:
    """Count what there is to learn from and to test on, and estimate how much of it is wrong."""
    pairs = workbench.folder(StageName.PAIRS)
    facts = workbench.artefacts[StageName.PAIRS].manifest.facts
    inputs = DataInputs(
        collection=asked.collection,
        lexical=asked.lexical,
        vectors=load_vectors(workbench.folder(StageName.BASE_VECTORS)),
        pairs=read_records(pairs / "pairs.parquet", Pair),
        queries=read_records(pairs / "queries.parquet", Query),
        standard_deviation=_deviation(asked, found),
        sampling=_sampling(workbench),
        teacher_logits=_teacher_logits(workbench),
        made_queries=facts["held_out"] == MADE_QUERIES,
    )
    return _of_the_whole(data_facts(inputs), facts, _deviation(asked, found))


def _of_the_whole(found: DataFacts, facts: Mapping[str, Any], deviation: float) -> DataFacts:
    """Return what was found in a sample with the counts of the whole project; unsampled facts stay as they are."""
    if "all_pairs" not in facts:
        return found
    test = int(facts["all_test_queries"])
    return replace(
        found,
        pairs=int(facts["all_pairs"]),
        train_queries=int(facts["all_train_queries"]),
        dev_queries=int(facts["all_dev_queries"]),
        test_queries=test,
        unfindable=round(found.unfindable * int(facts["all_pairs"]) / max(1, found.pairs)),
        detectable=minimum_detectable_effect(deviation, test),
    )


def _deviation(asked: Asked, found: Probed | None) -> float:
    """Return the deviation of a query's difference: after the largest probe, else between hybrid and base model."""
    if found is not None and found.largest.deviation > 0:
        return found.largest.deviation
    hybrid, base = (score_run(asked.systems[name].run, asked.held.judgments)[NDCG] for name in ("hybrid_base", BASE))
    return float((hybrid - base).std(ddof=1)) if len(base) > 1 else 0.0


def _teacher_logits(workbench: Workbench) -> NDArray[np.float32] | None:
    """Return what the teacher of the last run said of the pairs; None where there was none."""
    folder = workbench.store.latest_folder(StageName.TEACHER)
    if folder is None or workbench.config.teacher.model is None:
        return None
    pairs = {(one.query_id, one.document_id) for one in read_records(folder / "pairs.parquet", Pair)}
    scores = read_records(folder / "scores.parquet", TeacherScore)
    found = [one.score for one in scores if (one.query_id, one.document_id) in pairs]
    return np.array(found, dtype=np.float32) if found else None


def _sampling(workbench: Workbench) -> Sampling:
    config = workbench.config.evaluation
    return Sampling(config.confidence, config.resamples, workbench.config.project.seed)


def gain(workbench: Workbench, found: Probed, facts: DataFacts) -> GainFacts:
    """Predict what all train queries would bring, and twice as many, and what that would cost here."""
    config = workbench.config.diagnosis
    points = tuple(one.point for one in found.finished)
    sampling = GainSampling(facts.test_queries, found.largest.deviation)
    full, double = (
        expect_gain(
            points,
            times * found.all_train_queries,
            sampling=sampling,
            least_gain=config.least_gain,
            confidence=config.confidence,
        )
        for times in (1, 2)
    )
    return GainFacts(
        measured_queries=found.measured_queries,
        share=config.share,
        confidence=config.confidence,
        points=points,
        full=full,
        double=double,
        cost=_cost(workbench, found),
    )


def _cost(workbench: Workbench, found: Probed) -> Cost:
    """Reckon from the speed of the probes and of the base model's encoding."""
    made = workbench.artefacts[StageName.PAIRS].manifest.facts
    config = workbench.config.training
    pairs = int(made.get("all_pairs", made["pairs"]))
    epochs = config.epochs or default_epochs(pairs)
    speed = found.largest.pairs_per_second
    training = pairs * epochs / speed / 60
    why = f"{pairs:,} pairs, {epochs:g} times, at {speed:.1f} pairs a second"
    if config.time_limit_minutes is not None and training > config.time_limit_minutes:
        training, why = config.time_limit_minutes, "the limit in training.time_limit_minutes"
    encoded = workbench.artefacts[StageName.BASE_VECTORS].manifest.facts
    corpus = workbench.artefacts[StageName.CORPUS].manifest.facts
    times = corpus.get("all_units", corpus["chunks"]) / max(1, corpus["chunks"])
    encoding = times * encoded["tokens"] / max(1.0, encoded["tokens_per_second"]) / 60
    return Cost(round(training, 1), round(encoding, 1), why)


def warnings(workbench: Workbench, found: Probed | None) -> list[str]:
    """Say what the reader must know about how this was measured."""
    notes = []
    corpus = workbench.artefacts[StageName.CORPUS].manifest.facts
    if corpus.get("all_units", corpus["chunks"]) > corpus["chunks"]:
        notes.append(
            f"the corpus was sampled: {corpus['chunks']:,} of {corpus['all_units']:,} units, so all scores are too "
            "high; differences are less so"
        )
    if found is not None and found.asks_test_queries:
        notes.append("there are few dev queries, so test queries measured the probes too")
    if workbench.config.teacher.model is not None:
        notes.append("the probes were trained without the teacher")
    return notes
