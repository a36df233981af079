"""The training stage and the skills of other rooms that it is given: dev scores and re-mining."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialekt.config import Config, TunedSide
from dialekt.errors import UsageError
from dialekt.flow import adapting, forgetting
from dialekt.flow.artefacts import Artefact
from dialekt.flow.facts import plain
from dialekt.flow.project import Project
from dialekt.flow.records import StageName
from dialekt.flow.settings import larger_model_config
from dialekt.flow.workbench import Workbench
from dialekt.types import ReportProgress, Role, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dialekt.evaluation.dev import DevSet
    from dialekt.negatives.remining import Reminer
    from dialekt.negatives.stage import NegativesInputs
    from dialekt.training.launch import Launch
    from dialekt.training.records import EncodeFunction

DEV_DOCUMENTS = (400, 1_500)  # scoring dev must cost little beside the training between two scores
PAIRS_PER_DEV_DOCUMENT = 4


def train(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Pairs and hard negatives → a tuned model, in this process or led by a worker of a cluster."""
    workers = workbench.workers
    if not workers.are_elsewhere or adapting.is_adapter(workbench.config):  # an adapter is done before workers start
        return train_here(workbench, out, progress=progress)
    from dialekt.cluster.fitting import Parts, fit
    from dialekt.training.distributed import current_team, help_along
    from dialekt.training.wire import meet

    if current_team() is not None:
        raise UsageError(
            "a launcher has started several processes, and cluster.on = 'ray' asks for a cluster's",
            hint="leave one of the two out",
        )
    workers.join(progress)
    parts = Parts(meet, LeadTraining(workbench.project, dict(workbench.artefacts), out), help_along)
    return workers.recorded(fit(workers.cluster, parts, folder=out, progress=progress))


@dataclass(frozen=True, slots=True)
class LeadTraining:
    """The training stage in another process, of which it is told all that a walk knows."""

    project: Project
    artefacts: dict[StageName, Artefact]
    out: Path

    def __call__(self, launch: "Launch | None", progress: ReportProgress) -> object:
        """Train, and return the facts; with a launch, share every step with the processes that it names."""
        from dialekt.training.distributed import leading

        workbench = Workbench(self.project)
        workbench.artefacts = self.artefacts
        with leading(launch) if launch else nullcontext():
            return train_here(workbench, self.out, progress=progress)


