"""A model folder → what the server holds: engine, tokenizer, contract."""

from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.models.base import describe_model, fetch_model
from dialekt.models.contract import EncodingContract
from dialekt.models.engines.choice import CalibrationMaterial
from dialekt.models.engines.records import EngineChoice, ModelKind
from dialekt.models.engines.servable import Servable
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.engines.torch_engine import TorchEngine
from dialekt.models.loading import load_model
from dialekt.types import ReportProgress, no_progress


def load_servable(
    name: str,
    *,
    model: ModelConfig,
    engine: EngineName,
    dtype: Precision | None,
    cache: Path | None,
    material: CalibrationMaterial | None,
    prefer: EngineName | None = None,
    progress: ReportProgress = no_progress,
) -> Servable:
    """Load a model by folder or name with a named engine, or the fastest within the parity bound.

    `prefer` is taken without measuring speeds where its vectors are good enough, so that a reload does not disturb
    the requests that are being answered. Raises `ModelError` and, for an engine that is named but not installed,
    `MissingExtraError`.
    """
    folder = fetch_model(name, trust_remote_code=model.trust_remote_code)
    transformer, contract = load_model(name, model)
    tokenizer = _request_tokenizer(transformer, contract)
    torch_engine = TorchEngine.of(transformer, precision=dtype)
    return Servable(
        kind=ModelKind.EMBEDDING,
        engine=torch_engine,
        tokenizer=tokenizer,
        contract=contract,
        labels=(),
        max_tokens=contract.max_tokens,
        size_bytes=torch_engine.size_bytes,
        content_id=describe_model(str(folder), trust_remote_code=model.trust_remote_code),
        choice=EngineChoice(EngineName.TORCH, measured=False),
    )


def _request_tokenizer(model: SentenceTransformer, contract: EncodingContract) -> RequestTokenizer:
    """Return the tokenizer of the request path; a static embedding adds no special tokens."""
    special_tokens = not isinstance(model[0], StaticEmbedding)
    return RequestTokenizer.of(
        model.tokenizer, max_tokens=contract.max_tokens, special_tokens=special_tokens, pair_segments=False
    )
