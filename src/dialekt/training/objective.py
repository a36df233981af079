"""What a training step minimises: objectives with weights, each on the sources that it may learn from."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dialekt.config import ObjectiveName, TrainingConfig
from dialekt.errors import ConfigError
from dialekt.training.batches import StepBatch
from dialekt.training.examples import SOURCES, Examples
from dialekt.training.losses.matryoshka import matryoshka_loss
from dialekt.training.losses.table import OBJECTIVES, Needs
from dialekt.training.records import Derived

GRADED = frozenset(name for name, row in OBJECTIVES.items() if row.needs is Needs.GRADES)
_HINTS: Mapping[Needs, str] = {
    Needs.TEACHER: "set teacher.model, or take another objective; a teacher no better than the base gives no scores",
    Needs.GRADES: "give judgments of several grades, or mine hard negatives, which count as grade 0",
    Needs.EMBEDDINGS: "set training.distil_from to the embedding model to learn from",
}


@dataclass(frozen=True, slots=True)
class Term:
    """An objective, its weight, and the places in `SOURCES` of the pairs that it learns from; None: all."""

    name: ObjectiveName
    weight: float = 1.0
    sources: tuple[int, ...] | None = None

    def of(self, batch: StepBatch) -> StepBatch:
        """Return the step as this objective sees it: pairs of other sources have no weight."""
        if self.sources is None:
            return batch
        assert batch.sources is not None
        own = torch.isin(batch.sources, torch.tensor(self.sources, device=batch.sources.device))
        return replace(batch, weights=batch.weights * own)


@dataclass(frozen=True, slots=True)
class Objective:
    """Σ wₖ · lossₖ / Σ wₖ over the terms k, averaged over nested prefixes of the vectors."""

    dimensions: tuple[int, ...]
    temperature: float
    terms: tuple[Term, ...] = (Term(ObjectiveName.RANKING),)

    def loss(self, queries: Tensor, documents: Tensor, batch: StepBatch) -> Tensor:
        """Return one number for query vectors (pairs, dimension) and document vectors (documents, dimension)."""
        seen = [(term.weight, OBJECTIVES[term.name].loss, term.of(batch)) for term in self.terms]
        total = sum(term.weight for term in self.terms)

        def of_prefix(query_vectors: Tensor, document_vectors: Tensor) -> Tensor:
            losses = [
                weight * loss(query_vectors, document_vectors, part, self.temperature) for weight, loss, part in seen
            ]
            return torch.stack(losses).sum() / total

        return matryoshka_loss(queries, documents, dimensions=self.dimensions, loss=of_prefix)

    @property
    def title(self) -> str:
        """What is minimised, in words."""
        total = sum(term.weight for term in self.terms)
        named = [f"{OBJECTIVES[term.name].title}{self._share(term, total)}" for term in self.terms]
        return f"{' and '.join(named)} inside Matryoshka {list(self.dimensions)}"

    def _share(self, term: Term, total: float) -> str:
        share = f"{term.weight / total:.0%}" if len(self.terms) > 1 else ""
        sources = "" if term.sources is None else f"of {', '.join(SOURCES[place].value for place in term.sources)}"
        said = " ".join(part for part in (share, sources) if part)
        return f" ({said})" if said else ""


def wants_grades(config: TrainingConfig) -> bool:
    """Whether an objective learns from grades, so that what was judged low is laid out too."""
    return bool(GRADED & set(config.objectives or ()))


def choose_terms(config: TrainingConfig, examples: Examples, derived: dict[str, Derived]) -> tuple[Term, ...]:
    """Return the objectives: those of the user, or what the data allow; what was derived is noted.

    Raises `ConfigError` for an objective whose data are missing, and for settings that do nothing.
    """
    weights = config.objectives or _derive(config, examples, derived)
    for name in weights:
        _check(name, examples)
    if config.distil_from is not None and ObjectiveName.EMBEDDING not in weights:
        raise ConfigError(
            "training.distil_from is set, but no objective learns from it",
            hint="add 'embedding' to training.objectives",
        )
    if config.remine_every is not None and GRADED & set(weights):
        raise ConfigError(
            "training.remine_every mines negatives without a grade, and an objective learns from grades",
            hint="unset it, or take objectives that need no grades",
        )
    if idle := [name.value for name in config.objective_sources if name not in weights]:
        raise ConfigError(
            f"training.objective_sources names {idle[0]!r}, which is not minimised",
            hint=f"the objectives are: {', '.join(weights)}",
        )
    present = set(examples.pair_source.tolist())
    return tuple(_term(config, name, weight, present) for name, weight in weights.items())


def _derive(config: TrainingConfig, examples: Examples, derived: dict[str, Derived]) -> Mapping[ObjectiveName, float]:
    weights = {ObjectiveName.RANKING: 1.0}
    why = "pairs and negatives"
    if len(examples.teacher_scores):
        weights[ObjectiveName.LISTWISE] = 1.0
        why = "pairs, and the scores of a teacher that ranks better than the base model"
    if config.distil_from is not None:
        weights[ObjectiveName.EMBEDDING] = 1.0
        why += " and the cosines of a larger embedding model"
    derived["objectives"] = Derived(" and ".join(weights), why)
    return weights


def _term(config: TrainingConfig, name: ObjectiveName, weight: float, present: Set[int]) -> Term:
    sources = config.objective_sources.get(name)
    if sources is None:
        return Term(name, weight)
    places = tuple(SOURCES.index(source) for source in sources)
    if present.isdisjoint(places):
        raise ConfigError(
            f"training.objective_sources: there is no pair of {' or '.join(sources) or 'no source'} for {name.value!r}",
            hint=f"the pairs come from: {', '.join(sorted(SOURCES[place] for place in present))}",
        )
    return Term(name, weight, places)


def _check(name: ObjectiveName, examples: Examples) -> None:
    needs = OBJECTIVES[name].needs
    match needs:
        case Needs.NOTHING:
            found = True
        case Needs.GRADES:
            found = len(set(examples.grades.values.tolist())) > 1
        case Needs.TEACHER:
            found = len(examples.teacher_scores) > 0
        case Needs.EMBEDDINGS:
            found = examples.wanted is not None
    if not found:
        raise ConfigError(
            f"training.objectives names {name.value!r}, but there is nothing that it could learn from",
            hint=_HINTS[needs],
        )
