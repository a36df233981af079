"""Unsupervised adaptation in the journey: its stage, how dev is asked, and the walk where there are no queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialekt.config import Config, JudgedBy
from dialekt.errors import ConfigError
from dialekt.flow import teaching
from dialekt.flow.adapting import is_adapter
from dialekt.flow.records import StageName
from dialekt.flow.settings import MINIMUM_GRADE, MODEL, SEED, base_model, section, setting, settings
from dialekt.flow.workbench import Stage, Workbench
from dialekt.types import Progress, ReportProgress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dialekt.adaptation.records import Judge
    from dialekt.training.records import TrainingInputs

MOST_CANDIDATES = 20_000
_PRUNED: dict[str, Any] = {
    "evaluations": 1,
    "interpolate": False,
    "remine_every": None,
    "time_limit_minutes": None,
}
"""The short training has no choice to make: its last step is what dev judges, and every start gets as many steps."""


def is_on(config: Config) -> bool:
    """Whether the project adapts the base model to the documents."""
    return bool(config.adaptation.methods)


def adapt(workbench: Workbench, out: Path, *, progress: ReportProgress) -> object:
    """Documents → the base model after each method that dev says is worth keeping."""
    from dialekt.adaptation import stage
    from dialekt.adaptation.records import AdaptationInputs

    inputs = AdaptationInputs(
        model=workbench.config.model,
        corpus=workbench.folder(StageName.CORPUS),
        seed=workbench.config.project.seed,
        find_terms=lambda texts: find_terms(workbench, texts),
        judge=_judge(workbench, progress=progress),
    )
    return stage.run(workbench.config.adaptation, inputs, out, progress=progress)


def find_terms(workbench: Workbench, texts: Sequence[str]) -> list[str]:
    """Return words of letters, codes among them, by the tokens that they cost beyond one each, the costliest first.

    A word in few documents may be a person's name or a secret, and is left out.
    """
    import numpy as np

    from dialekt.diagnosis.language import draw_sample
    from dialekt.diagnosis.terms import Vocabulary, ranked, read_words

    sample = draw_sample(texts, seed=workbench.config.project.seed)
    vocabulary = Vocabulary.of(read_words(sample, workbench.base_encoder.token_offsets))
    weights = (vocabulary.counts * vocabulary.excess).astype(np.float64)
    return [vocabulary.terms[row] for row in ranked(vocabulary, weights, most=MOST_CANDIDATES)]


def _judge(workbench: Workbench, *, progress: ReportProgress) -> "Judge | None":
    """Return how dev compares two models; None where there are no dev queries."""
    from dialekt.adaptation.records import Judge

    if StageName.PAIRS not in workbench.artefacts:
        return None
    asking = _Asking(workbench, teaching.make_examiner(workbench, progress=progress))
    kind, queries = workbench.config.adaptation.judged_by, len(asking.examiner.dev_set.query_ids)
    match kind:
        case JudgedBy.TRAINING:
            judge = Judge(kind, queries, asking.after_training)
        case JudgedBy.ZERO_SHOT:
            judge = Judge(kind, queries, lambda model, _, __: asking.as_it_is(model))
    return judge if judge.queries else None


@dataclass(frozen=True, slots=True, eq=False)
class _Asking:
    """The dev queries, and two ways to ask them of a model folder (None: the base model)."""

    workbench: Workbench
    examiner: teaching.Examiner

    def as_it_is(self, model: Path | None) -> "NDArray[np.float64]":
        """Return NDCG@10 of each dev query (queries,)."""
        from dialekt.models.encoder import Encoder

        config = self.workbench.config.model
        return self.examiner.scores(Encoder.load(str(model or config.base), config).encode)

    def after_training(self, model: Path | None, folder: Path, progress: ReportProgress) -> "NDArray[np.float64]":
        """Train shortly on the pairs, always on the same ones, and return NDCG@10 of each dev query (queries,)."""
        from dialekt.training import stage

        _write_examples(self.workbench, folder)
        training = self.workbench.config.training.without_teachers().model_copy(update=_PRUNED)

        def report(step: Progress) -> None:
            progress(Progress(f"short training: {step.label}", step.done, step.total, step.note))

        stage.run(training, self._training_inputs(model, folder), folder / "out", progress=report)
        return self.as_it_is(folder / "out" / "model")

    def _training_inputs(self, model: Path | None, folder: Path) -> "TrainingInputs":
        from dialekt.training.records import TrainingInputs

        workbench = self.workbench
        return TrainingInputs(
            model=workbench.config.model,
            corpus=workbench.folder(StageName.CORPUS),
            split=workbench.folder(StageName.PAIRS),
            pairs=folder,
            negatives=folder,
            seed=workbench.config.project.seed,
            score_dev=self.examiner.score,
            dev_texts=self.examiner.dev_set.texts,
            document_vectors=teaching.frozen_documents(workbench),
            base_vectors=workbench.folder(StageName.BASE_VECTORS),
            start=model,
        )


def _write_examples(workbench: Workbench, folder: Path) -> None:
    """Write pairs and negatives of some train queries as the stages before training do: the same at every call."""
    import numpy as np

    from dialekt.store.tables import read_records, write_records
    from dialekt.types import HardNegative, Pair

    pairs = read_records(workbench.pairs / "pairs.parquet", Pair)
    queries = sorted({one.query_id for one in pairs})
    order = np.random.default_rng(workbench.config.project.seed).permutation(len(queries))
    chosen = {queries[row] for row in order[: workbench.config.adaptation.probe_queries].tolist()}
    negatives = read_records(workbench.negatives / "negatives.parquet", HardNegative)
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "pairs.parquet", (one for one in pairs if one.query_id in chosen), Pair)
    write_records(folder / "negatives.parquet", (one for one in negatives if one.query_id in chosen), HardNegative)


def _training_settings(config: Config) -> dict[str, Any]:
    """Return what the short training depends on; nothing where dev judges the models as they are.

    Raises `ConfigError` where an adapter is trained, which leaves weights as they are.
    """
    if is_adapter(config):
        raise ConfigError(
            "adaptation.methods changes weights, and an adapter leaves them as they are",
            hint="unset it, or train with another training.method",
        )
    if config.adaptation.judged_by is JudgedBy.ZERO_SHOT:
        return teaching.tuned_side(config)
    return section("training", "side", "seed", "distil_from", "distil_api_key_variable", *_PRUNED)(
        config
    ) | teaching.tuned_side(config)


ADAPTATION = Stage(
    StageName.ADAPTATION,
    "dialekt.adaptation.records",
    adapt,
    settings=settings(
        section("adaptation"),
        _training_settings,
        MODEL,
        SEED,
        MINIMUM_GRADE,
        setting("evaluation", "max_dev_queries"),
    ),
    needs={
        StageName.CORPUS: ("documents.parquet",),
        StageName.PAIRS: (),
        StageName.BASE_VECTORS: (),
        StageName.NEGATIVES: ("negatives.parquet",),
        StageName.TEACHER: ("pairs.parquet", "negatives.parquet"),
    },
    outside=base_model,
    wanted=lambda workbench: is_on(workbench.config),
)
