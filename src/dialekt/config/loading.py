"""The whole configuration, read from TOML, then environment, then command line."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from dialekt.config.adaptation import AdaptationConfig
from dialekt.config.adapter import AdapterConfig
from dialekt.config.cluster import ClusterConfig
from dialekt.config.diagnosis import DiagnosisConfig
from dialekt.config.examples import NegativesConfig, PairsConfig
from dialekt.config.index import IndexConfig, SearchConfig
from dialekt.config.logs import CleaningConfig, LogsConfig
from dialekt.config.material import CorpusConfig, JudgmentsConfig, SplitConfig
from dialekt.config.model import ModelConfig
from dialekt.config.results import EvaluationConfig, RegistryConfig, ReportConfig
from dialekt.config.section import Section
from dialekt.config.serving import ServingConfig
from dialekt.config.synthesis import SynthesisConfig
from dialekt.config.teacher import TRAINED_HERE, TeacherConfig
from dialekt.config.training import TrainingConfig
from dialekt.errors import ConfigError

ENVIRONMENT_PREFIX = "DIALEKT_"
CONFIG_NAME = "dialekt.toml"


class ProjectConfig(Section):
    """What belongs to the whole journey."""

    name: str = Field(default="project", description="title of the report and of the model card")
    seed: int = Field(default=13, description="of everything random: split, sampling, training, resampling")


class Config(Section):
    """The whole configuration of a project."""

    project: ProjectConfig = ProjectConfig()
    corpus: CorpusConfig = CorpusConfig()
    judgments: JudgmentsConfig = JudgmentsConfig()
    logs: LogsConfig = LogsConfig()
    cleaning: CleaningConfig = CleaningConfig()
    split: SplitConfig = SplitConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    model: ModelConfig = ModelConfig()
    pairs: PairsConfig = PairsConfig()
    negatives: NegativesConfig = NegativesConfig()
    teacher: TeacherConfig = TeacherConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    training: TrainingConfig = TrainingConfig()
    adapter: AdapterConfig = AdapterConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    diagnosis: DiagnosisConfig = DiagnosisConfig()
    registry: RegistryConfig = RegistryConfig()
    report: ReportConfig = ReportConfig()
    index: IndexConfig = IndexConfig()
    serving: ServingConfig = ServingConfig()
    search: SearchConfig = SearchConfig()
    cluster: ClusterConfig = ClusterConfig()


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
            "index": config.index.model_copy(update={"path": absolute(config.index.path)}),
            "search": config.search.model_copy(update={"log_path": absolute(config.search.log_path)}),
            "serving": config.serving.model_copy(
                update={
                    "models": tuple(_anchor_served(name, folder) for name in config.serving.models),
                    "api_keys_file": absolute(config.serving.api_keys_file),
                    "cache": absolute(config.serving.cache),
                }
            ),
            "evaluation": config.evaluation.model_copy(
                update={
                    "labels": absolute(config.evaluation.labels),
                    "general": _anchor_model(config.evaluation.general, folder),
                }
            ),
            "registry": config.registry.model_copy(update={"path": registry}),
            "logs": config.logs.model_copy(
                update={"path": tuple(_anchor_log(name, folder) for name in config.logs.path)}
            ),
            "model": config.model.model_copy(update={"base": _anchor_model(config.model.base, folder)}),
            "training": config.training.model_copy(
                update={"distil_from": _anchor_optional(config.training.distil_from, folder)}
            ),
            "teacher": config.teacher.model_copy(update={"model": _anchor_teacher(config.teacher.model, folder)}),
            "synthesis": config.synthesis.model_copy(
                update={"doc2query_model": _anchor_optional(config.synthesis.doc2query_model, folder)}
            ),
        }
    )


def _anchor_model(base: str, folder: Path) -> str:
    """Make a model folder beside the file absolute; a name stays a name."""
    beside = folder / Path(base).expanduser()
    return str(beside.resolve()) if beside.exists() else base


def _anchor_optional(name: str | None, folder: Path) -> str | None:
    return None if name is None else _anchor_model(name, folder)


def _anchor_teacher(name: str | None, folder: Path) -> str | None:
    return name if name == TRAINED_HERE else _anchor_optional(name, folder)


def _anchor_served(name: str, folder: Path) -> str:
    """Make the folder of NAME=FOLDER absolute; a Hub name stays one."""
    label, equals, source = name.rpartition("=")
    return label + equals + _anchor_model(source, folder)


def _anchor_log(name: str, folder: Path) -> str:
    """Make a path or glob absolute; a URL stays a URL."""
    return name if "://" in name else str(folder.resolve() / Path(name).expanduser())
