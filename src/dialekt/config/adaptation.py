"""The section on unsupervised adaptation: what the documents alone can teach before training."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from dialekt.config.section import PositiveInt, Section, Share


class AdaptationMethod(StrEnum):
    """What the base model learns from documents alone."""

    VOCABULARY = "vocabulary"
    MLM = "mlm"
    TSDAE = "tsdae"


class KeepRule(StrEnum):
    """Who decides whether an adaptation is kept."""

    DEV = "dev"
    ALWAYS = "always"


class JudgedBy(StrEnum):
    """What is scored on dev: the model after a short training on the pairs, or the model as it is."""

    TRAINING = "training"
    ZERO_SHOT = "zero_shot"


class AdaptationConfig(Section):
    """Learning from documents without queries, before training. Everything unset is derived and recorded."""

    methods: tuple[AdaptationMethod, ...] = Field(
        default=(),
        description="in this order, each from what was kept before it: 'vocabulary' gives fragmented terms tokens of "
        "their own, 'mlm' guesses masked words, 'tsdae' rebuilds damaged sentences; empty: off",
    )
    keep: KeepRule = Field(
        default=KeepRule.DEV, description="'dev' keeps what is proven better there, 'always' keeps everything unasked"
    )
    judged_by: JudgedBy = Field(
        default=JudgedBy.TRAINING,
        description="'training' compares after the same short training on pairs, 'zero_shot' the models as they are",
    )
    minimum_gain: float = Field(
        default=0.0, description="kept only when the lower end of the gain in NDCG@10 on dev exceeds this"
    )
    confidence: Share = Field(default=0.9, description="of the interval of that gain, paired by dev query")
    probe_queries: PositiveInt = Field(default=2_048, description="train queries of the short training, at most")
    epochs: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="passes over the documents; unset: more the fewer there are"
    )
    batch_size: PositiveInt | None = Field(default=None, description="passages per step")
    max_tokens: PositiveInt | None = Field(default=None, description="longest passage that documents are cut into")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="highest learning rate of 'mlm' and 'tsdae'; it falls to zero in a straight line"
    )
    mask_share: Share = Field(default=0.3, description="'mlm': part of the tokens that must be guessed")
    deletion_share: Share = Field(default=0.6, description="'tsdae': part of the words that are left out")
    max_terms: PositiveInt | None = Field(
        default=None, description="'vocabulary': new tokens, at most; unset: by the size of the corpus"
    )
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="of each method's own training: shorten it to fit"
    )

    @field_validator("methods")
    @classmethod
    def _once_each(cls, methods: tuple[AdaptationMethod, ...]) -> tuple[AdaptationMethod, ...]:
        if len(set(methods)) < len(methods):
            raise ValueError("names a method twice")
        return methods
