"""The record: what each stage took, how to do it again, and what this evidence cannot show."""

import json
from collections.abc import Mapping
from typing import Any

from dialekt.evaluation.records import EvaluationFacts
from dialekt.report import formats
from dialekt.report.blocks import Block, Bullets, Cell, Code, Column, KeyValues, Row, Section, Table
from dialekt.report.charts.bars import bar_cell
from dialekt.report.facts import Facts
from dialekt.report.records import ReportInputs

NOTHING = Facts({})
ID_CHARACTERS = 16
WORK = {  # what a stage's speed is counted in: the fact and its unit
    "base_vectors": ("tokens_per_second", "tokens/s"),
    "teacher_vectors": ("tokens_per_second", "tokens/s"),
    "tuned_vectors": ("tokens_per_second", "tokens/s"),
    "training": ("pairs_per_second", "pairs/s"),
}


GENERAL_LIMITS = (
    "Documents without a judgment count as not relevant, so true scores may be higher, for every system.",
    "Each comparison of systems is tested on its own: among many, some look proven by chance.",
    "The test queries come from the same source as the training queries. Other kinds of queries may gain less.",
)


def time_section(seconds: Mapping[str, float], facts: Mapping[str, Facts]) -> Section | None:
    """Return how long each stage took."""
    total = sum(seconds.values())
    if not seconds:
        return None
    rows = [_time_row(stage, taken, total, facts.get(stage, NOTHING)) for stage, taken in seconds.items()]
    columns = (
        Column("Stage"),
        Column("Time", numeric=True),
        Column("Share", numeric=True),
        Column("Of the whole", graphic=True),
        Column("Speed", numeric=True),
    )
    table = Table("Time by stage", columns, tuple(rows))
    return Section("time", "Time", f"The whole journey took {formats.duration(total)}.", (table,))


def _time_row(stage: str, taken: float, total: float, facts: Facts) -> Row:
    share = taken / total if total else 0.0
    name, unit = WORK.get(stage, ("", ""))
    speed = facts.number(name)
    return Row(
        (
            Cell(formats.stage_label(stage)),
            Cell(formats.duration(taken)),
            Cell(formats.percent(share, digits=1)),
            Cell(graphic=bar_cell(share, title=f"{formats.percent(share)} of the time")),
            Cell(f"{formats.count(speed)} {unit}" if speed is not None else ""),
        )
    )


def reproduce_section(inputs: ReportInputs, facts: Mapping[str, Facts]) -> Section:
    """Return commands, seed, ids, versions and the whole configuration."""
    blocks: list[Block] = []
    if inputs.commands:
        blocks.append(Code("\n".join(inputs.commands)))
    blocks += [table for table in _record_tables(inputs, facts) if table.pairs]
    lead = "The same input, configuration, seed and versions on the same machine give the same result."
    return Section("reproduce", "Reproduce", lead, tuple(blocks))


def _record_tables(inputs: ReportInputs, facts: Mapping[str, Facts]) -> list[KeyValues]:
    ids = tuple((formats.stage_label(stage), identifier[:ID_CHARACTERS]) for stage, identifier in inputs.ids.items())
    note = f"The first {ID_CHARACTERS} characters of each content id; the artefact's manifest.json has all of them."
    return [
        KeyValues("This run", tuple(pair for pair in _identity(inputs, facts) if pair[1]), code=True),
        KeyValues("Artefacts", ids, code=True, collapsed=True, note=note),
        KeyValues("Versions", tuple(inputs.versions.items()), code=True, collapsed=True),
        KeyValues("Configuration", tuple(_settings(inputs.config)), code=True, collapsed=True),
    ]


