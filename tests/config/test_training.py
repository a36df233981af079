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


def test_sources_stay_where_the_data_choose() -> None:
    """Unnamed objectives may still be told their sources."""
    config = TrainingConfig.model_validate({"objective_sources": {"ranking": ["qrels"], "listwise": ["logs"]}})
    assert config.without_teachers().objective_sources == {ObjectiveName.RANKING: (PairSource.QRELS,)}


def test_without_a_cross_encoder_a_larger_model_still_teaches() -> None:
    """Leaving out the teacher leaves the distillation from embeddings."""
    config = TrainingConfig.model_validate({"objectives": "margin_mse+embedding", "distil_from": "larger"})
    left = config.without_scores()
    assert (left.objectives, left.distil_from) == ({ObjectiveName.EMBEDDING: 1.0}, "larger")
