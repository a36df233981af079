"""After the last step: which mixture of base and tuned weights the result is."""

from dataclasses import dataclass

from dialekt.config import TrainingConfig
from dialekt.training.fit import FitResult
from dialekt.training.interpolation import SHARES, GeneralLimit, choose_mixture
from dialekt.training.opening import Session
from dialekt.training.records import Mixture, TrainingInputs
from dialekt.types import Progress

LARGEST_SHARE_BY_MADE_QUERIES = 0.5


@dataclass(frozen=True, slots=True)
class Mixing:
    """The mixtures of base and tuned weights that dev has scored, and the one that the model now is."""

    tried: list[Mixture]
    chosen: Mixture


def mix_weights(session: Session, fitted: FitResult, *, base_dev_ndcg: float) -> Mixing:
    known = [Mixture(0.0, base_dev_ndcg), Mixture(1.0, fitted.best_dev_ndcg)]
    if not session.config.interpolate:
        return Mixing(known[1:], known[1])
    mixtures, chosen = choose_mixture(
        session.encoder.model,
        session.partner.weights,
        score=session.score,
        known=known,
        most=largest_share(session.config, session.inputs),
        general=_general_limit(session),
        on_score=lambda done, total: session.progress(Progress("mixing base and tuned weights", done, total)),
    )
    return Mixing(mixtures, chosen)


def _general_limit(session: Session) -> GeneralLimit | None:
    """Return how a mixture is asked general queries, and the least it must reach on them."""
    guard = session.inputs.general
    if guard is None:
        return None

    def score() -> float:
        session.progress(Progress("asking general queries", 0))
        return guard.score(session.encoder.encode)

    return GeneralLimit(score, guard.base_ndcg if session.partner.is_base else None, guard.base_ndcg - guard.max_loss)


def largest_share(config: TrainingConfig, inputs: TrainingInputs) -> float:
    """Return how much of the tuned weights the mixture may have.

    Made dev queries are like made training queries: they miss what is forgotten of real ones (docs/experiments.md).
    """
    if config.max_tuned_share is not None:
        return config.max_tuned_share
    return LARGEST_SHARE_BY_MADE_QUERIES if inputs.made_dev_queries else 1.0


def texts_asked_by_mixing(session: Session) -> int:
    """Return how many general texts are encoded at most while the mixture is chosen."""
    if session.inputs.general is None:
        return 0
    most = largest_share(session.config, session.inputs)
    return sum(share <= most for share in (*SHARES, 1.0)) * session.inputs.general.texts
