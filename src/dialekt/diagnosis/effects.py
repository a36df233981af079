"""What the data can teach and what the test queries can show."""

import math
from collections.abc import Sequence

from scipy import stats

from dialekt.diagnosis.inputs import DataInputs
from dialekt.diagnosis.labels import label_noise, round_trip, teacher_disagreement
from dialekt.diagnosis.records import DataFacts, NeededJudgments
from dialekt.measures.statistics import minimum_detectable_effect
from dialekt.types import Split

EFFECTS = (0.01, 0.02, 0.03, 0.05)


def needed_judgments(
    standard_deviation: float,
    effects: Sequence[float] = EFFECTS,
    *,
    power: float = 0.8,
    significance: float = 0.05,
) -> tuple[NeededJudgments, ...]:
    """Return the fewest queries whose minimum detectable effect is at most each effect, at least 2.

    n = ⌈((z(1 - significance/2) + z(power)) · SD / effect)²⌉, the inverse of `minimum_detectable_effect` (Cohen 1988).
    """
    quantiles = float(stats.norm.ppf(1 - significance / 2) + stats.norm.ppf(power))
    counts = (math.ceil((quantiles * standard_deviation / effect) ** 2 - 1e-9) for effect in effects)
    return tuple(NeededJudgments(effect, max(2, count)) for effect, count in zip(effects, counts, strict=True))


def data_facts(inputs: DataInputs) -> DataFacts:
    """Count what there is to learn from and to test on, and estimate how much of it is wrong."""
    trip = round_trip(inputs)
    splits = [query.split for query in inputs.queries]
    test_queries = splits.count(Split.TEST)
    logits, deviation = inputs.teacher_logits, inputs.standard_deviation
    significance = 1 - inputs.sampling.confidence
    return DataFacts(
        pairs=len(inputs.pairs),
        train_queries=len({pair.query_id for pair in inputs.pairs}),
        dev_queries=splits.count(Split.DEV),
        test_queries=test_queries,
        documents_with_pairs=len({pair.document_id for pair in inputs.pairs}),
        suspicious_share=label_noise(trip, inputs.sampling),
        unfindable=trip.unfindable,
        teacher_disagreement=None if logits is None else teacher_disagreement(logits),
        detectable=minimum_detectable_effect(deviation, test_queries, significance=significance),
        needed=needed_judgments(deviation, significance=significance),
        made_queries=inputs.made_queries,
    )
