"""A project on disk: its folder, its configuration, and where its artefacts lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.config import CONFIG_NAME, Config, load_config
from dialekt.errors import NotFoundError

ARTEFACTS_NAME = ".dialekt"
REPORT_NAME = "report"
JUDGING_NAME = "judging"
RECIPE_NAME = "recipe.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a `dialekt.toml`, and what that file says."""

    folder: Path
    config: Config

    @property
    def artefacts(self) -> Path:
        """Where the stages' results lie."""
        return self.folder / ARTEFACTS_NAME

    @property
    def report(self) -> Path:
        """Where the pages for people lie."""
        return self.folder / REPORT_NAME

    @property
    def judging(self) -> Path:
        """Where the files of results that people are to judge lie."""
        return self.folder / JUDGING_NAME

    @property
    def recipe(self) -> Path:
        """Where a search for a better recipe writes the one that it kept."""
        return self.folder / RECIPE_NAME

    @property
    def endpoint_vectors(self) -> Path:
        """The file that keeps what endpoints answered, for all commands."""
        return self.artefacts / "compared" / "endpoints.sqlite"

    @property
    def output(self) -> tuple[Path, ...]:
        """What dialekt itself wrote, which is never part of a source, even when the source is the project folder."""
        own = (self.folder / CONFIG_NAME, self.artefacts, self.report, self.judging, self.config.registry.path)
        return (*own, self.recipe, self.config.evaluation.labels)


def find_project(start: Path) -> Path:
    """Return the nearest folder from `start` upwards that holds a `dialekt.toml`."""
    for folder in [start, *start.parents]:
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise NotFoundError(
        f"no {CONFIG_NAME} here or in a folder above",
        path=start,
        hint="dialekt init makes a project here; --project PATH names one elsewhere",
    )


def open_project(folder: Path | None, *, overrides: Sequence[str] = ()) -> Project:
    """Read the project in `folder`, or the nearest one from the working directory upwards."""
    if folder is None:
        found = find_project(Path.cwd())
    else:
        found = (folder.parent if folder.name == CONFIG_NAME else folder).expanduser().resolve()
    return Project(found, load_config(found / CONFIG_NAME, overrides=overrides))
