"""How much of the truth comes back from clicks: simulate on real judgments, extract, compare; raw clicks beside.

    python benchmarks/log_truth.py --beir FOLDER                       # three click models, noise 0.1 and 0.25
    python benchmarks/log_truth.py --beir FOLDER --sessions 50000 --bots 0.3 --dwell

Per row: precision, recall and F1 of the extracted positives against the judgments of all queries of the split; the same
for every clicked pair of the raw log ("clicked") and for pairs clicked at least twice; how many of the machines'
searches cleaning removed, and how many of the people's it lost. With --time-split, the positives are those that the
stage gives to training, which leaves the future and the held-out queries out.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from dialekt.config import CleaningConfig, LogsConfig
from dialekt.logs.known_truth import read_truth
from dialekt.logs.records import QRELS_NAME, QUERIES_NAME, LogQrel, LogQuery, LogsFacts, LogsInputs
from dialekt.logs.simulation import SimulatedModel, Simulation, Truth
from dialekt.logs.simulation_files import TRUTH_SUFFIX, write_log
from dialekt.logs.stage import run
from dialekt.store.tables import read_records

BOT_RULES = ("bots", "machine", "flood", "hammer")
NO_SPLIT = 1e-9


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 of some pairs against the true ones."""

    precision: float
    recall: float
    pairs: int

    @property
    def f1(self) -> float:
        """Return the harmonic mean."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)

    def __str__(self) -> str:
        return f"{self.precision:.3f} {self.recall:.3f} {self.f1:.3f} ({self.pairs:,})"


def main() -> None:
    """Measure every combination and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--models", nargs="+", default=[model.value for model in SimulatedModel])
    parser.add_argument("--noise", nargs="+", type=float, default=[0.1, 0.25])
    parser.add_argument("--position-bias", type=float, default=1.0)
    parser.add_argument("--bots", type=float, default=0.2)
    parser.add_argument("--dwell", action="store_true")
    parser.add_argument("--time-split", action="store_true")
    parser.add_argument("--suffix", default=".parquet", help=".parquet, .tsv or .ndjson.gz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the logs section")
    arguments = parser.parse_args()
    truth = read_truth(arguments.beir, split=arguments.split, most_queries=arguments.queries, seed=arguments.seed)
    print(f"{len(truth.queries):,} queries, {int((truth.grades > 0).sum()):,} true pairs; P R F1 (pairs)")
    for model, noise in itertools.product(arguments.models, arguments.noise):
        settings = Simulation(
            model=SimulatedModel(model),
            sessions=arguments.sessions,
            noise=noise,
            bots=arguments.bots,
            position_bias=arguments.position_bias,
            seed=arguments.seed,
        )
        measure(truth, settings, arguments)


def measure(truth: Truth, settings: Simulation, arguments: argparse.Namespace) -> None:
    """Simulate, extract and print one row."""
    with tempfile.TemporaryDirectory() as folder:
        log, out = Path(folder) / f"log{arguments.suffix}", Path(folder) / "out"
        out.mkdir()
        write_log(truth, settings, log, dwell=arguments.dwell)
        flat = log if log.suffix == ".parquet" else Path(folder) / "raw.parquet"
        if flat != log:
            write_log(truth, settings, flat, dwell=arguments.dwell)
        config = LogsConfig.model_validate({"path": (str(log),), **dict(item.split("=") for item in arguments.set)})
        shares = (0.1, 0.2) if arguments.time_split else (NO_SPLIT, NO_SPLIT)
        started = time.perf_counter()
        facts = run(config, LogsInputs(CleaningConfig(), None, *shares, seed=1), out)
        seconds = time.perf_counter() - started
        known = json.loads(flat.with_name(flat.name + TRUTH_SUFFIX).read_text(encoding="utf-8"))
        print(f"{settings.model}, noise {settings.noise:g}: {facts.evidence.click_model}, {seconds:.1f} s")
        print_scores(truth, out, flat)
        print_cleaning(facts, known)
        print(f"  perplexity {facts.evidence.perplexity}", flush=True)


def print_scores(truth: Truth, out: Path, raw: Path) -> None:
    """Print extracted positives beside raw clicks."""
    true = {
        (text, truth.document_ids[number])
        for text, row, grades in zip(truth.queries, truth.candidates, truth.grades, strict=True)
        for number, grade in zip(row.tolist(), grades.tolist(), strict=True)
        if grade > 0
    }
    true = {(" ".join(text.split()), document) for text, document in true}
    texts = {query.id: query.text for query in read_records(out / QUERIES_NAME, LogQuery)}
    wanted = [
        qrel for qrel in read_records(out / QRELS_NAME, LogQrel) if qrel.grade > 0 and qrel.split in {"", "train"}
    ]
    table = pq.read_table(raw, columns=["query", "doc_id", "clicked"])
    clicked = table.filter(table["clicked"].cast("bool"))
    counts = Counter(zip(clicked["query"].to_pylist(), clicked["doc_id"].to_pylist(), strict=True))
    print(f"  extracted     {score({(texts[qrel.query_id], qrel.document_id) for qrel in wanted}, true)}")
    print(f"  clicked       {score(set(counts), true)}")
    print(f"  clicked twice {score({pair for pair, count in counts.items() if count > 1}, true)}")


def score(found: set[tuple[str, str]], true: set[tuple[str, str]]) -> Score:
    """Return how well the pairs that were found match the true ones; texts are compared without case."""
    ours = {(text.casefold(), document) for text, document in found}
    right = ours & {(text.casefold(), document) for text, document in true}
    return Score(len(right) / max(len(ours), 1), len(right) / max(len(true), 1), len(ours))


def print_cleaning(facts: LogsFacts, known: dict[str, dict[str, int]]) -> None:
    """Print what the funnel removed, beside what machines had made."""
    bots, total = known["facts"]["bot_searches"], known["facts"]["searches"]
    by_rule = {step.rule: step.searches_in - step.searches_out for step in facts.funnel}
    removed = {rule: count for rule, count in by_rule.items() if count}
    by_bots = sum(count for rule, count in removed.items() if any(word in rule for word in BOT_RULES))
    print(f"  cleaning: {bots:,} of {total:,} searches by machines; bot rules removed {by_bots:,}; all rules {removed}")


if __name__ == "__main__":
    main()
