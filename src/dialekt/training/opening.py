"""Open a training run: the base model made ready, examples, recipe and objective."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from dialekt.config import ModelConfig, Precision, TrainingConfig, TunedSide
from dialekt.errors import ConfigError, InputError
from dialekt.models.base import describe_model
from dialekt.models.contract import EncodingContract
from dialekt.models.encoder import Encoder
from dialekt.models.machine import device_memory_bytes, fastest_precision
from dialekt.models.vectors import load_vectors
from dialekt.store.tables import read_records
from dialekt.training.derive import Machine, Recipe, derive_recipe
from dialekt.training.examples import Examples, build_examples
from dialekt.training.lazy_embedding import make_lazy
from dialekt.training.objective import Objective, choose_terms, wants_grades
from dialekt.training.preparing import choose_weights, prepare_model, transformer_of
from dialekt.training.records import Derived, TrainingInputs
from dialekt.training.start import Partner, mixing_partner
from dialekt.training.tables import Tokenise
from dialekt.training.trainer import RankingStep
from dialekt.types import Document, HardNegative, Pair, Progress, Qrel, Query, ReportProgress, Role, TeacherScore


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that one run of the stage works with; `trained_weights` counts the numbers that it may change."""

    config: TrainingConfig
    inputs: TrainingInputs
    out: Path
    encoder: Encoder
    partner: Partner
    examples: Examples
    recipe: Recipe
    step: RankingStep
    trained_weights: int
    progress: ReportProgress

    def score(self) -> float:
        """Score the model as it is now on the dev queries."""
        return self.inputs.score_dev(self.encoder.encode)

    def mine(self) -> list[HardNegative]:
        """Mine hard negatives with the model as it is now."""
        assert self.inputs.remine is not None
        return self.inputs.remine(self.encoder.encode)


def open_session(config: TrainingConfig, inputs: TrainingInputs, out: Path, progress: ReportProgress) -> Session:
    progress(Progress("reading training data", 0))
    loaded = Encoder.load(str(inputs.start or inputs.model.base), inputs.model, precision=Precision.FP32)
    encoder = Encoder.of(loaded.model, _tuned_contract(loaded.contract, inputs.model, side=config.side))
    partner = mixing_partner(inputs, encoder.model)
    prepare_model(encoder)
    choose_weights(encoder, config, seed=inputs.seed)
    examples = _read_examples(config, inputs, encoder)
    device = encoder.model.device.type
    recipe = derive_recipe(
        config,
        examples,
        machine=Machine(device, fastest_precision(device), device_memory_bytes(device)),
        max_tokens=encoder.contract.max_tokens,
        hidden_numbers=_hidden_numbers(encoder),
    )
    noted: dict[str, Derived] = {}
    objective = Objective(
        dimensions=encoder.contract.matryoshka_dimensions or (encoder.contract.dimension,),
        temperature=config.temperature,
        terms=choose_terms(config, examples, noted),
    )
    recipe = replace(recipe, derived={**recipe.derived, **noted})
    examples = examples.cut(max_query_tokens=recipe.max_query_tokens, max_document_tokens=recipe.max_document_tokens)
    transformer = transformer_of(encoder)
    lazy = None if transformer is None else make_lazy(transformer)
    step = RankingStep(encoder.model, objective=objective, recipe=recipe, embedding=lazy)
    trained = sum(weights.numel() for weights in step.parameters() if weights.requires_grad)
    return Session(config, inputs, out, encoder, partner, examples, recipe, step, trained, progress)


def _tuned_contract(contract: EncodingContract, model: ModelConfig, *, side: TunedSide) -> EncodingContract:
    """Return the contract of the tuned model: which model encodes its documents is written there."""
    match side:
        case TunedSide.QUERY:
            base_id = describe_model(model.base, trust_remote_code=model.trust_remote_code)
            return replace(contract, document_model=contract.document_model or base_id)
        case TunedSide.BOTH if contract.document_model:
            raise ConfigError(
                f"model.base = {model.base!r} encodes queries only: its documents are encoded by another model",
                hint='set training.side = "query", or start from a model that encodes both',
            )
        case TunedSide.BOTH:
            return contract
        case _:
            assert_never(side)


def _read_examples(config: TrainingConfig, inputs: TrainingInputs, encoder: Encoder) -> Examples:
    pairs = read_records(inputs.pairs / "pairs.parquet", Pair)
    if not pairs:
        raise InputError("there is no training pair", hint="lower pairs.minimum_grade, or give more judgments")
    examples = build_examples(
        read_records(inputs.corpus / "documents.parquet", Document),
        read_records(inputs.split / "queries.parquet", Query),
        pairs,
        read_records(inputs.negatives / "negatives.parquet", HardNegative),
        tokenise=encoder.token_ids if inputs.document_vectors is None else _queries_only(encoder),
        qrels=read_records(inputs.split / "qrels.parquet", Qrel),
        keep_all_documents=inputs.remine is not None,
        graded=wants_grades(config),
    )
    if inputs.teacher is not None:
        examples = examples.taught(read_records(inputs.teacher / "scores.parquet", TeacherScore))
    if inputs.document_vectors is not None:
        examples = examples.freeze(load_vectors(inputs.document_vectors))
    return with_spaces(config, inputs, examples)


def with_spaces(config: TrainingConfig, inputs: TrainingInputs, examples: Examples) -> Examples:
    """Lay out the vectors of other models: the base's guide what is no negative, those of a larger one are learnt."""
    guide, wanted = None, None
    if config.mask_above is not None:
        assert inputs.base_vectors is not None
        guide = examples.space(load_vectors(inputs.base_vectors))
    if inputs.wanted_vectors is not None:
        wanted = examples.space(load_vectors(inputs.wanted_vectors))
    return replace(examples, guide=guide, wanted=wanted)


def _queries_only(encoder: Encoder) -> Tokenise:
    """Return a function that leaves documents without tokens: they have their vectors."""
    return lambda texts, role: encoder.token_ids(texts, role) if role is Role.QUERY else [[]] * len(texts)


def _hidden_numbers(encoder: Encoder) -> int:
    """Return layers × hidden width, for the memory of activations; a static model has one layer."""
    settings = getattr(transformer_of(encoder), "config", None)
    layers = int(getattr(settings, "num_hidden_layers", 1))
    return layers * int(getattr(settings, "hidden_size", encoder.contract.dimension))
