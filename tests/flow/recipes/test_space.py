"""The table of knobs: what applies to which project, and what a recipe looks like."""

from dataclasses import replace

import pytest

from dialekt.config import Config, TrainingConfig
from dialekt.flow.recipes.space import KNOBS, Case, Choices, Numbers, changes, default_point, spans, tidy_value

CASE = Case(
    config=Config(),
    pairs=2_000,
    epochs=2.0,
    batch_size=64,
    learning_rate=5e-5,
    hard_negatives=1,
    max_document_tokens=128,
    max_tokens=256,
    teacher_scores=0,
    mined=9_000,
    limited=False,
)


def _configured(**settings: object) -> Config:
    return Config.model_validate(settings)


def test_every_knob_is_a_setting_of_training() -> None:
    """A row that names no setting would do nothing."""
    assert {knob.setting for knob in KNOBS} <= set(TrainingConfig.model_fields)


def test_the_default_lies_in_the_space() -> None:
    """The project's own recipe is a point of the space, and changes nothing."""
    found = spans(CASE)
    point = default_point(found)
    assert changes(point, found) == {}
    for setting, span in found.items():
        assert tidy_value(span, point[setting]) == point[setting]
        assert TrainingConfig.model_validate({setting: point[setting]})


def test_the_learning_rate_comes_first() -> None:
    """With few trials only the first knobs are turned: what is worth most."""
    assert list(spans(CASE))[:3] == ["learning_rate", "temperature", "hard_negatives"]


@pytest.mark.parametrize(
    ("case", "absent"),
    [
        (replace(CASE, limited=True), {"epochs", "mask_above"}),
        (replace(CASE, mined=0), {"hard_negatives", "mask_above"}),
        (replace(CASE, teacher_scores=500), {"mask_above"}),
        (replace(CASE, config=_configured(training={"mask_above": 0.95})), set()),
        (replace(CASE, config=_configured(training={"objectives": "cosent"})), {"objectives", "mask_above"}),
        (
            replace(CASE, config=_configured(training={"side": "query"})),
            {"max_document_tokens", "mask_above"},
        ),
        (
            replace(CASE, config=_configured(synthesis={"generators": ["local"]})),
            {"max_document_tokens", "mask_above"},
        ),
    ],
)
def test_what_decides_nothing_is_not_turned(case: Case, absent: set[str]) -> None:
    """Epochs under a time limit, negatives where none were mined, a teacher's part where there is none."""
    assert {knob.setting for knob in KNOBS} - set(spans(case)) == absent


def test_re_mining_needs_negatives() -> None:
    """Where training mines again, no recipe does without negatives: that would be refused."""
    span = spans(replace(CASE, config=_configured(training={"remine_every": 1.0})))["hard_negatives"]
    assert isinstance(span, Numbers)
    assert span.low == 1


def test_a_default_outside_the_usual_range_widens_it() -> None:
    """A project that trains with an odd temperature can come back from it, and can keep it."""
    span = spans(replace(CASE, config=_configured(training={"temperature": 0.3})))["temperature"]
    assert span == Numbers(0.02, 0.3, 0.3)


@pytest.mark.parametrize(
    ("span", "value", "expected"),
    [
        (Numbers(1e-5, 4e-4, 5e-5), 0.000123456, 0.00012),
        (Numbers(1e-5, 4e-4, 5e-5), 0.000399999, 4e-4),
        (Numbers(0, 4, 1, whole=True, log=False), 2.0, 2),
        (Choices(("ranking", "symmetric"), "ranking"), "symmetric", "symmetric"),
    ],
)
def test_recipes_are_read_by_people(span: Numbers | Choices, value: float | str, expected: float | str) -> None:
    """Two digits, whole numbers whole."""
    found = tidy_value(span, value)
    assert found == expected
    assert type(found) is type(expected)
