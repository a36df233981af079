"""What a short training is left of the project's settings."""

from dialekt.config import ObjectiveName, TrainingConfig
from dialekt.types import PairSource


def test_a_short_training_follows_no_teacher() -> None:
    """Objectives that follow a teacher or a larger model go, with the sources that only they name; the rest stays."""
    config = TrainingConfig.model_validate(
        {
            "objectives": {"cosent": 1.0, "listwise": 0.5, "embedding": 0.5},
            "objective_sources": {"listwise": ["logs"], "cosent": ["qrels"]},
            "distil_from": "larger",
            "mask_above": 0.9,
        }
    )
    short = config.without_teachers()
    assert short.objectives == {ObjectiveName.COSENT: 1.0}
    assert short.objective_sources == {ObjectiveName.COSENT: (PairSource.QRELS,)}
    assert (short.distil_from, short.mask_above) == (None, 0.9)


def test_with_nothing_left_the_data_choose() -> None:
    """A project that learns from a teacher alone is tried on its pairs."""
    short = TrainingConfig.model_validate({"objectives": "margin_mse"}).without_teachers()
    assert short.objectives is None
