"""One method: from the model that it starts from to an adapted one in a folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from dialekt.adaptation.derive import derive_recipe, most_terms, passage_tokens
from dialekt.adaptation.fit import Fitted, Plan, fit
from dialekt.adaptation.objectives import Denoising, MaskedModelling, Objective, SameVectors
from dialekt.adaptation.passages import plain_copy, plan_batches, read_passages
from dialekt.adaptation.records import AdaptationInputs, Derived, Fitting
from dialekt.adaptation.vocabulary import choose_terms, extend, show_terms
from dialekt.config import AdaptationConfig, AdaptationMethod, Precision
from dialekt.models.contract import write_contract
from dialekt.models.document_encoder import keep_document_encoder
from dialekt.models.encoder import Encoder
from dialekt.types import Progress, ReportProgress, Role

CHECKPOINTS_NAME = "checkpoints"
_LABELS = {
    AdaptationMethod.VOCABULARY: "teaching new tokens",
    AdaptationMethod.MLM: "guessing masked words",
    AdaptationMethod.TSDAE: "rebuilding damaged passages",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A loaded model with the objective of a method; `terms` counts its new tokens."""

    encoder: Encoder
    objective: Objective
    max_tokens: int
    terms: int
    derived: dict[str, Derived]


def adapt(
    config: AdaptationConfig,
    method: AdaptationMethod,
    inputs: AdaptationInputs,
    start: str,
    texts: list[str],
    *,
    folder: Path,
    progress: ReportProgress,
) -> Fitting | None:
    """Adapt the model `start` to texts by one method, into `folder/model`; continue from `folder/checkpoints`.

    None where the texts have nothing to teach this way. Raises `ModelError` where the model cannot learn that way, and
    KeyboardInterrupt after saving a checkpoint.
    """
    with torch.random.fork_rng():
        torch.manual_seed(inputs.seed)  # for what starts from nothing
        opened = _open(config, method, inputs, start, texts, progress=progress)
    passages = opened.objective.passages
    if not passages.tokens:
        return None
    recipe = derive_recipe(config, method, passages=len(passages.tokens), device=opened.encoder.model.device.type)
    steps = plan_batches(passages.lengths, batch_size=recipe.batch_size, epochs=recipe.epochs, seed=inputs.seed)
    plan = Plan(steps, recipe.learning_rate, inputs.seed, _LABELS[method], config.time_limit_minutes)
    fitted = fit(opened.objective, plan, folder=folder / CHECKPOINTS_NAME, progress=progress)
    _save(opened.encoder, inputs, start, folder / "model")
    derived = opened.derived | dict(recipe.derived)
    return _fitting(opened, plan, fitted, batch_size=recipe.batch_size, derived=derived)


def _open(
    config: AdaptationConfig,
    method: AdaptationMethod,
    inputs: AdaptationInputs,
    start: str,
    texts: list[str],
    *,
    progress: ReportProgress,
) -> _Opened:
    encoder = Encoder.load(start, inputs.model, precision=Precision.FP32)
    encoder.token_ids([], Role.QUERY)  # raises for a model that takes no tokens
    max_tokens, derived = passage_tokens(config, method, limit=encoder.contract.max_tokens)
    if method is AdaptationMethod.VOCABULARY:
        return _open_vocabulary(config, inputs, encoder, texts, room=(max_tokens, derived), progress=progress)
    passages = read_passages(
        encoder.model.tokenizer,
        texts,
        prompt=encoder.contract.prompt(Role.DOCUMENT),
        max_tokens=max_tokens,
        progress=progress,
    )
    objective: Objective = (
        MaskedModelling(encoder.model, passages, share=config.mask_share)
        if method is AdaptationMethod.MLM
        else Denoising(encoder.model, passages, share=config.deletion_share)
    )
    return _Opened(encoder, objective, max_tokens, 0, derived)


def _open_vocabulary(
    config: AdaptationConfig,
    inputs: AdaptationInputs,
    encoder: Encoder,
    texts: list[str],
    *,
    room: tuple[int, dict[str, Derived]],
    progress: ReportProgress,
) -> _Opened:
    progress(Progress("looking for fragmented terms", 0))
    max_tokens, derived = room
    most, why = most_terms(config, documents=len(texts))
    before = plain_copy(encoder.model.tokenizer)
    terms = choose_terms(encoder.model.tokenizer, inputs.find_terms(texts), most=most)
    first = extend(encoder.model, terms)
    spelled = show_terms(
        before,
        encoder.model.tokenizer,
        texts,
        prompt=encoder.contract.prompt(Role.DOCUMENT),
        max_tokens=max_tokens,
        progress=progress,
    )
    objective = SameVectors(encoder.model, spelled.new, pieces=spelled.old, first_new=first)
    return _Opened(encoder, objective, max_tokens, len(terms), derived | why)


def _save(encoder: Encoder, inputs: AdaptationInputs, start: str, folder: Path) -> None:
    """Write the model in the layout of sentence-transformers, with the contract of the model it started from."""
    shutil.rmtree(folder, ignore_errors=True)
    encoder.model.save_pretrained(str(folder), create_model_card=False)
    write_contract(folder, encoder.contract)
    if encoder.contract.document_model:
        keep_document_encoder(start, inputs.model, encoder.contract, folder)


def _fitting(opened: _Opened, plan: Plan, fitted: Fitted, *, batch_size: int, derived: dict[str, Derived]) -> Fitting:
    passages = len(opened.objective.passages.tokens)
    seen = sum(map(len, plan.steps[: fitted.steps]))
    return Fitting(
        passages=passages,
        terms=opened.terms,
        steps=fitted.steps,
        epochs=seen / passages,
        batch_size=batch_size,
        max_tokens=opened.max_tokens,
        learning_rate=plan.learning_rate,
        precision=fitted.precision,
        seconds=fitted.seconds,
        passages_per_second=fitted.passages_per_second,
        losses=fitted.losses,
        resumed=fitted.resumed,
        shortened=fitted.shortened,
        derived=derived,
    )
