"""What the keys of stages are made of: settings by section, and the content of the base model."""

from collections.abc import Callable
from typing import Any

from dialekt.config import TRAINED_HERE, Config, ModelConfig
from dialekt.errors import ConfigError
from dialekt.flow.workbench import Workbench
from dialekt.models.endpoint import is_endpoint

Settings = Callable[[Config], dict[str, Any]]


def section(name: str, *left_out: str) -> Settings:
    """Return a function that gives a section's settings, without those that do not change the result."""

    def of(config: Config) -> dict[str, Any]:
        values = getattr(config, name).model_dump(mode="json", exclude=set(left_out))
        return {f"{name}.{key}": value for key, value in values.items()}

    return of


def settings(*parts: Settings) -> Settings:
    """Return a function that joins what several such functions give."""
    return lambda config: {name: value for part in parts for name, value in part(config).items()}


def setting(section_name: str, key: str) -> Settings:
    """Return a function that gives one setting."""
    return lambda config: {f"{section_name}.{key}": getattr(getattr(config, section_name), key)}


SEED = setting("project", "seed")
MINIMUM_GRADE = setting("pairs", "minimum_grade")
# What the model is comes in by its content; where it runs changes nothing that is worth running again for.
# The cut before an endpoint is part of what identifies it.
OUTSIDE_MODEL = ("base", "device", "trust_remote_code", "api_key_variable", "max_characters")
MODEL = section("model", *OUTSIDE_MODEL)
ENCODING = section("model", *OUTSIDE_MODEL, "matryoshka_dimensions")
SHARES = settings(setting("split", "dev_share"), setting("split", "test_share"))


def base_model(workbench: Workbench) -> dict[str, str]:
    """Identify the base model by its content."""
    return {"base model": workbench.base_model_id}


def teacher_model(workbench: Workbench) -> dict[str, str]:
    """Identify a named cross-encoder, and the base model that one trained here starts from."""
    from dialekt.models.base import describe_model

    name = workbench.config.teacher.model
    named = {} if name in (None, TRAINED_HERE) else {"teacher": describe_model(name)}
    return named | base_model(workbench)


def larger_model(workbench: Workbench) -> dict[str, str]:
    """Identify the embedding model whose cosines training learns by its content."""
    config = larger_model_config(workbench.config)
    return {"larger model": workbench.model_id(config.base, config)}


def larger_model_config(config: Config) -> ModelConfig:
    """Return how the model is loaded whose cosines training learns: by its own contract, on the project's device."""
    name = config.training.distil_from
    assert name is not None
    key = config.training.distil_api_key_variable
    if key is not None and not is_endpoint(name):
        raise ConfigError(
            f"training.distil_api_key_variable = {key!r}, but training.distil_from = {name!r} is no endpoint",
            hint="unset it, or name an endpoint: openai:https://host/v1#model",
        )
    return ModelConfig(base=name, device=config.model.device, api_key_variable=key)


def labels(workbench: Workbench) -> dict[str, str]:
    """Hash what people said of top results; a file that is not there says nothing."""
    path = workbench.config.evaluation.labels
    return {"labels": "".join(workbench.source(path).values())} if path.is_file() else {}
