"""A model folder → what the server holds: engine, tokenizer, contract."""

from dataclasses import asdict, replace
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from dialekt.config import EngineName, ModelConfig, Precision
from dialekt.errors import DialektError, EndpointError, ModelError
from dialekt.models.adapter_folder import read_adapter
from dialekt.models.adapter_names import is_adapter_folder, is_endpoint_folder
from dialekt.models.base import describe_model, fetch_model
from dialekt.models.contract import EncodingContract, read_contract
from dialekt.models.encoders import plain_config
from dialekt.models.endpoint import endpoint_of, is_endpoint
from dialekt.models.endpoint_client import SOMEBODY_WAITS, EndpointClient
from dialekt.models.endpoint_folder import PROBE_TEXTS, drift, endpoint_contract, read_endpoint, read_probes
from dialekt.models.endpoint_key import read_key
from dialekt.models.engines.adapted_engine import AdaptedEngine
from dialekt.models.engines.cache import open_cache
from dialekt.models.engines.choice import (
    INT8_ENGINES,
    CalibrationMaterial,
    SizedEngine,
    choose_engine,
    judge,
    try_engine,
)
from dialekt.models.engines.kinds import detect_kind
from dialekt.models.engines.records import EngineChoice, EngineTrial, ModelKind, RemoteName
from dialekt.models.engines.remote_engine import EndpointEngine, EndpointTokenizer
from dialekt.models.engines.scoring_engine import load_scorer
from dialekt.models.engines.servable import Servable
from dialekt.models.engines.tokenizer import RequestTokenizer
from dialekt.models.engines.torch_engine import check_takes_ids
from dialekt.models.engines.workshop import Workshop
from dialekt.models.folders import named_prompts
from dialekt.models.loading import load_model
from dialekt.models.vector_map import VectorMap
from dialekt.store.hashing import hash_json
from dialekt.types import ReportProgress, no_progress

