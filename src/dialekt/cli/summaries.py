"""One line per stage: what came out of it. Built from facts, so a skipped stage says the same as a fresh one."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.markup import escape

from dialekt.config import TrainingMethod, TunedSide
from dialekt.flow.records import StageName
from dialekt.types import Language

Facts = Mapping[str, Any]


def summarize(stage: StageName, facts: Facts) -> str:
    """Return what came out of a stage, in a few words."""
    return _SUMMARIES[stage](facts)


def details(stage: StageName, facts: Facts) -> list[str]:
    """Return what must not be overlooked: what was derived and why, what can be detected, warnings."""
    lines = []
    if stage is StageName.SPLIT and facts.get("minimum_detectable_effect"):
        effect = facts["minimum_detectable_effect"]
        lines.append(f"these test queries can show a difference of {effect:.3f} NDCG@10 or more")
    if stage in {StageName.TRAINING, StageName.ADAPTATION}:
        derived: Mapping[str, Facts] = facts.get("derived") or {}
        lines += [f"{name} = {choice['value']}: {choice['why']}" for name, choice in derived.items()]
    if stage is StageName.EVALUATION and facts.get("general"):
        general: Facts = facts["general"]
        values = f"{general['base']['value']:.3f} → {general['tuned']['value']:.3f}"
        lines.append(f"general queries: NDCG@10 {values}{'' if general['passed'] else ', more than allowed is lost'}")
    if shared := facts.get("cluster"):
        lines.append(f"{shared['workers']:,} workers of a Ray cluster ({shared['why']})")
    elif facts.get("processes"):
        lines.append(f"{facts['processes']:,} processes, started by a launcher")
    dropped: Mapping[str, int] = facts.get("dropped") or {}
    counts = [f"{count:,} {rule.replace('_', ' ')}" for rule, count in dropped.items() if count]
    if counts and stage is not StageName.NEGATIVES:
        lines.append(f"dropped: {', '.join(counts)}")
    return [*map(escape, lines), *(f"[yellow]warning:[/] {escape(text)}" for text in facts.get("warnings") or ())]


def _judgments(facts: Facts) -> str:
    return f"{facts['queries']:,} queries, {facts['qrels']:,} judgments ({facts['format']})"


def _corpus(facts: Facts) -> str:
    chunks = f" in {facts['chunks']:,} chunks" if facts["chunks"] != facts["documents"] else ""
    doubles = facts["exact_duplicates"] + facts["near_duplicates"]
    language = f", in {facts['language']!r}" if facts.get("language") not in (None, Language.ENGLISH) else ""
    return f"{facts['documents']:,} documents{chunks}" + (f", {doubles:,} duplicates" if doubles else "") + language


def _logs(facts: Facts) -> str:
    answers = sum(facts["evidence"]["positives"].values())
    return f"{facts['intake']['lines']:,} lines, {facts['queries']:,} queries, {answers:,} answers"


def _synthesis(facts: Facts) -> str:
    made = sum(facts["made"].values())
    return f"{facts['queries']:,} of {made:,} made queries passed, for {facts['documents_asked']:,} documents"


def _teacher(facts: Facts) -> str:
    compared = f"dev NDCG@10 {facts['student_ndcg']:.3f} → {facts['teacher_ndcg']:.3f}"
    if not facts["used"]:
        return f"not used: {compared}"
    return f"{compared}, {facts['added']:,} negatives relabelled, {facts['scored']:,} pairs scored"


def _split(facts: Facts) -> str:
    queries = facts["queries"]
    sizes = ", ".join(f"{queries.get(name, 0):,} {name}" for name in ("train", "dev", "test"))
    return f"{sizes} queries ({facts['method']})"


def _pairs(facts: Facts) -> str:
    return f"{facts['pairs']:,} training pairs of {facts['queries']:,} queries"


def _vectors(facts: Facts) -> str:
    speed = f", {facts['tokens_per_second']:,.0f} tokens/s" if facts["tokens"] else ""
    return f"{facts['documents']:,} documents, {facts['queries']:,} queries{speed}"


def _negatives(facts: Facts) -> str:
    rank = f", mean rank {facts['mean_rank']:.0f}" if facts["mean_rank"] else ""
    return f"{facts['negatives']:,} hard negatives for {facts['queries']:,} queries{rank}"


def _general(facts: Facts) -> str:
    asked = facts["queries"] + facts["choosing_queries"]
    return f"{asked:,} general queries over {facts['documents']:,} documents, NDCG@10 {facts['base_ndcg']:.3f} before"


def _adaptation(facts: Facts) -> str:
    tried = [one["method"] for one in facts["methods"]]
    kept = f"kept: {', '.join(facts['kept'])}" if facts["kept"] else "nothing kept"
    return f"{', '.join(tried)} on {facts['documents']:,} documents; {kept}"


def _training(facts: Facts) -> str:
    side = "query side only, " if facts.get("side") == TunedSide.QUERY else ""
    side += "LoRA, " if facts["method"] == TrainingMethod.LORA else ""
    return (
        f"{side}{facts['steps']:,} steps of {facts['batch_size']} pairs, {facts['pairs_per_second']:.1f} pairs/s, "
        f"dev NDCG@10 {facts['base_dev_ndcg']:.3f} → {facts['best_dev_ndcg']:.3f}"
    )


def _evaluation(facts: Facts) -> str:
    return f"{facts['queries']:,} test queries, {len(facts['systems'])} systems; no leak found"


def _registry(facts: Facts) -> str:
    if facts["promotable"]:
        return f"{facts['version']}, ready to be promoted"
    return f"{facts['version']}, not promotable: {facts['promotable_reason']}"


def _report(facts: Facts) -> str:
    return str(facts["html"])


def _sample(facts: Facts) -> str:
    return f"{facts['chunks']:,} of {facts['all_units']:,} units, {facts['queries']:,} of the train queries"


def _diagnosis(facts: Facts) -> str:
    return str(facts["decision"])


_SUMMARIES: dict[StageName, Callable[[Facts], str]] = {
    StageName.JUDGMENTS: _judgments,
    StageName.CORPUS: _corpus,
    StageName.LOGS: _logs,
    StageName.SPLIT: _split,
    StageName.SYNTHESIS: _synthesis,
    StageName.PAIRS: _pairs,
    StageName.BASE_VECTORS: _vectors,
    StageName.NEGATIVES: _negatives,
    StageName.TEACHER: _teacher,
    StageName.TEACHER_VECTORS: _vectors,
    StageName.GENERAL: _general,
    StageName.ADAPTATION: _adaptation,
    StageName.TRAINING: _training,
    StageName.TUNED_VECTORS: _vectors,
    StageName.EVALUATION: _evaluation,
    StageName.REGISTRY: _registry,
    StageName.REPORT: _report,
    StageName.SAMPLE: _sample,
    StageName.DIAGNOSIS: _diagnosis,
}
