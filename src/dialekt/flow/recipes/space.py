"""What a search may change about the recipe: one row per knob.

A new knob is a row of `KNOBS`: the setting of [training], and where its values lie for a project, None where it does
not apply. The rows are in the order of what they are worth: with few trials only the first are turned.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dialekt.config import Config, TunedSide
from dialekt.flow.recipes.records import Value

SPACE_VERSION = 1
DIGITS = 2
"""Of every number that is tried: a recipe is read by people."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A range of numbers with the default's own value in it; `log` where factors count and not steps."""

    low: float
    high: float
    default: float
    whole: bool = False
    log: bool = True


@dataclass(frozen=True, slots=True)
class Choices:
    """A few values, the default's own among them."""

    values: tuple[str, ...]
    default: str


Span = Numbers | Choices


@dataclass(frozen=True, slots=True)
class Case:
    """What the space depends on: the project's configuration and what the training of its own recipe came to.

    `limited` says that every trial ends by a time limit, so that the number of epochs decides nothing. `mined` is how
    many hard negatives there are, `max_tokens` how long a text the model reads.
    """

    config: Config
    pairs: int
    epochs: float
    batch_size: int
    learning_rate: float
    hard_negatives: int
    max_document_tokens: int
    max_tokens: int
    teacher_scores: int
    mined: int
    limited: bool

    @property
    def frozen(self) -> bool:
        """Whether documents keep the vectors that they have."""
        return self.config.training.side is TunedSide.QUERY


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting of [training] that a search may change."""

    setting: str
    span: Callable[[Case], Span | None]


def _learning_rate(case: Case) -> Span:
    return Numbers(case.learning_rate / 4, case.learning_rate * 8, case.learning_rate)


def _temperature(case: Case) -> Span:
    value = case.config.training.temperature
    return Numbers(min(0.02, value), max(0.1, value), value)


def _hard_negatives(case: Case) -> Span | None:
    if not case.mined:
        return None
    least = 0 if case.config.training.remine_every is None else 1
    most = max(16 if case.frozen else 4, case.hard_negatives)
    return Numbers(
        least,
        max(case.hard_negatives, min(most, case.config.negatives.per_query)),
        case.hard_negatives,
        whole=True,
        log=False,
    )


def _max_document_tokens(case: Case) -> Span | None:
    """Made queries are made from as much of a document as training reads: there it is no setting of training alone."""
    if case.frozen or case.config.synthesis.generators:
        return None
    value = case.max_document_tokens
    return Numbers(max(value // 2, 8), min(2 * value, case.max_tokens), value, whole=True)


def _batch_size(case: Case) -> Span:
    value = case.batch_size
    return Numbers(max(2, value // 4), max(value, min(4 * value, case.pairs // 4)), value, whole=True)


def _epochs(case: Case) -> Span | None:
    return None if case.limited else Numbers(case.epochs / 2, case.epochs * 1.5, case.epochs)


def _objectives(case: Case) -> Span | None:
    """Where the user names no objectives: with a teacher, what is learnt of its scores; else whether both ways."""
    training = case.config.training
    if training.objectives is not None or training.distil_from is not None or training.objective_sources:
        return None
    if case.teacher_scores:
        return Choices(("ranking+listwise", "listwise", "ranking+margin_mse", "ranking"), "ranking+listwise")
    return Choices(("ranking", "symmetric"), "ranking")


def _mask_above(case: Case) -> Span | None:
    value = case.config.training.mask_above
    return None if value is None else Numbers(min(0.8, value), max(1.1, value), value, log=False)


def _weight_decay(case: Case) -> Span:
    value = case.config.training.weight_decay
    return Numbers(0.0, max(0.1, value), value, log=False)


def _warmup_share(case: Case) -> Span:
    value = case.config.training.warmup_share
    return Numbers(0.0, max(0.3, value), value, log=False)


KNOBS: tuple[Knob, ...] = (
    Knob("learning_rate", _learning_rate),
    Knob("temperature", _temperature),
    Knob("hard_negatives", _hard_negatives),
    Knob("epochs", _epochs),
    Knob("batch_size", _batch_size),
    Knob("objectives", _objectives),
    Knob("max_document_tokens", _max_document_tokens),
    Knob("mask_above", _mask_above),
    Knob("weight_decay", _weight_decay),
    Knob("warmup_share", _warmup_share),
)


def spans(case: Case) -> dict[str, Span]:
    """Return the knobs that apply to a project, the most worthwhile first; bounds have few digits, as all values."""
    found = {knob.setting: knob.span(case) for knob in KNOBS}
    return {setting: tidy for setting, span in found.items() if span and (tidy := _tidy(span))}


def _tidy(span: Span) -> Span | None:
    """Return a span with rounded bounds around its default, None where there is nothing to choose."""
    if isinstance(span, Choices):
        return span if len(span.values) > 1 else None
    low, high = min(_round(span.low), span.default), max(_round(span.high), span.default)
    return Numbers(low, high, span.default, span.whole, span.log) if low < high else None


def tidy_value(span: Span, value: Value) -> Value:
    """Return a value of a span as it stands in a recipe: whole or with few digits, and inside the span."""
    if isinstance(span, Choices) or isinstance(value, str):
        return value
    rounded = round(value) if span.whole else _round(value)
    return type(rounded)(min(max(rounded, span.low), span.high))


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def default_point(found: Mapping[str, Span]) -> dict[str, Value]:
    """Return where the project's own recipe lies in the space."""
    return {
        setting: int(span.default) if isinstance(span, Numbers) and span.whole else span.default
        for setting, span in found.items()
    }


def changes(point: Mapping[str, Value], found: Mapping[str, Span]) -> dict[str, Value]:
    """Return the settings of a point that differ from the project's own recipe."""
    own = default_point(found)
    return {setting: value for setting, value in point.items() if value != own[setting]}
