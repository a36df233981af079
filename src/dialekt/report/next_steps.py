"""What to do next, read off the evidence: every step with the number that speaks for it."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dialekt.diagnosis.records import Remedy
from dialekt.evaluation.records import Comparison, EvaluationFacts
from dialekt.measures.metrics import NDCG
from dialekt.report import formats
from dialekt.report.facts import Facts

MOST = 5
LEAST_GAIN = 0.01  # NDCG@10: smaller differences are not worth the judgments that would prove them
MOST_JUDGMENTS = 20_000  # more than anybody judges
LOW_JUDGED = 0.7  # of the first ten, where non-answers are judged too
HIGH_RECALL, HEADROOM = 0.8, 0.2  # Recall@100 from which a reranker has something to lift, and how far
LOW_RECALL = 0.6  # Recall@100 below which no reranker helps: the first stage does not find the answers
RISING = 0.003  # NDCG@10 that the last dev evaluation must add to count as still rising
LONG_SHARE = 0.1  # of the documents that are cut off
DUPLICATE_SHARE = 0.05
NOISE_SHARE = 0.1
MADE_SHARE = 0.5
RECALL = "Recall@100"
NOTHING = Facts({})


@dataclass(frozen=True, slots=True)
class NextStep:
    """One thing to do: of which kind, what, the evidence for it in words, and what to type where that is enough."""

    remedy: Remedy
    action: str
    why: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class _Evidence:
    evaluation: EvaluationFacts
    facts: Mapping[str, Facts]
    diagnosis: Facts

    def of(self, stage: str) -> Facts:
        return self.facts.get(stage, NOTHING)

    @property
    def gain(self) -> Comparison | None:
        return self.evaluation.comparison("tuned", "base")

    def score(self, system: str, metric: str = NDCG) -> float | None:
        result = self.evaluation.result(system)
        return result.metrics[metric].value if result and metric in result.metrics else None


Rule = Callable[[_Evidence], Iterator[NextStep]]


def advise(
    evaluation: EvaluationFacts | None, facts: Mapping[str, Facts], diagnosis: Facts = NOTHING
) -> tuple[NextStep, ...]:
    """Return at most five things to do, the most important first; none where nothing was evaluated.

    `facts` are by stage name, `diagnosis` those of `dialekt diagnose` where it has run.
    """
    if evaluation is None or not evaluation.systems:
        return ()
    evidence = _Evidence(evaluation, facts, diagnosis)
    return tuple(step for rule in RULES for step in rule(evidence))[:MOST]


def _made_queries(evidence: _Evidence) -> Iterator[NextStep]:
    if evidence.evaluation.made_queries:
        yield NextStep(
            Remedy.JUDGMENTS,
            "Test on queries that people asked",
            f"All {formats.count(evidence.evaluation.queries)} test queries were made from documents: a gain on them "
            "says little of what people will notice.",
        )


def _forgetting(evidence: _Evidence) -> Iterator[NextStep]:
    general = evidence.evaluation.general
    if general and not general.passed:
        yield NextStep(
            Remedy.GENTLER,
            "Tune more gently",
            f"{NDCG} on general queries changes by {formats.signed(general.comparison.difference)}, and "
            f"{formats.score(general.limit)} may be lost: set a lower training.learning_rate, or a smaller "
            "training.max_tuned_share.",
        )


def _small_test(evidence: _Evidence) -> Iterator[NextStep]:
    gain, found = evidence.gain, evidence.evaluation
    if gain is None or gain.low > 0 or gain.high < 0 or found.made_queries:
        return
    effect = max(abs(gain.difference), LEAST_GAIN)
    if found.minimum_detectable_effect <= effect:
        return
    needed = math.ceil(found.queries * (found.minimum_detectable_effect / effect) ** 2)  # it falls with √queries
    if needed > MOST_JUDGMENTS:
        return
    yield NextStep(
        Remedy.JUDGMENTS,
        f"Judge {formats.count(needed - found.queries)} more test queries",
        f"The measured difference is {formats.signed(gain.difference)}; {formats.count(found.queries)} test queries "
        f"reliably find {formats.score(found.minimum_detectable_effect)} or more; to find {formats.score(effect)} four "
        f"times out of five takes {formats.count(needed)}.",
    )


def _unjudged(evidence: _Evidence) -> Iterator[NextStep]:
    found = evidence.evaluation.unjudged
    shares = {one.system: one.judged.value for one in found.systems} if found else {}
    base, tuned = shares.get("base"), shares.get("tuned")
    if found is None or base is None or tuned is None:
        return
    gain = evidence.gain
    is_hidden = tuned < base and gain is not None and gain.low <= 0
    if (found.meaningful and tuned < LOW_JUDGED) or is_hidden:
        yield NextStep(
            Remedy.JUDGMENTS,
            "Judge the top results on which the systems differ",
            f"Of the tuned model's first ten {formats.percent(tuned)} are judged, of the base model's "
            f"{formats.percent(base)}: the rest counts as wrong, whether it is or not.",
            "dialekt judge disputed",
        )


def _hybrid(evidence: _Evidence) -> Iterator[NextStep]:
    best = evidence.evaluation.recommendation.partition("@")[0]
    for hybrid, plain in (("hybrid_tuned", "tuned"), ("hybrid_base", "base")):
        found = evidence.evaluation.comparison(hybrid, plain)
        if found and found.low > 0 and best in {hybrid, plain}:
            fusion = result.fusion if (result := evidence.evaluation.result(hybrid)) else None
            weight = f", with BM25 at {formats.percent(fusion.lexical_weight)}" if fusion else ""
            yield NextStep(
                Remedy.HYBRID,
                f"Search with BM25 beside {formats.system_phrase(plain)}{weight}",
                f"{formats.humanise(formats.system_phrase(hybrid))} adds {formats.signed(found.difference)} "
                f"({formats.signed_range(found.low, found.high)}) to {formats.system_phrase(plain)} alone.",
            )


def _losing_slice(evidence: _Evidence) -> Iterator[NextStep]:
    losing = [one for one in evidence.evaluation.slices if one.high < 0]
    if not losing:
        return
    worst = min(losing, key=lambda one: one.difference)
    yield NextStep(
        Remedy.PAIRS,
        f"Train on more queries of the kind “{worst.dimension}: {worst.value}”",
        f"On these {formats.count(worst.queries)} test queries the tuned model is proven worse, by "
        f"{formats.signed(worst.difference)} ({formats.signed_range(worst.low, worst.high)}).",
    )


def _reranker(evidence: _Evidence) -> Iterator[NextStep]:
    best = evidence.evaluation.recommendation
    recall, score = evidence.score(best, RECALL), evidence.score(best)
    if recall is None or score is None or recall < HIGH_RECALL or recall - score < HEADROOM:
        return
    ceiling = evidence.diagnosis.part("baseline").part("ceiling").number("value")
    limit = f" Perfect reranking of the base model's list would reach {formats.score(ceiling)}." if ceiling else ""
    yield NextStep(
        Remedy.RERANKER,
        "Try a reranker on the first hundred",
        f"{formats.percent(recall)} of the answers are among the first hundred of {formats.system_phrase(best)}, but "
        f"{NDCG} is {formats.score(score)}: many stand too low.{limit}",
    )


def _larger_model(evidence: _Evidence) -> Iterator[NextStep]:
    recall = evidence.score("tuned", RECALL)
    if recall is not None and recall < LOW_RECALL:
        yield NextStep(
            Remedy.LARGER_MODEL,
            "Try a larger base model",
            f"The tuned model leaves {formats.percent(1 - recall)} of the answers out of its first hundred, where no "
            "reranker can reach them.",
        )


def _still_rising(evidence: _Evidence) -> Iterator[NextStep]:
    training = evidence.of("training")
    scores = [one for point in training.parts("curve") if (one := point.number("dev_ndcg")) is not None]
    if len(scores) < 2 or scores[-1] < max(scores) or scores[-1] - scores[-2] < RISING:
        return
    yield NextStep(
        Remedy.PAIRS,
        "Train longer, or on more pairs",
        f"The last dev evaluation still added {formats.signed(scores[-1] - scores[-2])} {NDCG}: raise training.epochs "
        f"above {formats.compact(training.number('epochs'))}, or give more judged queries.",
    )


def _learning_curve(evidence: _Evidence) -> Iterator[NextStep]:
    gain = evidence.diagnosis.part("gain")
    full, double = (gain.part(name).part("gain").number("value") for name in ("full", "double"))
    if full is not None and double is not None and double - full >= LEAST_GAIN:
        yield NextStep(
            Remedy.PAIRS,
            "Gather twice as many training queries",
            f"The learning curve of dialekt diagnose expects {formats.signed(double - full)} {NDCG} of them.",
        )


def _cut_off(evidence: _Evidence) -> Iterator[NextStep]:
    share = evidence.diagnosis.part("baseline").number("truncated_share")
    median, limit = evidence.of("corpus").number("median_tokens"), evidence.of("training").number("max_document_tokens")
    if share is not None and share >= LONG_SHARE:
        why = f"{formats.percent(share)} of the documents are longer than the model reads: their ends are not seen."
    elif median and limit and median > limit:
        why = f"Half of the documents have {formats.count(median)} tokens or more, and training reads {limit:,.0f}."
    else:
        return
    yield NextStep(Remedy.CHUNKS, "Cut long documents into chunks", f"{why} Set corpus.chunk_tokens.")


def _noise(evidence: _Evidence) -> Iterator[NextStep]:
    share = evidence.diagnosis.part("data").part("suspicious_share")
    value, low = share.number("value"), share.number("low")
    if value is not None and low is not None and low >= NOISE_SHARE:
        yield NextStep(
            Remedy.CLEAN_LABELS,
            "Clean the training pairs",
            f"About {formats.percent(value)} of the pairs (surely {formats.percent(low)}) seem wrong.",
        )


def _made_pairs(evidence: _Evidence) -> Iterator[NextStep]:
    sources = evidence.of("pairs").counts("by_source")
    made, total = sources.get("synthetic", 0), sum(sources.values())
    if total and made / total >= MADE_SHARE and not evidence.evaluation.made_queries:
        yield NextStep(
            Remedy.PAIRS,
            "Bring real queries",
            f"{formats.percent(made / total)} of the {formats.count(total)} training pairs were made from documents: "
            "a search log or judged queries show what people really ask.",
            "dialekt pairs logs",
        )


def _duplicates(evidence: _Evidence) -> Iterator[NextStep]:
    corpus = evidence.of("corpus")
    units = corpus.number("chunks") or corpus.number("documents")
    twins = (corpus.number("near_duplicates") or 0) + (corpus.number("exact_duplicates") or 0)
    if units and twins / units >= DUPLICATE_SHARE:
        yield NextStep(
            Remedy.DEDUPLICATE,
            "Join near-duplicate documents",
            f"{formats.percent(twins / units)} of the {formats.count(units)} documents nearly repeat another and take "
            "places among the first ten from each other.",
        )


RULES: tuple[Rule, ...] = (
    _made_queries,
    _forgetting,
    _small_test,
    _unjudged,
    _hybrid,
    _losing_slice,
    _made_pairs,
    _reranker,
    _larger_model,
    _still_rising,
    _learning_curve,
    _cut_off,
    _noise,
    _duplicates,
)
"""Most important first: what casts doubt on the verdict, then what brings most for least work."""