_TOKENIZER_BYTES_PER_TOKEN = 440  # of the vocabulary: measured on MiniLM's, 13 MB for 30,522


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
    the requests that are being answered. Cross-encoders always run in torch. Raises `ModelError` and, for an engine
    that is named but not installed, `MissingExtraError`.
    """
    if is_endpoint(name):
        return _named_endpoint(model.model_copy(update={"base": name}))
    folder = fetch_model(name, trust_remote_code=model.trust_remote_code)
    if is_endpoint_folder(folder):
        return _endpoint_of_folder(folder, model)
    if is_adapter_folder(folder):
        found = read_adapter(folder)
        base = load_servable(
            str(found.base), model=plain_config(model), engine=engine, dtype=dtype, cache=cache, material=material,
            prefer=prefer, progress=progress,
        )  # fmt: skip
        return _adapted(folder, base, found.vector_map)
    content_id = describe_model(str(folder), trust_remote_code=model.trust_remote_code)
    kind = detect_kind(folder)
    if kind is not ModelKind.EMBEDDING:
        return _scorer(folder, kind, model=model, engine=engine, dtype=dtype, content_id=content_id)
    transformer, contract = load_model(name, model)
    check_takes_ids(transformer)
    workshop = Workshop(
        name=name,
        config=model,
        model=transformer,
        contract=contract,
        tokenizer=_request_tokenizer(transformer, contract),
        dtype=dtype,
        cache=open_cache(cache, hash_json([content_id, asdict(contract)])),
        material=material,
    )
    chosen, choice = _choose(workshop, engine, prefer=prefer, progress=progress)
    return Servable(
        kind=ModelKind.EMBEDDING,
        engine=chosen,
        tokenizer=workshop.tokenizer,
        contract=contract,
        labels=(),
        max_tokens=contract.max_tokens,
        size_bytes=chosen.size_bytes + _tokenizer_bytes(workshop.tokenizer),
        content_id=content_id,
        choice=choice,
        prompts=named_prompts(folder),
    )


def _adapted(folder: Path, base: Servable, vector_map: VectorMap) -> Servable:
    """Put a map behind a loaded base."""
    engine = AdaptedEngine(base.engine, vector_map, size_bytes=base.size_bytes)
    return replace(
        base,
        engine=engine,
        contract=read_contract(folder),
        size_bytes=engine.size_bytes,
        content_id=describe_model(str(folder)),
    )


def _named_endpoint(model: ModelConfig) -> Servable:
    """Open an endpoint by its address. It must be reached, since nothing else tells the dimension of its vectors."""
    endpoint = endpoint_of(model)
    client = EndpointClient(endpoint, key=read_key(endpoint, model), patience=SOMEBODY_WAITS)
    contract = endpoint_contract(endpoint, model, dimension=client.ask(PROBE_TEXTS).shape[1])
    return _remote(client, contract, content_id=endpoint.identity)


def _endpoint_of_folder(folder: Path, model: ModelConfig) -> Servable:
    """Open the endpoint of a folder, whether it is reached or not; warn where it makes other vectors than it did."""
    endpoint = read_endpoint(folder)
    client = EndpointClient(endpoint, key=read_key(endpoint, model), patience=SOMEBODY_WAITS)
    try:
        changed = drift(read_probes(folder), client.ask(PROBE_TEXTS))
    except EndpointError as error:
        changed = f"is not reached: {error.message}"
    warnings = (f"the model behind {endpoint.host} {changed}",) if changed else ()
    return _remote(client, read_contract(folder), content_id=describe_model(str(folder)), warnings=warnings)


def _remote(
    client: EndpointClient, contract: EncodingContract, *, content_id: str, warnings: tuple[str, ...] = ()
) -> Servable:
    return Servable(
        kind=ModelKind.EMBEDDING,
        engine=EndpointEngine(client, width=contract.dimension),
        tokenizer=EndpointTokenizer(client.endpoint, max_tokens=contract.max_tokens),
        contract=contract,
        labels=(),
        max_tokens=contract.max_tokens,
        size_bytes=0,
        content_id=content_id,
        choice=EngineChoice(RemoteName.ENDPOINT, measured=False),
        warnings=warnings,
    )


def _scorer(
    folder: Path, kind: ModelKind, *, model: ModelConfig, engine: EngineName, dtype: Precision | None, content_id: str
) -> Servable:
    """Load a cross-encoder; an engine that was named for the whole server is refused in its trial, not an error."""
    scorer = load_scorer(folder, model=model, dtype=dtype)
    other = engine not in {EngineName.AUTO, EngineName.TORCH}
    trials = (EngineTrial(engine, "", refused="a cross-encoder runs in torch only"),) if other else ()
    return Servable(
        kind=kind,
        engine=scorer.engine,
        tokenizer=scorer.tokenizer,
        contract=None,
        labels=scorer.labels,
        max_tokens=scorer.max_tokens,
        size_bytes=scorer.engine.size_bytes + _tokenizer_bytes(scorer.tokenizer),
        content_id=content_id,
        choice=EngineChoice(EngineName.TORCH, measured=False, trials=trials),
    )


def _choose(
    workshop: Workshop, name: EngineName, *, prefer: EngineName | None, progress: ReportProgress
) -> tuple[SizedEngine, EngineChoice]:
    names = workshop.candidates()
    if name is EngineName.TORCH or (name is EngineName.AUTO and names == (EngineName.TORCH,)):
        return workshop.last_engine(EngineName.TORCH), EngineChoice(EngineName.TORCH, measured=False)
    if name is not EngineName.AUTO:
        return _named(workshop, name)
    key = workshop.choice_key()
    known = workshop.cache.read_choice(key)
    if known is not None and (engine := _built(workshop, EngineName(known.engine))) is not None:
        return engine, known
    if prefer is not None and (tried := _preferred(workshop, prefer)) is not None:
        return tried
    engine, choice = choose_engine(names, workshop.trials(), progress=progress)
    workshop.cache.write_choice(key, choice)
    return engine, choice


def _named(workshop: Workshop, name: EngineName) -> tuple[SizedEngine, EngineChoice]:
    """Return the engine that the user named. Rounding to int8 is the user's wish, any other deviation is a fault."""
    engine = workshop.engine(name)
    trial = judge(engine, workshop.trials())
    if trial.refused and name not in INT8_ENGINES:
        engine.close()
        raise ModelError(f"the engine {name} may not serve the model: {trial.refused}", hint="use the engine torch")
    return engine, EngineChoice(name, measured=False, trials=(trial,))


def _preferred(workshop: Workshop, name: EngineName) -> tuple[SizedEngine, EngineChoice] | None:
    """Return the engine that is preferred if its vectors are good enough."""
    tried = try_engine(name, workshop.trials())
    if tried.engine is None:
        return None
    if tried.trial.refused:
        tried.engine.close()
        return None
    return tried.engine, EngineChoice(name, measured=False, trials=(tried.trial,))


def _built(workshop: Workshop, name: EngineName) -> SizedEngine | None:
    """Return the engine of an earlier choice, None where it can no longer be built."""
    try:
        return workshop.last_engine(name)
    except DialektError:
        return None


def _tokenizer_bytes(tokenizer: RequestTokenizer) -> int:
    return _TOKENIZER_BYTES_PER_TOKEN * tokenizer.vocabulary_size


def _request_tokenizer(model: SentenceTransformer, contract: EncodingContract) -> RequestTokenizer:
    """Return the tokenizer of the request path; a static embedding adds no special tokens."""
    special_tokens = not isinstance(model[0], StaticEmbedding)
    return RequestTokenizer.of(
        model.tokenizer, max_tokens=contract.max_tokens, special_tokens=special_tokens, pair_segments=False
    )
