"""The parts of a diagnosis: from the artefacts of the journey to what the diagnosis room looks at."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
from dialekt.evaluation.labels import join, read_labels
from dialekt.evaluation.systems import Held, Plan, System, build_systems
from dialekt.flow.probing.adapters import adapter_probes
from dialekt.flow.probing.material import Finished, FinishedProbes, all_train_queries, open_probes
from dialekt.flow.probing.trained import LEAST_PROBE, trained_probes
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.measures.metrics import NDCG, judge, score_run
from dialekt.measures.retrieval import Collection, read_collection
from dialekt.measures.statistics import minimum_detectable_effect
from dialekt.models.endpoint import is_endpoint
from dialekt.models.lexical import Bm25
from dialekt.models.vectors import load_vectors
from dialekt.pairs.records import MADE_QUERIES
from dialekt.store.atomic import write_atomic
from dialekt.store.tables import read_records
from dialekt.training.derive import default_epochs
from dialekt.types import DevComparison, Document, Pair, Qrel, Query, ReportProgress, Role, Split, TeacherScore

LEAST_MEASURED = 20
DEPTH = 100
FIRST_RERANKED = 5
MOST_RERANKED = 100
_ROOM_FOR_SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True)
class Probed:
    """The probes, smallest first, and what else they tell of the whole."""

    finished: tuple[Finished, ...]
    measured_queries: int
    asks_train_queries: bool

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
    return Probed(tuple(found), len(probes.base), probes.asks_train_queries)


def ask(workbench: Workbench, *, progress: ReportProgress) -> Asked:
    """Ask BM25, the base model and their hybrid the held-out queries, of which the test queries count."""
    corpus, pairs = workbench.folder(StageName.CORPUS), workbench.folder(StageName.PAIRS)
    queries = read_records(pairs / "queries.parquet", Query)
    held_out = {query.id for query in queries if query.split is not Split.TRAIN}
    said = [one for one in read_labels(workbench.config.evaluation.labels) if one.query_id in held_out]
    qrels = join(read_records(pairs / "qrels.parquet", Qrel), said)
    judgments = judge(qrels, minimum_grade=workbench.config.pairs.minimum_grade)
    generator = np.random.default_rng(workbench.config.project.seed)
    dev_queries, test = (
        _draw([query for query in queries if query.split is split], workbench, generator)
        for split in (Split.DEV, Split.TEST)
    )
    held = Held(dev_queries, test, judgments)
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
    return Asked(collection, documents, Bm25.build(collection.texts, language=collection.language), held, systems)


def _draw(queries: Sequence[Query], workbench: Workbench, generator: np.random.Generator) -> list[Query]:
    """Draw queries without replacement, in their order."""
    drawn = generator.permutation(len(queries))[: workbench.config.diagnosis.max_queries]
    return [queries[row] for row in sorted(drawn.tolist())]


def baseline(workbench: Workbench, asked: Asked, out: Path, *, progress: ReportProgress) -> BaselineFacts | None:
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
        language=asked.lexical.language,
        sampling=_sampling(workbench),
    )
    return replace(baseline_facts(inputs), reranker=_reranker(workbench, out, progress=progress))


def _reranker(workbench: Workbench, out: Path, *, progress: ReportProgress) -> DevComparison | None:
    """Let the cross-encoder that the configuration names rerank the base model's first hits on dev queries.

    As many queries as a quarter of the probes' time allows; kept in a file, so that a kill does not lose it.
    """
    from dialekt.models.reranker import Reranker

    config, kept = workbench.config.teacher, out / "reranker.json"
    if config.model in (None, TRAINED_HERE):
        return None
    if kept.is_file():
        return DevComparison(**json.loads(kept.read_text(encoding="utf-8")))
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
        max_queries=FIRST_RERANKED,
        depth=config.depth,
        seed=workbench.config.project.seed,
    )

    def score(queries: Sequence[str], documents: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        return reranker.score(queries, documents, pairs, progress=progress)

    began = time.monotonic()
    found = reranking.compare(inputs, score)
    affordable = int(workbench.config.diagnosis.minutes * 15 / (time.monotonic() - began) * FIRST_RERANKED)
    if affordable > 2 * FIRST_RERANKED:
        found = reranking.compare(replace(inputs, max_queries=min(MOST_RERANKED, affordable)), score)
    if not found.queries:
        return None
    write_atomic(kept, json.dumps(asdict(found)))
    return found


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
    return _of_the_whole(data_facts(inputs), facts, inputs.standard_deviation, inputs.sampling)


def _of_the_whole(found: DataFacts, facts: Mapping[str, Any], deviation: float, sampling: Sampling) -> DataFacts:
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
        documents_with_pairs=int(facts["all_paired_documents"]),
        detectable=minimum_detectable_effect(deviation, test, significance=1 - sampling.confidence),
    )


def _deviation(asked: Asked, found: Probed | None) -> float:
    """Return the deviation of a query's difference: after the largest probe, else between hybrid and base model."""
    if found is not None and found.largest.deviation > 0:
        return found.largest.deviation
    hybrid, base = (score_run(asked.systems[name].run, asked.held.judgments)[NDCG] for name in ("hybrid_base", BASE))
    return float((hybrid - base).std(ddof=1)) if len(base) > 1 else 0.0


def _teacher_logits(workbench: Workbench) -> NDArray[np.float32] | None:
    """Return what the teacher of these pairs said of them; None where it has not run."""
    teacher = workbench.folder_if_any(StageName.TEACHER)
    if teacher is None:
        return None
    original = workbench.folder(StageName.PAIRS) / "pairs.parquet"
    pairs = {(one.query_id, one.document_id) for one in read_records(original, Pair)}
    scores = read_records(teacher / "scores.parquet", TeacherScore)
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
            times * all_train_queries(workbench),
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
    corpus, made = (workbench.artefacts[name].manifest.facts for name in (StageName.CORPUS, StageName.PAIRS))
    if corpus.get("all_units", corpus["chunks"]) > corpus["chunks"]:
        notes.append(
            f"the corpus was sampled: {corpus['chunks']:,} of {corpus['all_units']:,} units, so all scores are too "
            "high; differences are less so"
        )
    if all_train_queries(workbench) > int(made["queries"]):
        notes.append(f"the train queries were sampled: {made['queries']:,} of {all_train_queries(workbench):,}")
    if found is not None and found.asks_train_queries:
        notes.append("there are few dev queries, so train queries that no probe learnt from measured the probes too")
    if found is not None and any(one.shortened for one in found.finished):
        notes.append("a probe ran out of time and may show too small a gain; raise diagnosis.minutes")
    if is_endpoint(workbench.config.model.base):
        notes.append("the tokenizer is out of reach: how the model cuts words was estimated from their length")
    if workbench.config.teacher.model is not None:
        notes.append("the probes were trained without the teacher")
    return notes
