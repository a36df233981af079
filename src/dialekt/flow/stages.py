"""The stages in the order of the journey: what each one depends on, and how it is called."""

from glob import glob
from pathlib import Path
from typing import Any

from dialekt.config import Config
from dialekt.flow import adaptation, adapting, closing, forgetting, teaching, work
from dialekt.flow.records import StageName
from dialekt.flow.settings import (
    ENCODING,
    MINIMUM_GRADE,
    MODEL,
    SEED,
    SHARES,
    base_model,
    labels,
    larger_model,
    section,
    setting,
    settings,
    teacher_model,
)
from dialekt.flow.workbench import Stage, Workbench

# What an LLM costs and how fast it is asked decide whether there is an answer, never which.
COSTS_AND_PACE = (
    "concurrency",
    "timeout_seconds",
    "max_retries",
    "input_price",
    "output_price",
    "api_key_variable",
    "confirm",
)
ALL: tuple[str, ...] = ()
JUDGED_BY_LOGS = ("queries.parquet", "qrels.parquet")
MADE = ("queries.parquet", "negatives.parquet")
ADAPTED = ("start.json",)
ASKED = ("documents.parquet", "queries.parquet", "qrels.parquet")
TAUGHT = ("pairs.parquet", "negatives.parquet", "scores.parquet")
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
    return {f"file {name}": digest for name, digest in files.items()} | base_model(workbench)


def _log_files(workbench: Workbench) -> dict[str, str]:
    """Hash the log files on this machine; of logs elsewhere only the address is known."""
    files: dict[str, str] = {}
    for name in workbench.config.logs.path:
        if "://" in name:
            files[name] = "elsewhere"
            continue
        for path in map(Path, [name] if Path(name).exists() else sorted(glob(name, recursive=True))):  # noqa: PTH207 - the pattern is absolute
            files |= {f"{path.name}/{file}": digest for file, digest in workbench.source(path).items()}
    hashes = {f"file {name}": digest for name, digest in files.items()}
    return hashes | {"tests come from": "judgments" if workbench.has_judgments else "logs"}


def _others_teach(config: Config) -> dict[str, Any]:
    return {"logs are given": bool(config.logs.path), "queries are made": bool(config.synthesis.generators)}


