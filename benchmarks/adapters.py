"""What an adapter brings to a model that is only an address: base, linear, mlp, shared and query-only, side by side.

    python -m benchmarks.adapters --beir FOLDER [FOLDER ...]

A server of the packaged MiniLM plays the endpoint: nothing of it is known but its address. For each BEIR folder one
project asks it once for all vectors, then trains every way on the same pairs, negatives and split. Printed are NDCG@10
on test with paired 95% intervals against the endpoint as it is, minutes of training, and how many documents an index of
the endpoint's vectors has to change. A project that is there already goes on; it is bound to the port.
"""

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server_process import dialekt_command, servers

from dialekt.evaluation.records import Comparison, EvaluationFacts, facts_from_json
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName
from dialekt.measures.metrics import NDCG

MODEL = "all-MiniLM-L6-v2"
WAYS: Mapping[str, tuple[str, ...]] = {
    "linear": (),
    "linear, shared": ("adapter.shared=true",),
    "mlp": ("adapter.kind=mlp",),
    "query side, linear": ("training.side=query",),
    "query side, mlp": ("training.side=query", "adapter.kind=mlp"),
}


@dataclass(frozen=True)
class Trained:
    """One way: what was measured, how long it took, and what was chosen."""

    facts: EvaluationFacts
    seconds: float
    steps: int
    share: float
    learning_rate: float
    strength: float | None

    @property
    def gain(self) -> Comparison:
        """Tuned minus base."""
        found = self.facts.comparison("tuned", "base", NDCG)
        assert found is not None
        return found


def main() -> None:
    """Train every way on every folder and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--beir", type=Path, nargs="+", required=True, help="BEIR folders with train and test judgments"
    )
    parser.add_argument("--folder", type=Path, default=None, help="where to work; unset: a temporary folder")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), help="unset: all")
    parser.add_argument("--port", type=int, default=38_123, help="of the server that plays the endpoint")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of all ways")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="adapters-"))
    folder.mkdir(parents=True, exist_ok=True)
    command = dialekt_command(f"{MODEL}={MODEL}", port=arguments.port)
    titles = (
        "set",
        "way",
        NDCG,
        "gain over the endpoint",
        "training min",
        "steps",
        "share",
        "rate",
        "strength",
        "moved",
    )
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    with servers({"endpoint": (command, arguments.port)}, folder) as running:
        address = f"openai:{running['endpoint'].url}/v1#{MODEL}"
        for beir in arguments.beir:
            compare(folder / beir.name, beir, address, arguments)


def compare(home: Path, beir: Path, address: str, arguments: argparse.Namespace) -> None:
    """Print the rows of one set."""
    home.mkdir(parents=True, exist_ok=True)
    settings = f'[corpus]\npath = "{beir.resolve()}"\n\n[model]\nbase = "{address}"\n'
    (home / "dialekt.toml").write_text(settings, encoding="utf-8")
    for number, way in enumerate(arguments.ways):
        found = train(home, [*arguments.set, *WAYS[way]])
        if not number:
            base = found.facts.result("base")
            assert base is not None
            print(f"| {beir.name} | the endpoint as it is | {base.metrics[NDCG].value:.4f} | | | | | | | |")
        tuned = found.facts.result("tuned")
        assert tuned is not None
        moved = 0 if "training.side=query" in WAYS[way] else found.facts.documents
        strength = "" if found.strength is None else f"{found.strength:g}"
        cells = (
            *(beir.name, way, f"{tuned.metrics[NDCG].value:.4f}", interval(found.gain), f"{found.seconds / 60:.1f}"),
            *(f"{found.steps}", f"{found.share:.0%}", f"{found.learning_rate:g}", strength, f"{moved:,}"),
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def train(home: Path, settings: list[str]) -> Trained:
    """Train one way; the stages before training are shared."""
    records = {one.stage: one for one in run(open_project(home, overrides=settings), until=StageName.EVALUATION)}
    facts = records[StageName.TRAINING].facts
    strength = facts["derived"].get("adapter.strength")
    return Trained(
        facts=facts_from_json(records[StageName.EVALUATION].facts),
        seconds=float(facts["seconds"]),
        steps=int(facts["steps"]),
        share=float(facts["interpolation"]),
        learning_rate=float(facts["learning_rate"]),
        strength=None if strength is None else float(strength["value"]),
    )


def interval(found: Comparison) -> str:
    """Return `+0.0123 (+0.0100 to +0.0150)`."""
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"


if __name__ == "__main__":
    main()
