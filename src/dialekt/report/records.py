"""What the report is made from, and what it leaves behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialekt.evaluation.records import Comparison
from dialekt.report.next_steps import NextStep


@dataclass(frozen=True, slots=True)
class ChangeTexts:
    """The texts of one win or loss: shown only when the user asked for texts."""

    query: str
    base_document: str
    tuned_document: str


@dataclass(frozen=True, slots=True)
class FullTuning:
    """The version of the same base that was tuned on both sides, and this model minus that one, query by query."""

    version: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """Everything that the report shows; nothing is read from anywhere else.

    `facts` and `seconds` are by stage name (judgments, corpus, split, pairs, base_vectors, negatives, training,
    tuned_vectors, evaluation, registry); a stage that has not run is simply absent. `facts` are as `dataclasses.asdict`
    wrote them, before or after a turn through JSON. `ids` are artefact ids by stage, `versions` library versions by
    name, `texts` the texts of wins and losses by query id (empty: no text reaches the page). `full_tuning` is what a
    model whose query side alone was tuned is held against, where there is such a version. `diagnosis` are the facts of
    `dialekt diagnose`, empty where it has not run; `search` is what the search found that the recipe comes from.
    """

    project: str
    created: str
    config: Mapping[str, Any]
    facts: Mapping[str, Mapping[str, Any]]
    seconds: Mapping[str, float]
    commands: Sequence[str]
    ids: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, ChangeTexts] = field(default_factory=dict)
    full_tuning: FullTuning | None = None
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Where the two pages lie, and what they advise to do next, the most important first."""

    html: str
    markdown: str
    next_steps: tuple[NextStep, ...] = ()