STAGES: tuple[Stage, ...] = (
    Stage(
        StageName.JUDGMENTS,
        "dialekt.pairs.judgments",
        work.read_judgments,
        settings=settings(section("judgments", "path"), setting("split", "time_field")),
        outside=_judgment_files,
        wanted=lambda workbench: workbench.has_judgments,
    ),
    Stage(
        StageName.CORPUS,
        "dialekt.corpus.stage",
        work.read_corpus,
        settings=settings(section("corpus", "path"), setting("model", "max_tokens")),
        needs={StageName.JUDGMENTS: ("documents.parquet",)},
        outside=_corpus_files_and_tokenizer,
    ),
    Stage(
        StageName.LOGS,
        "dialekt.logs.records",
        work.read_logs,
        settings=settings(section("logs", "path", "memory_limit"), section("cleaning"), SHARES, SEED),
        needs={StageName.CORPUS: ("documents.parquet",)},
        outside=_log_files,
        wanted=lambda workbench: bool(workbench.config.logs.path),
    ),
    Stage(
        StageName.SPLIT,
        "dialekt.pairs.split",
        work.make_split,
        settings=settings(section("split"), MINIMUM_GRADE, SEED, _others_teach),
        needs={StageName.JUDGMENTS: ALL, StageName.CORPUS: ALL, StageName.LOGS: JUDGED_BY_LOGS},
        wanted=lambda workbench: workbench.judged_by is not None,
    ),
    Stage(
        StageName.SYNTHESIS,
        "dialekt.synthesis.records",
        work.make_queries,
        settings=settings(
            section("synthesis", *COSTS_AND_PACE), MODEL, SEED, setting("training", "max_document_tokens")
        ),
        needs={StageName.CORPUS: ("documents.parquet",), StageName.SPLIT: ("queries.parquet",)},
        outside=base_model,
        wanted=lambda workbench: bool(workbench.config.synthesis.generators),
    ),
    Stage(
        StageName.PAIRS,
        "dialekt.pairs.stage",
        work.make_pairs,
        settings=settings(section("pairs"), setting("split", "near_duplicate_similarity"), SHARES, SEED),
        needs={
            StageName.JUDGMENTS: ALL,
            StageName.CORPUS: ALL,
            StageName.LOGS: ALL,
            StageName.SPLIT: ALL,
            StageName.SYNTHESIS: MADE,
        },
    ),
    Stage(
        StageName.BASE_VECTORS,
        "dialekt.models.vectors",
        work.encode_with_base,
        settings=ENCODING,
        needs={StageName.CORPUS: ("documents.parquet",), StageName.PAIRS: ("queries.parquet",)},
        outside=base_model,
    ),
    Stage(
        StageName.NEGATIVES,
        "dialekt.negatives.stage",
        work.mine_negatives,
        settings=settings(section("negatives"), MINIMUM_GRADE, SEED),
        needs={StageName.CORPUS: ALL, StageName.PAIRS: ALL, StageName.BASE_VECTORS: ALL},
    ),
    Stage(
        StageName.TEACHER,
        "dialekt.teacher.records",
        teaching.teach,
        settings=settings(section("teacher"), MODEL, SEED, MINIMUM_GRADE, setting("evaluation", "max_dev_queries")),
        needs={
            StageName.CORPUS: ALL,
            StageName.PAIRS: ALL,
            StageName.BASE_VECTORS: ALL,
            StageName.NEGATIVES: ("negatives.parquet",),
        },
        outside=teacher_model,
        wanted=lambda workbench: workbench.config.teacher.model is not None,
    ),
    Stage(
        StageName.TEACHER_VECTORS,
        "dialekt.models.vectors",
        teaching.encode_with_teacher,
        settings=lambda _: {},
        needs={StageName.CORPUS: ("documents.parquet",), StageName.PAIRS: ("queries.parquet",)},
        outside=larger_model,
        wanted=lambda workbench: workbench.config.training.distil_from is not None,
    ),
    Stage(
        StageName.GENERAL,
        "dialekt.evaluation.general.records",
        forgetting.make_general,
        settings=settings(ENCODING, forgetting.set_settings),
        needs={StageName.CORPUS: ("documents.parquet",), StageName.PAIRS: ("queries.parquet",)},
        outside=lambda workbench: base_model(workbench) | forgetting.outside(workbench),
        wanted=lambda workbench: forgetting.is_on(workbench.config),
    ),
    adaptation.ADAPTATION,
    Stage(
        StageName.TRAINING,
        "dialekt.training.records",
        teaching.train,
        settings=settings(
            section("training", "side", "seed", "method", "distil_from", "distil_api_key_variable"),
            adapting.method_settings,
            MODEL,
            SEED,
            MINIMUM_GRADE,
            setting("evaluation", "max_dev_queries"),
            teaching.remining,
            teaching.tuned_side,
            teaching.own_seed,
            forgetting.limit_settings,
        ),
        needs={
            StageName.CORPUS: ALL,
            StageName.PAIRS: ALL,
            StageName.BASE_VECTORS: ALL,
            StageName.NEGATIVES: ("negatives.parquet",),
            StageName.TEACHER: TAUGHT,
            StageName.TEACHER_VECTORS: ALL,
            StageName.GENERAL: ASKED,
            StageName.ADAPTATION: ADAPTED,
        },
        unused=lambda config: () if forgetting.chooses(config) else (StageName.GENERAL,),
        outside=base_model,
    ),
    Stage(
        StageName.TUNED_VECTORS,
        "dialekt.models.vectors",
        work.encode_with_tuned,
        settings=ENCODING,
        needs={
            StageName.CORPUS: ("documents.parquet",),
            StageName.PAIRS: ("queries.parquet",),
            StageName.BASE_VECTORS: ALL,
            StageName.TRAINING: ALL,
        },
        unused=lambda config: () if adapting.is_adapter(config) else (StageName.BASE_VECTORS,),
    ),
    Stage(
        StageName.EVALUATION,
        "dialekt.evaluation.stage",
        work.evaluate,
        settings=settings(
            section("evaluation", "max_dev_queries", "labels", "general", "general_queries"),
            MODEL,
            MINIMUM_GRADE,
            SEED,
            setting("split", "near_duplicate_similarity"),
        ),
        needs={
            StageName.CORPUS: ALL,
            StageName.LOGS: ("queries.parquet",),
            StageName.PAIRS: ALL,
            StageName.NEGATIVES: ("negatives.parquet",),
            StageName.TEACHER: TAUGHT,
            StageName.BASE_VECTORS: ALL,
            StageName.TUNED_VECTORS: ALL,
            StageName.GENERAL: ASKED,
        },
        outside=labels,
    ),
    Stage(
        StageName.REGISTRY,
        "dialekt.registry.records",
        closing.register_model,
        settings=settings(setting("registry", "minimum_gain"), setting("project", "name")),
        needs={StageName.TRAINING: ALL, StageName.EVALUATION: ALL},
        outside=base_model,
        fault=closing.missing_version,
    ),
    Stage(
        StageName.REPORT,
        "dialekt.flow.closing",
        closing.write_report,
        settings=settings(section("report"), setting("project", "name")),
        needs=dict.fromkeys(BEFORE_REPORT, ALL),
        outside=closing.told_beside,
        published=closing.place_pages,
    ),
)