def _identity(inputs: ReportInputs, facts: Mapping[str, Facts]) -> list[tuple[str, str]]:
    config = Facts(inputs.config)
    seed = config.part("project").integer("seed")
    registry = facts.get("registry", NOTHING)
    registered = [
        (formats.humanise(name), formats.value_text(value))
        for name, value in registry.values.items()
        if isinstance(value, str | int | float) and value != ""
    ]
    return [
        ("Project", inputs.project),
        ("Created", formats.moment(inputs.created)),
        ("Seed", "" if seed is None else str(seed)),
        ("Base model", config.part("model").text("base")),
        *((f"Registry: {name.lower()}", value) for name, value in registered),
    ]


def _settings(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for section, values in config.items():
        if isinstance(values, Mapping):
            found += [(f"{section}.{key}", _setting_text(value)) for key, value in values.items()]
        else:
            found.append((str(section), _setting_text(values)))
    return found


def _setting_text(value: object) -> str:
    """Return a setting as it would be typed, so that it can be copied back."""
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def limits_section(evaluation: EvaluationFacts | None, facts: Mapping[str, Facts]) -> Section:
    """Return what the evidence cannot show, and every warning of every stage."""
    blocks: list[Block] = []
    warnings = _warnings(facts)
    if warnings:
        blocks.append(Bullets(tuple(warnings), title="Warnings of this run", warning=True))
    blocks.append(Bullets(tuple(_limits(evaluation, facts)), title="About the numbers"))
    return Section("limits", "Limits", "Read every number on this page together with these.", tuple(blocks))


def _warnings(facts: Mapping[str, Facts]) -> list[str]:
    return [
        f"{formats.stage_label(stage)}: {text}" for stage, found in facts.items() for text in found.texts("warnings")
    ]


def _limits(evaluation: EvaluationFacts | None, facts: Mapping[str, Facts]) -> list[str]:
    limits = []
    if evaluation:
        limits += [_size_limit(evaluation), _leak_sentence(evaluation)]
    planned = facts.get("split", NOTHING)
    effect, deviation = planned.number("minimum_detectable_effect"), planned.number("assumed_standard_deviation")
    if effect is not None:
        assumed = (
            f", assuming that paired differences have a standard deviation of {formats.compact(deviation)}"
            if deviation
            else ""
        )
        limits.append(
            f"Planned before training: a minimum detectable effect of {formats.score(effect)} NDCG@10{assumed}."
        )
    if evaluation:
        limits += GENERAL_LIMITS
    missing = [formats.stage_label(stage).lower() for stage in _expected(facts) if stage not in facts]
    if missing:
        limits.append(f"Not part of this run, and so not in this report: {', '.join(missing)}.")
    return limits


def _size_limit(evaluation: EvaluationFacts) -> str:
    text = f"The test has {formats.count(evaluation.queries)} queries."
    if not evaluation.minimum_detectable_effect:
        return text
    deviation = formats.score(evaluation.standard_deviation)
    return (
        f"{text} With the measured spread of paired differences (standard deviation {deviation}), a true difference of "
        f"{formats.score(evaluation.minimum_detectable_effect)} NDCG@10 is found four times out of five; smaller ones "
        "are missed more often."
    )


def _leak_sentence(evaluation: EvaluationFacts) -> str:
    leaks = evaluation.leaks
    return (
        f"The leak check passed: {formats.count(leaks.train_queries)} train queries, {formats.count(leaks.pairs)} "
        f"pairs and {formats.count(leaks.negatives)} negatives against {formats.count(leaks.held_out_queries)} "
        f"held-out queries and {formats.count(leaks.held_out_documents)} held-out documents, at a similarity "
        f"of {formats.compact(leaks.near_duplicate_similarity)}."
    )


def _expected(facts: Mapping[str, Facts]) -> list[str]:
    """Return the stages that this journey has: some only where they were asked for, judgments where nothing else is."""
    optional = {"logs", "synthesis", "teacher", "teacher_vectors", "general", "adaptation"}
    if {"logs", "synthesis"} & facts.keys():
        optional |= {"judgments", "split"}
    return [stage for stage in formats.STAGE_LABELS if stage not in optional]
