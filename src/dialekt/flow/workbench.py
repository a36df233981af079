"""What a stage is, and what the stages of one walk share."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dialekt.config import CONFIG_NAME, Config, ModelConfig
from dialekt.errors import ConfigError
from dialekt.flow.artefacts import Artefact, ArtefactStore, Lookup, Recipe
from dialekt.flow.project import Project
from dialekt.flow.records import StageName
from dialekt.flow.sources import SourceHashes
from dialekt.flow.workers import Workers
from dialekt.store.hashing import hash_json
from dialekt.types import ReportProgress

if TYPE_CHECKING:
    from dialekt.flow.teaching import Examiner
    from dialekt.models.text_encoder import TextEncoder


class Workbench:
    """What the stages of one walk share: the configuration, the artefacts so far, and one loaded base encoder.

    A walk that only plans must not download a model: `may_download` says whether it may. One that ends with the
    documents (`documents_only`) can do without judgments. `watch_dev` is told how training does on dev (see
    `TrainingInputs.watch`), where anybody wants to know; `examiner` holds the dev queries where several trainings ask
    the same.
    """

    def __init__(self, project: Project, *, may_download: bool = False, documents_only: bool = False) -> None:
        self.project = project
        self._may_download = may_download
        self._documents_only = documents_only
        self.config: Config = project.config
        self.store = ArtefactStore(project.artefacts)
        self.sources = SourceHashes(project.artefacts / "hashes.json")
        self.artefacts: dict[StageName, Artefact] = {}
        self.watch_dev: Callable[[float, float], None] | None = None
        self.examiner: Examiner | None = None
        self.workers = Workers(self.config.cluster)

    def close(self) -> None:
        """Let the workers of a cluster go."""
        self.workers.close()

    def with_config(self, config: Config) -> "Workbench":
        """Return a workbench for another configuration of the same project, with the artefacts that are there."""
        other = Workbench(replace(self.project, config=config), may_download=self._may_download)
        other.artefacts = dict(self.artefacts)
        other.examiner = self.examiner
        return other

    def folder(self, name: StageName) -> Path:
        """Return the folder of a stage's artefact."""
        return self.artefacts[name].folder

    def folder_if_any(self, name: StageName) -> Path | None:
        """Return the folder of a stage's artefact, None where the journey does without that stage."""
        artefact = self.artefacts.get(name)
        return artefact.folder if artefact else None

    @property
    def pairs(self) -> Path:
        """The folder of the pairs that training sees: those that a teacher corrected, where there is one."""
        return self.folder_if_any(StageName.TEACHER) or self.folder(StageName.PAIRS)

    @property
    def negatives(self) -> Path:
        """The folder of the negatives that training sees: those that a teacher corrected, where there is one."""
        return self.folder_if_any(StageName.TEACHER) or self.folder(StageName.NEGATIVES)

    @property
    def division(self) -> Artefact:
        """The artefact that decided which queries are held out: two models with the same one can be compared."""
        return self.artefacts.get(StageName.SPLIT) or self.artefacts[StageName.PAIRS]

    @property
    def held_out_id(self) -> str:
        """The id of the held-out queries with their judgments, labels included: scores of one id can be compared."""
        division = self.division.manifest.id
        labels = self.artefacts[StageName.EVALUATION].manifest.inputs.get("labels")
        return hash_json([division, labels]) if labels else division

    @property
    def judged_by(self) -> StageName | None:
        """The stage whose judgments are divided into train, dev and test: people's before those of logs."""
        if self.has_judgments:
            return StageName.JUDGMENTS
        return StageName.LOGS if self.config.logs.path else None

    @cached_property
    def has_judgments(self) -> bool:
        """Whether there are judgments: always where nothing else could teach, so that their absence is an error."""
        from dialekt.pairs.formats.table import is_recognised

        others = bool(self.config.logs.path or self.config.synthesis.generators)
        if self.config.judgments.path is not None or not (others or self._documents_only):
            return True
        return self.config.corpus.path is not None and is_recognised(self.config.corpus.path)

    @property
    def judgments_path(self) -> Path:
        """Where the judgments lie: beside the documents unless the configuration says otherwise."""
        path = self.config.judgments.path or self.config.corpus.path
        if path is None:
            raise ConfigError(
                "neither corpus.path nor judgments.path is set",
                path=self.project.folder / CONFIG_NAME,
                hint="set corpus.path to your documents, and judgments.path if the judgments lie elsewhere",
            )
        return path

    def source(self, path: Path) -> dict[str, str]:
        """Return the content hashes of a file, or of all files in a folder, of the user's."""
        return self.sources.of(path, excluded=self.project.output)

    @cached_property
    def base_model_id(self) -> str:
        """The content id of the base model."""
        return self.model_id(self.config.model.base, self.config.model)

    def model_id(self, name: str, config: ModelConfig) -> str:
        """Return the content id of a model: one on the Hub has one only once it is on this machine."""
        from dialekt.models.base import fetch_model
        from dialekt.models.encoders import describe
        from dialekt.models.endpoint import is_endpoint

        found = describe(name, config)
        if found != name or not self._may_download or is_endpoint(name):
            return found
        fetch_model(name, trust_remote_code=config.trust_remote_code)
        return describe(name, config)

    @property
    def tuned_model(self) -> Path:
        """The folder of the tuned model."""
        return self.folder(StageName.TRAINING) / "model"

    @cached_property
    def base_encoder(self) -> "TextEncoder":
        """The base model, loaded once per walk."""
        return self.load(self.config.model.base)

    def load(self, name: str) -> "TextEncoder":
        """Load a model by its name or folder, with the project's settings."""
        from dialekt.models.encoders import load_encoder

        return load_encoder(name, self.config.model, cache=self.project.endpoint_vectors)


