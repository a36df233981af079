"""The recipe that a search kept, written where people find it: recipe.toml, and on request the project's own file."""

import os
from dataclasses import dataclass

from dialekt.config import CONFIG_NAME, ENVIRONMENT_PREFIX, TrainingConfig, load_config
from dialekt.config.writing import change_settings, section_lines
from dialekt.errors import ConfigError
from dialekt.flow.project import Project
from dialekt.flow.recipes.search import Found
from dialekt.store.atomic import write_atomic

SECTION = "training"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the recipe's file, and the settings that were changed in the project's own, if any."""

    recipe: str
    changed: dict[str, object]


def write_recipe(found: Found, *, into_config: bool) -> Written:
    """Write recipe.toml, and with `into_config` the changed settings into dialekt.toml, each whole or not at all.

    Raises `ConfigError` where dialekt.toml cannot be changed; recipe.toml is there then.
    """
    path = found.project.recipe
    write_atomic(path, recipe_text(found))
    changed = differing(found.project) if into_config and found.decision.changed else {}
    if changed:
        _change_config(found.project, changed)
    return Written(str(path), changed)


def recipe_text(found: Found) -> str:
    """Return a whole [training] section with the recipe that is kept, ready to be put into a dialekt.toml."""
    training, plain = found.project.config.training, TrainingConfig()
    chosen = {
        key: value
        for key in TrainingConfig.model_fields
        if (value := getattr(training, key)) is not None
        and (key in found.winner.settings or value != getattr(plain, key))
    }
    return "\n".join([*_comment(found), "", *section_lines(SECTION, TrainingConfig, chosen)]) + "\n"


def _comment(found: Found) -> list[str]:
    decision = found.decision
    lines = [
        f"# The recipe that `dialekt train --budget` kept: {len(found.study.trials)} trials, "
        f"{decision.queries} dev queries.",
        f"# Dev NDCG@10 of the default {decision.default_ndcg:.4f}, of the best trial {decision.best_ndcg:.4f}: "
        f"{decision.gain:+.4f} ({decision.low:+.4f} to {decision.high:+.4f}).",
        f"# Kept is {'another recipe' if decision.changed else 'the default'}: {decision.reason}.",
    ]
    if found.project.config.training.time_limit_minutes is not None:
        lines.append(
            "# time_limit_minutes belongs to it: it was chosen under that limit, on the machine of the search."
        )
    return [*lines, "# The held-out test queries decide what it is worth: dialekt evaluate."]


def differing(project: Project) -> dict[str, object]:
    """Return the settings of [training] that differ from what the project's file says, `--set` included."""
    written = load_config(project.folder / CONFIG_NAME, environment={}).training
    values = {key: getattr(project.config.training, key) for key in TrainingConfig.model_fields}
    return {key: value for key, value in values.items() if value is not None and value != getattr(written, key)}


def _change_config(project: Project, changed: dict[str, object]) -> None:
    """Put the settings into the project's file; it is replaced only by one that says what it must."""
    path = project.folder / CONFIG_NAME
    for key in changed:
        if (variable := f"{ENVIRONMENT_PREFIX}{SECTION}__{key}".upper()) in os.environ:
            hint = "unset it, and give the same command again: the search goes on where it ended"
            raise ConfigError(f"the environment variable {variable} would hide what is written", path=path, hint=hint)
    before = path.read_bytes().decode("utf-8")
    try:
        text = change_settings(before, SECTION, changed)
    except ConfigError as error:
        raise ConfigError(error.message, path=path, hint=error.hint) from None
    write_atomic(path, text)
