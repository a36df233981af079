"""What a version remembers: how it was made, what was measured, and what was promoted when. Never a text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dialekt.types import Interval

STAGE_VERSION = 1  # here and not in stage.py, so that skipping a finished registration does not load torch
GAIN_METRIC = "NDCG@10"
TUNED = "tuned"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the recipe and why it has this value (chosen by the user, or derived from what)."""

    value: Any
    why: str = ""


@dataclass(frozen=True, slots=True)
class AdaptedBy:
    """What the base model learned from the documents alone before it was trained, by one method.

    `terms` are the tokens that its vocabulary gained. `gain` in NDCG@10 on dev, with its interval; None where nobody
    asked.
    """

    method: str
    passages: int
    terms: int = 0
    gain: Interval | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the model was trained on, in counts, and with which settings."""

    queries: int = 0
    documents: int = 0
    pairs: int = 0
    hard_negatives: int = 0
    pairs_by_source: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    adaptation: tuple[AdaptedBy, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtefactIds:
    """The ids of the artefacts that a model came from; empty for a step that was not taken."""

    corpus: str
    split: str
    pairs: str
    negatives: str
    training: str
    evaluation: str
    adaptation: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that is needed to make the model again. `config` is the whole resolved configuration."""

    base_model: str
    base_model_id: str
    artefacts: ArtefactIds
    config: Mapping[str, Any]
    code_version: str
    libraries: Mapping[str, str]
    seed: int
    recipe: Recipe = Recipe()


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One row of the result table. `dimension` is None where vectors are not cut (or there are none)."""

    system: str
    dimension: int | None
    metrics: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Gain:
    """The mean paired difference of a metric, tuned minus base, with its interval and permutation p-value."""

    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Parity:
    """How well the exported model's vectors agree with the trained one's; `fault`: why none were compared."""

    texts: int
    min_cosine: float
    max_abs_difference: float
    passed: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which cosine on a result is an answer: chosen on dev queries for precision `target`, tried on the held-out.

    `system` is "base" or "tuned". `recall` is the share of the answers among the first ten results that it leaves,
    `empty` the share of queries left without a result. All but `target` are None where no cosine reaches it.
    """

    system: str
    target: float
    cosine: float | None
    precision: Interval | None
    recall: Interval | None
    empty: float | None


@dataclass(frozen=True, slots=True)
class Forgetting:
    """NDCG@10 on queries of the general world before and after tuning; `change` is tuned minus base.

    `source` says which queries: "builtin", "nanobeir" or "folder". A mean loss above `limit` has not `passed`, if it is
    proven or at least a hundred queries show it.
    """

    source: str
    queries: int
    documents: int
    base: Interval
    tuned: Interval
    change: Interval
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured on the held-out queries of one split, and which guards passed.

    `gain` is None when base and tuned were never compared; `parity` is None until the export was checked.
    `made_queries` says that the held-out queries were made from documents. `forgetting` is None where no general
    queries were asked.
    """

    split: str
    queries: int
    documents: int
    systems: tuple[SystemResult, ...]
    gain: Gain | None
    leak_check_passed: bool
    minimum_detectable_effect: float | None = None
    recommendation: str = ""
    recommendation_reason: str = ""
    made_queries: bool = False
    thresholds: tuple[Threshold, ...] = ()
    forgetting: Forgetting | None = None
    parity: Parity | None = None

    def value_of(self, system: str, metric: str = GAIN_METRIC) -> Interval | None:
        """Return a cell of the result table, None when it was not measured."""
        return next((row.metrics.get(metric) for row in self.systems if row.system == system), None)


@dataclass(frozen=True, slots=True)
class Version:
    """A registered model: an immutable folder with the model and this record.

    `content_id` is the hash of the model's files (not of its card); `files` holds the SHA-256 of every file.
    """

    name: str
    content_id: str
    created: str
    lineage: Lineage
    evidence: Evidence
    files: Mapping[str, str]
    folder: Path

    @property
    def model(self) -> Path:
        """The folder to load, serve or publish; the record beside it holds the configuration and stays."""
        return self.folder / "model"


class PromotionKind(StrEnum):
    """Which way the champion changed."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class ChampionComparison:
    """NDCG@10 of the candidate beside the champion's: comparable only if measured on the same split."""

    champion: str
    same_split: bool
    champion_value: float | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Promotion:
    """One line of the promotion log. `overridden` lists the reasons of the gate that the user overruled."""

    at: str
    kind: PromotionKind
    version: str
    previous: str
    reason: str = ""
    overridden: tuple[str, ...] = ()
    comparison: ChampionComparison | None = None


class Runtime(StrEnum):
    """What else runs a model that was exported."""

    TEI = "tei"
    VLLM = "vllm"
    ONNX = "onnx"