class Work(Protocol):
    """How a stage is called: with what the walk shares and the folder to write into; it returns its facts."""

    def __call__(self, workbench: Workbench, out: Path, *, progress: ReportProgress) -> object: ...


@dataclass(frozen=True)
class Stage:
    """A step of the journey.

    `module` holds the step's `STAGE_VERSION`. `needs` names the artefacts that it reads, each with the files that
    count; no files means all of them, and a stage that the journey does without counts for nothing, nor does one that
    `unused` names for this project. `wanted` says whether this project has the stage at all. `settings` and `outside`
    return the configuration and the content from outside the project's artefacts (source files, base model) that the
    result depends on, and nothing else. `fault` says what is wrong with things that a finished stage left outside its
    artefact, the empty text when all is well; `published` is called with the artefact at the end of every walk, skipped
    or not.
    """

    name: StageName
    module: str
    work: Work
    settings: Callable[[Config], Mapping[str, Any]]
    needs: Mapping[StageName, tuple[str, ...]] = field(default_factory=dict)
    unused: Callable[[Config], Collection[StageName]] = lambda _: ()
    wanted: Callable[[Workbench], bool] = lambda _: True
    outside: Callable[[Workbench], Mapping[str, str]] = lambda _: {}
    fault: Callable[[Workbench, Artefact], str] = lambda _, __: ""
    published: Callable[[Workbench, Artefact], None] = lambda _, __: None

    def needed(self, config: Config) -> dict[StageName, tuple[str, ...]]:
        """Return the needs that count for a project."""
        unused = self.unused(config)
        return {name: files for name, files in self.needs.items() if name not in unused}

    def recipe(self, workbench: Workbench) -> Recipe:
        """Return everything that the stage's result depends on."""
        inputs = {
            name.value: _input_id(workbench.artefacts[name], files)
            for name, files in self.needed(workbench.config).items()
            if name in workbench.artefacts
        }
        version: int = import_module(self.module).STAGE_VERSION
        settings = dict(self.settings(workbench.config))
        return Recipe(self.name, version, settings, inputs | dict(self.outside(workbench)))

    def look_up(self, workbench: Workbench, recipe: Recipe) -> Lookup:
        """Find the stage's verified artefact, or say why it must run."""
        lookup = workbench.store.look_up(recipe)
        fault = self.fault(workbench, lookup.artefact) if lookup.artefact else ""
        return Lookup(None, fault) if fault else lookup


def _input_id(artefact: Artefact, files: tuple[str, ...]) -> str:
    """Return the id of an artefact, or of those of its files that count: equal files, equal input."""
    if not files:
        return artefact.manifest.id
    return hash_json({name: artefact.manifest.files.get(name) for name in files})
