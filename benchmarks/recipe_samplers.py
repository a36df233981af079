"""Which of Optuna's samplers finds more in few trials: made recipes, whose best settings are known.

    python benchmarks/recipe_samplers.py --trials 8 24 --problems 60

Every problem is a hill over five knobs whose worth falls from the first knob to the last, as those of a recipe do,
with an interaction of the first two; its top is displaced from the default at random. Scores carry the noise of a dev
set of some hundred queries. Printed is how much better than the default the recipe truly is that looked best, with its
standard error over the problems, by sampler and by how many knobs are turned.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray

from dialekt.flow.recipes.optimizer import STARTUP_TRIALS

KNOBS = 5
NOISE = 0.004
WORTH = np.array([0.06, 0.025, 0.012, 0.006, 0.003])
SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "TPE, multivariate": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS
    ),
    "Gaussian process": lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS),
}


@dataclass(frozen=True)
class Problem:
    """A hill: where its top is, in [0, 1] per knob, how steep it falls, and how the first two knobs interact."""

    top: NDArray[np.float64]
    steepness: NDArray[np.float64]
    interaction: float

    def gain(self, point: Sequence[float]) -> float:
        """Return how much better than the default, in the middle of every knob, a point truly is."""
        return self._height(np.array(point)) - self._height(np.full(KNOBS, 0.5))

    def _height(self, point: NDArray[np.float64]) -> float:
        off = point - self.top
        return float(-(self.steepness * np.square(off)).sum() - self.interaction * off[0] * off[1])


def main() -> None:
    """Search every problem with every sampler and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--trials", type=int, nargs="+", default=[8, 24], help="trials of a search, the default included"
    )
    parser.add_argument("--problems", type=int, default=60)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| trials | knobs | sampler | gain | standard error |\n|---|---|---|---|---|")
    for trials in arguments.trials:
        for knobs in (2, 3, KNOBS):
            for name in SAMPLERS:
                gains = np.array([search(seed, name, trials=trials, knobs=knobs) for seed in range(arguments.problems)])
                error = gains.std(ddof=1) / len(gains) ** 0.5
                print(f"| {trials} | {knobs} | {name} | {gains.mean():.4f} | {error:.4f} |", flush=True)


def search(seed: int, sampler: str, *, trials: int, knobs: int) -> float:
    """Search one problem and return the true gain of the recipe that scored best."""
    problem, noise = make_problem(seed), np.random.default_rng(seed + 1_000)
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[sampler](seed))
    study.enqueue_trial({f"knob {knob}": 0.5 for knob in range(knobs)})
    found: list[tuple[float, float]] = []
    for _ in range(trials):
        trial = study.ask()
        turned = [trial.suggest_float(f"knob {knob}", 0, 1) for knob in range(knobs)]
        gain = problem.gain(turned + [0.5] * (KNOBS - knobs))
        score = gain + float(noise.normal(0, NOISE))
        study.tell(trial, score)
        found.append((score, gain))
    return max(found)[1]


def make_problem(seed: int) -> Problem:
    """Draw a problem."""
    draw = np.random.default_rng(seed)
    return Problem(
        draw.uniform(0.15, 0.85, KNOBS), 4 * WORTH * draw.uniform(0.5, 1.5, KNOBS), float(draw.normal(0, 0.02))
    )


if __name__ == "__main__":
    main()
