"""How the stages are called: from what the walk shares to the inputs of each room."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from dialekt.config import TrainingMethod
from dialekt.flow import adapting, forgetting, teaching
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Workbench
from dialekt.types import ReportProgress, Split

if TYPE_CHECKING:
    from dialekt.models.vectors import VectorsInputs

HELD_OUT = (Split.DEV, Split.TEST)


def read_judgments(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Relevance in whatever format → queries, qrels, inline documents, given negatives."""
    from dialekt.pairs import judgments

    path = workbench.judgments_path
    inputs = judgments.JudgmentsInputs(path=path, time_field=workbench.config.split.time_field)
    return judgments.run(workbench.config.judgments, inputs, out, progress=progress)


def read_corpus(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Files and inline documents → clean documents or chunks, duplicates marked."""
    from dialekt.corpus import stage
    from dialekt.corpus.records import CorpusInputs

    judgments = workbench.folder_if_any(StageName.JUDGMENTS)
    inputs = CorpusInputs(
        path=workbench.config.corpus.path,
        inline_documents=judgments and judgments / "documents.parquet",
        count_tokens=workbench.base_encoder.token_offsets,
        max_tokens=workbench.base_encoder.contract.max_tokens,
        excluded=workbench.project.output,
    )
    return stage.run(workbench.config.corpus, inputs, out, progress=progress)


def read_logs(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Search logs → graded answers without the bias of the rank.

    Those of the future are held out for testing, unless people's judgments are there to test on.
    """
    from dialekt.logs import records, stage

    config = workbench.config
    inputs = records.LogsInputs(
        cleaning=config.cleaning,
        corpus=workbench.folder(StageName.CORPUS) / "documents.parquet",
        dev_share=0.0 if workbench.has_judgments else config.split.dev_share,
        test_share=0.0 if workbench.has_judgments else config.split.test_share,
        seed=config.project.seed,
    )
    return stage.run(config.logs, inputs, out, progress=progress)


def make_split(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Judgments and documents → train, dev and test, before anything is made from them."""
    from dialekt.pairs import split

    judged_by, config = workbench.judged_by, workbench.config
    assert judged_by is not None
    inputs = split.SplitInputs(
        judgments=workbench.folder(judged_by),
        corpus=workbench.folder(StageName.CORPUS),
        seed=workbench.config.project.seed,
        minimum_grade=workbench.config.pairs.minimum_grade,
        source=workbench.judgments_path if judged_by is StageName.JUDGMENTS else None,
        others_teach=bool(config.synthesis.generators or (config.logs.path and judged_by is StageName.JUDGMENTS)),
    )
    return split.run(workbench.config.split, inputs, out, progress=progress)


def make_queries(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents → made queries that passed every gate."""
    from dialekt.synthesis import records, stage

    split = workbench.folder_if_any(StageName.SPLIT)
    inputs = records.SynthesisInputs(
        corpus=workbench.folder(StageName.CORPUS) / "documents.parquet",
        queries=split and split / "queries.parquet",
        encode=workbench.base_encoder.encode,
        head=_head_of(workbench),
        seed=workbench.config.project.seed,
        answers=workbench.project.artefacts / records.ANSWERS_NAME,
    )
    return stage.run(workbench.config.synthesis, inputs, out, progress=progress)


def _head_of(workbench: Workbench) -> Callable[[Sequence[str]], list[str]]:
    """Return a function that cuts texts to the tokens that training reads of a document on every machine."""
    from dialekt.training.records import LEAST_DOCUMENT_TOKENS

    encoder = workbench.base_encoder
    limit = min(workbench.config.training.max_document_tokens or LEAST_DOCUMENT_TOKENS, encoder.contract.max_tokens)

    def cut(texts: Sequence[str]) -> list[str]:
        offsets = encoder.token_offsets(texts)
        return [
            text[: tokens[limit - 1][1]] if len(tokens) > limit else text
            for text, tokens in zip(texts, offsets, strict=True)
        ]

    return cut


def make_pairs(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Train judgments, logs and made queries → training pairs, one table of queries and judgments."""
    from dialekt.pairs import stage

    division = workbench.config.split
    inputs = stage.PairsInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder_if_any(StageName.SPLIT),
        judgments=workbench.folder_if_any(StageName.JUDGMENTS),
        logs=workbench.folder_if_any(StageName.LOGS),
        synthesis=workbench.folder_if_any(StageName.SYNTHESIS),
        near_duplicate_similarity=division.near_duplicate_similarity,
        dev_share=division.dev_share,
        test_share=division.test_share,
        seed=workbench.config.project.seed,
    )
    return stage.run(workbench.config.pairs, inputs, out, progress=progress)


def encode_with_base(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents and all queries → vectors of the base model."""
    from dialekt.models import vectors

    workbench.workers.join(progress)
    embed_parts = workbench.workers.embed_parts(workbench.config.model.base, workbench.config.model)
    inputs = _vectors_inputs(workbench, tuple(Split))
    facts = vectors.run(workbench.base_encoder, inputs, out, embed_parts=embed_parts, progress=progress)
    return workbench.workers.recorded(facts)


def mine_negatives(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Pairs, documents and base vectors → hard negatives and an audit of every rule."""
    from dialekt.negatives import stage

    workbench.workers.join(progress)
    inputs, divide = teaching.negatives_inputs(workbench), workbench.workers.divide
    facts = stage.run(workbench.config.negatives, inputs, out, divide=divide, progress=progress)
    return workbench.workers.recorded(facts)


def encode_with_tuned(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents and held-out queries → vectors of the tuned model; frozen documents keep those of the base model."""
    from dialekt.models import vectors

    inputs = replace(_vectors_inputs(workbench, HELD_OUT), documents=teaching.frozen_documents(workbench))
    match adapting.method_of(workbench.config):
        case TrainingMethod.FULL | TrainingMethod.LORA:
            name = str(workbench.tuned_model)
            workbench.workers.join(progress)
            embed_parts = workbench.workers.embed_parts(name, workbench.config.model)
            facts = vectors.run(workbench.load(name), inputs, out, embed_parts=embed_parts, progress=progress)
            return workbench.workers.recorded(facts)
        case TrainingMethod.ADAPTER:
            maps = adapting.tuned_maps(workbench)
            return vectors.move(workbench.folder(StageName.BASE_VECTORS), inputs, out, maps=maps, progress=progress)
        case unreachable:
            assert_never(unreachable)


def evaluate(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Vectors before and after, BM25 → runs, scores, intervals, comparisons and a recommendation."""
    from dialekt.evaluation import stage
    from dialekt.models.contract import read_contract
    from dialekt.pairs.records import MADE_QUERIES

    inputs = stage.EvaluationInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        pairs=workbench.pairs,
        negatives=workbench.negatives,
        logs=workbench.folder_if_any(StageName.LOGS),
        labels=workbench.config.evaluation.labels,
        base_vectors=workbench.folder(StageName.BASE_VECTORS),
        tuned_vectors=workbench.folder(StageName.TUNED_VECTORS),
        matryoshka_dimensions=read_contract(workbench.tuned_model).matryoshka_dimensions,
        made_queries=workbench.artefacts[StageName.PAIRS].manifest.facts["held_out"] == MADE_QUERIES,
        seed=workbench.config.project.seed,
        minimum_grade=workbench.config.pairs.minimum_grade,
        near_duplicate_similarity=workbench.config.split.near_duplicate_similarity,
        general=forgetting.score_tuned(
            workbench, frozen=teaching.frozen_documents(workbench) is not None, progress=progress
        ),
    )
    return stage.run(workbench.config.evaluation, inputs, out, progress=progress)


def _vectors_inputs(workbench: Workbench, splits: tuple[Split, ...]) -> "VectorsInputs":
    from dialekt.models.vectors import VectorsInputs

    return VectorsInputs(
        corpus=workbench.folder(StageName.CORPUS), split=workbench.folder(StageName.PAIRS), splits=splits
    )
