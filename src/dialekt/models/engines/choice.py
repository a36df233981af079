"""Which engine serves a model: the fastest on this machine whose vectors are still the model's."""

from collections.abc import Callable
from dataclasses import dataclass

from dialekt.models.contract import EncodingContract
from dialekt.models.engines.records import Engine
from dialekt.models.engines.tokenizer import RequestTokenizer

QualityGate = Callable[[Engine], float]  # an engine → its mean NDCG@10 on dev minus that of the model in fp32
QualityGateFactory = Callable[[Engine, RequestTokenizer, EncodingContract], QualityGate]  # of the model in fp32


@dataclass(frozen=True, slots=True)
class CalibrationMaterial:
    """Texts of the domain, on which engines are calibrated and compared; `gate` is None without dev queries."""

    documents: tuple[str, ...]
    queries: tuple[str, ...]
    gate: QualityGateFactory | None = None