def train_here(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Tune the model, its best mixture with the base chosen on the dev queries."""
    from dialekt.training.distributed import current_team
    from dialekt.training.records import TrainingInputs

    config = workbench.config
    examiner = workbench.examiner or make_examiner(workbench, progress=progress)
    inputs = TrainingInputs(
        model=config.model,
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        pairs=workbench.pairs,
        negatives=workbench.negatives,
        made_dev_queries=bool(workbench.artefacts[StageName.PAIRS].manifest.facts["made_dev_queries"]),
        teacher=workbench.folder_if_any(StageName.TEACHER),
        seed=training_seed(config),
        score_dev=examiner.score,
        dev_texts=examiner.dev_set.texts,
        remine=_reminer(workbench, progress),
        document_vectors=frozen_documents(workbench),
        base_vectors=workbench.folder(StageName.BASE_VECTORS),
        wanted_vectors=workbench.folder_if_any(StageName.TEACHER_VECTORS),
        general=forgetting.guard(workbench, frozen=frozen_documents(workbench) is not None),
        watch=workbench.watch_dev,
        start=adapted_model(workbench),
    )
    team = current_team()
    facts = adapting.train_by_method(workbench, config.training, inputs, [examiner.dev_set], out, progress=progress)
    return facts if team is None else plain(facts) | {"processes": team.size}


@dataclass(frozen=True, slots=True)
class Examiner:
    """Asks a model the dev queries; `document_vectors` are there where documents keep those that they have."""

    dev_set: "DevSet"
    document_vectors: "NDArray[np.float32] | None"

    def scores(self, encode: "EncodeFunction") -> "NDArray[np.float64]":
        """Return NDCG@10 of each dev query; (queries,)."""
        from dialekt.evaluation import dev

        return dev.dev_scores(self.dev_set, *self._vectors(encode))

    def score(self, encode: "EncodeFunction") -> float:
        """Return the mean over the dev queries, 0 where there are none."""
        from dialekt.evaluation import dev

        return dev.score_dev(self.dev_set, *self._vectors(encode))

    def _vectors(self, encode: "EncodeFunction") -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        frozen = self.document_vectors
        documents = encode(self.dev_set.document_texts, Role.DOCUMENT) if frozen is None else frozen
        return encode(self.dev_set.query_texts, Role.QUERY), documents


def make_examiner(workbench: Workbench, *, progress: ReportProgress) -> Examiner:
    """Draw the dev queries and the documents that they are ranked against: the same for every training."""
    from dialekt.evaluation import dev

    config = workbench.config
    inputs = dev.DevInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        vectors=workbench.folder(StageName.BASE_VECTORS),
        minimum_grade=config.pairs.minimum_grade,
        seed=config.project.seed,
    )
    dev_set = dev.make_dev_set(
        inputs,
        max_queries=config.evaluation.max_dev_queries,
        max_documents=_dev_documents(workbench),
        progress=progress,
    )
    frozen = frozen_documents(workbench)
    return Examiner(dev_set, None if frozen is None else dev.pool_vectors(dev_set, frozen))


def adapted_model(workbench: Workbench) -> Path | None:
    """Return the folder of the base model after what the documents taught it; None where nothing of that was kept."""
    folder = workbench.folder_if_any(StageName.ADAPTATION)
    return folder / "model" if folder is not None and (folder / "model").is_dir() else None


def frozen_documents(workbench: Workbench) -> Path | None:
    """Return the folder of the vectors that documents keep where only the query side is tuned."""
    match workbench.config.training.side:
        case TunedSide.QUERY:
            return workbench.folder(StageName.BASE_VECTORS)
        case TunedSide.BOTH:
            return None


def encode_with_teacher(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents and train queries → the vectors of a larger embedding model, whose cosines training learns."""
    from dialekt.models import vectors
    from dialekt.models.encoders import load_encoder

    config = larger_model_config(workbench.config)
    encoder = load_encoder(config.base, config, cache=workbench.project.endpoint_vectors)
    inputs = vectors.VectorsInputs(
        corpus=workbench.folder(StageName.CORPUS), split=workbench.folder(StageName.PAIRS), splits=(Split.TRAIN,)
    )
    return vectors.run(encoder, inputs, out, progress=progress)


def teach(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Pairs and hard negatives → a cross-encoder, and what it corrects if it ranks better than the base model."""
    from dialekt.evaluation import reranking
    from dialekt.teacher import stage
    from dialekt.teacher.records import TeacherInputs

    config = workbench.config
    dev_inputs = reranking.RerankingInputs(
        corpus=workbench.folder(StageName.CORPUS),
        split=workbench.folder(StageName.PAIRS),
        vectors=workbench.folder(StageName.BASE_VECTORS),
        minimum_grade=config.pairs.minimum_grade,
        max_queries=config.evaluation.max_dev_queries,
        depth=config.teacher.depth,
        seed=config.project.seed,
    )
    inputs = TeacherInputs(
        model=config.model,
        corpus=workbench.folder(StageName.CORPUS),
        examples=workbench.folder(StageName.PAIRS),
        negatives=workbench.folder(StageName.NEGATIVES),
        compare=lambda score: reranking.compare(dev_inputs, score),
        seed=config.project.seed,
    )
    return stage.run(config.teacher, inputs, out, progress=progress)


def _dev_documents(workbench: Workbench) -> int:
    """Return how many documents the dev queries are ranked against: more where training is longer."""
    least, most = DEV_DOCUMENTS
    pairs = int(workbench.artefacts[StageName.PAIRS].manifest.facts["pairs"])
    return min(most, max(least, pairs // PAIRS_PER_DEV_DOCUMENT))


def tuned_side(config: Config) -> dict[str, Any]:
    """Return the side that is tuned, where it is not the usual both."""
    side = config.training.side
    return {} if side is TunedSide.BOTH else {"training.side": side.value}


def training_seed(config: Config) -> int:
    """Return the seed of the training: the project's unless it has one of its own."""
    return config.project.seed if config.training.seed is None else config.training.seed


def own_seed(config: Config) -> dict[str, Any]:
    """Return the seed of the training where it is not the project's."""
    seed = training_seed(config)
    return {} if seed == config.project.seed else {"training.seed": seed}


def remining(config: Config) -> dict[str, Any]:
    """Return the settings of mining that training depends on: none unless it mines again itself."""
    if config.training.remine_every is None:
        return {}
    values = config.negatives.model_dump(mode="json", exclude={"examples"})
    return {f"negatives.{key}": value for key, value in values.items()}


def negatives_inputs(workbench: Workbench) -> "NegativesInputs":
    """Return what mining reads."""
    from dialekt.negatives.stage import NegativesInputs

    return NegativesInputs(
        corpus=workbench.folder(StageName.CORPUS),
        pairs=workbench.folder(StageName.PAIRS),
        vectors=workbench.folder(StageName.BASE_VECTORS),
        seed=workbench.config.project.seed,
        minimum_grade=workbench.config.pairs.minimum_grade,
    )


def _reminer(workbench: Workbench, progress: ReportProgress) -> "Reminer | None":
    from dialekt.negatives.remining import Reminer

    if workbench.config.training.remine_every is None:
        return None
    return Reminer(
        workbench.config.negatives,
        negatives_inputs(workbench),
        workbench.folder(StageName.NEGATIVES),
        frozen_documents=frozen_documents(workbench) is not None,
        progress=progress,
    )
