"""A model as the server holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dialekt.models.contract import EncodingContract
from dialekt.models.engines.records import Engine, EngineChoice, InputTokenizer, ModelKind


@dataclass(frozen=True, slots=True, eq=False)
class Servable:
    """A loaded model with all that a route must know of it. `contract` is None for a reranker or classifier.

    `labels` are a scorer's, in the order of its logits. `content_id` is the hash of the model's files. `prompts` are
    the model's own by name; those of the contract go before them. `warnings` are what its operator should know.
    """

    kind: ModelKind
    engine: Engine
    tokenizer: InputTokenizer
    contract: EncodingContract | None
    labels: tuple[str, ...]
    max_tokens: int
    size_bytes: int
    content_id: str
    choice: EngineChoice
    prompts: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
