"""The stages in the order of the journey: what each one depends on, and how it is called."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialekt.config import Config
from dialekt.flow import closing, teaching
from dialekt.flow.records import StageName
from dialekt.flow.workbench import Stage, Workbench
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

    inline = workbench.folder(StageName.JUDGMENTS) / "documents.parquet"
    inputs = CorpusInputs(
        path=workbench.config.corpus.path,
        inline_documents=inline,
        count_tokens=workbench.base_encoder.token_offsets,
        max_tokens=workbench.base_encoder.contract.max_tokens,
        excluded=workbench.project.output,
    )
    return stage.run(workbench.config.corpus, inputs, out, progress=progress)


def make_split(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Judgments and documents → train, dev and test, before anything else is made."""
    from dialekt.pairs import split

    inputs = split.SplitInputs(
        judgments=workbench.folder(StageName.JUDGMENTS),
        corpus=workbench.folder(StageName.CORPUS),
        seed=workbench.config.project.seed,
        minimum_grade=workbench.config.pairs.minimum_grade,
        source=workbench.judgments_path,
    )
    return split.run(workbench.config.split, inputs, out, progress=progress)


def make_pairs(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Train judgments → training pairs."""
    from dialekt.pairs import stage

    inputs = stage.PairsInputs(
        split=workbench.folder(StageName.SPLIT),
        corpus=workbench.folder(StageName.CORPUS),
        judgments=workbench.folder(StageName.JUDGMENTS),
    )
    return stage.run(workbench.config.pairs, inputs, out, progress=progress)


def encode_with_base(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents and all queries → vectors of the base model."""
    from dialekt.models import vectors

    return vectors.run(workbench.base_encoder, _vectors_inputs(workbench, tuple(Split)), out, progress=progress)


def mine_negatives(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Pairs, documents and base vectors → hard negatives and an audit of every rule."""
    from dialekt.negatives import stage

    return stage.run(workbench.config.negatives, teaching.negatives_inputs(workbench), out, progress=progress)


def encode_with_tuned(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents and held-out queries → vectors of the tuned model."""
    from dialekt.models import vectors
    from dialekt.models.encoder import Encoder

    encoder = Encoder.load(str(workbench.tuned_model), workbench.config.model)
    return vectors.run(encoder, _vectors_inputs(workbench, HELD_OUT), out, progress=progress)


def evaluate(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Vectors before and after, BM25 → runs, scores, intervals, comparisons and a recommendation."""
    from dialekt.evaluation import stage
    from dialekt.models.contract import read_contract

    inputs = stage.EvaluationInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.SPLIT),
        pairs=workbench.folder(StageName.PAIRS),
        negatives=workbench.folder(StageName.NEGATIVES),
        base_vectors=workbench.folder(StageName.BASE_VECTORS),
        tuned_vectors=workbench.folder(StageName.TUNED_VECTORS),
        matryoshka_dimensions=read_contract(workbench.tuned_model).matryoshka_dimensions,
        seed=workbench.config.project.seed,
        minimum_grade=workbench.config.pairs.minimum_grade,
        near_duplicate_similarity=workbench.config.split.near_duplicate_similarity,
    )
    return stage.run(workbench.config.evaluation, inputs, out, progress=progress)


def _vectors_inputs(workbench: Workbench, splits: tuple[Split, ...]) -> "VectorsInputs":
    from dialekt.models.vectors import VectorsInputs

    return VectorsInputs(
        corpus=workbench.folder(StageName.CORPUS), split=workbench.folder(StageName.SPLIT), splits=splits
    )


def _section(name: str, *left_out: str) -> Callable[[Config], dict[str, Any]]:
    """Return a function that gives a section's settings, without those that do not change the result."""

    def settings(config: Config) -> dict[str, Any]:
        values = getattr(config, name).model_dump(mode="json", exclude=set(left_out))
        return {f"{name}.{key}": value for key, value in values.items()}

    return settings


def _settings(*parts: Callable[[Config], dict[str, Any]]) -> Callable[[Config], dict[str, Any]]:
    return lambda config: {name: value for part in parts for name, value in part(config).items()}


def _setting(section: str, key: str) -> Callable[[Config], dict[str, Any]]:
    return lambda config: {f"{section}.{key}": getattr(getattr(config, section), key)}


SEED = _setting("project", "seed")
MINIMUM_GRADE = _setting("pairs", "minimum_grade")
# What the model is comes in by its content; where it runs changes nothing that is worth running again for.
MODEL = _section("model", "base", "device", "trust_remote_code")
ENCODING = _section("model", "base", "device", "trust_remote_code", "matryoshka_dimensions")
ALL: tuple[str, ...] = ()
BEFORE_REPORT = tuple(name for name in StageName if name is not StageName.REPORT)


def _judgment_files(workbench: Workbench) -> dict[str, str]:
    """Hash the judgments; of a single file also the queries that a format may read beside or above it."""
    path = workbench.judgments_path
    files = workbench.source(path)
    if path.is_file():
        for folder in (path.parent, path.parent.parent):
            for queries in sorted((*folder.glob("*queries*"), *folder.glob("topics*"))):
                if queries.is_file():
                    files |= {f"{folder.name}/{name}": digest for name, digest in workbench.source(queries).items()}
    return {f"file {name}": digest for name, digest in files.items()}


def _corpus_files_and_tokenizer(workbench: Workbench) -> dict[str, str]:
    path = workbench.config.corpus.path
    files = {} if path is None else workbench.source(path)
    return {f"file {name}": digest for name, digest in files.items()} | _base_model(workbench)


def _base_model(workbench: Workbench) -> dict[str, str]:
    return {"base model": workbench.base_model_id}


STAGES: tuple[Stage, ...] = (
    Stage(
        StageName.JUDGMENTS,
        "dialekt.pairs.judgments",
        read_judgments,
        settings=_settings(_section("judgments", "path"), _setting("split", "time_field")),
        outside=_judgment_files,
    ),
    Stage(
        StageName.CORPUS,
        "dialekt.corpus.stage",
        read_corpus,
        settings=_settings(_section("corpus", "path"), _setting("model", "max_tokens")),
        needs={StageName.JUDGMENTS: ("documents.parquet",)},
        outside=_corpus_files_and_tokenizer,
    ),
    Stage(
        StageName.SPLIT,
        "dialekt.pairs.split",
        make_split,
        settings=_settings(_section("split"), MINIMUM_GRADE, SEED),
        needs={StageName.JUDGMENTS: ALL, StageName.CORPUS: ALL},
    ),
    Stage(
        StageName.PAIRS,
        "dialekt.pairs.stage",
        make_pairs,
        settings=_section("pairs"),
        needs={StageName.JUDGMENTS: ALL, StageName.CORPUS: ALL, StageName.SPLIT: ALL},
    ),
    Stage(
        StageName.BASE_VECTORS,
        "dialekt.models.vectors",
        encode_with_base,
        settings=ENCODING,
        needs={StageName.CORPUS: ("documents.parquet",), StageName.SPLIT: ("queries.parquet",)},
        outside=_base_model,
    ),
    Stage(
        StageName.NEGATIVES,
        "dialekt.negatives.stage",
        mine_negatives,
        settings=_settings(_section("negatives"), MINIMUM_GRADE, SEED),
        needs={
            StageName.JUDGMENTS: ("given_negatives.parquet",),
            StageName.CORPUS: ALL,
            StageName.SPLIT: ALL,
            StageName.PAIRS: ALL,
            StageName.BASE_VECTORS: ALL,
        },
    ),
    Stage(
        StageName.TRAINING,
        "dialekt.training.records",
        teaching.train,
        settings=_settings(
            _section("training"),
            MODEL,
            SEED,
            MINIMUM_GRADE,
            _setting("evaluation", "max_dev_queries"),
            teaching.remining,
        ),
        needs={
            StageName.CORPUS: ALL,
            StageName.SPLIT: ALL,
            StageName.PAIRS: ALL,
            StageName.BASE_VECTORS: ALL,
            StageName.NEGATIVES: ("negatives.parquet",),
        },
        outside=_base_model,
    ),
    Stage(
        StageName.TUNED_VECTORS,
        "dialekt.models.vectors",
        encode_with_tuned,
        settings=ENCODING,
        needs={
            StageName.CORPUS: ("documents.parquet",),
            StageName.SPLIT: ("queries.parquet",),
            StageName.TRAINING: ALL,
        },
    ),
    Stage(
        StageName.EVALUATION,
        "dialekt.evaluation.stage",
        evaluate,
        settings=_settings(
            _section("evaluation", "max_dev_queries"),
            MODEL,
            MINIMUM_GRADE,
            SEED,
            _setting("split", "near_duplicate_similarity"),
        ),
        needs={
            StageName.CORPUS: ALL,
            StageName.SPLIT: ALL,
            StageName.PAIRS: ALL,
            StageName.NEGATIVES: ("negatives.parquet",),
            StageName.BASE_VECTORS: ALL,
            StageName.TUNED_VECTORS: ALL,
        },
    ),
    Stage(
        StageName.REGISTRY,
        "dialekt.registry.records",
        closing.register_model,
        settings=_settings(_setting("registry", "minimum_gain"), _setting("project", "name")),
        needs={StageName.TRAINING: ALL, StageName.EVALUATION: ALL},
        outside=_base_model,
        fault=closing.missing_version,
    ),
    Stage(
        StageName.REPORT,
        "dialekt.flow.closing",
        closing.write_report,
        settings=_settings(_section("report"), _setting("project", "name")),
        needs=dict.fromkeys(BEFORE_REPORT, ALL),
        published=closing.place_pages,
    ),
)
