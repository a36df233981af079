"""How much of the truth a model learns from clicks: raw clicks, the log room's answers, and the true judgments.

    python benchmarks/log_learning.py --beir FOLDER --model position-based --sessions 100000 --minutes 4

Clicks are simulated on the train judgments of a BEIR folder with a strong bias of the rank, noise and machines. Three
projects then train for the same time with the same dev and test judgments: on every clicked pair, on what
`dialekt pairs logs` finds, and on the judgments themselves. Printed are NDCG@10 on test, and how much of the gap
between raw clicks and the truth the log room closes.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dialekt.evaluation.records import facts_from_json
from dialekt.flow.journey import run
from dialekt.flow.project import open_project
from dialekt.flow.records import StageName
from dialekt.measures.metrics import NDCG

QRELS_HEADER = "query-id\tcorpus-id\tscore\n"


@dataclass(frozen=True)
class Learned:
    """What training on one kind of evidence gave."""

    name: str
    pairs: int
    base: float
    tuned: float
    low: float
    high: float


def main() -> None:
    """Simulate, train three times, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beir", type=Path, required=True, help="BEIR folder with train, dev and test judgments")
    parser.add_argument("--model", default="position-based", help="position-based, cascade or dbn")
    parser.add_argument("--sessions", type=int, default=100_000, help="sessions to simulate")
    parser.add_argument("--position-bias", type=float, default=1.5, help="exponent of the examination by rank")
    parser.add_argument("--noise", type=float, default=0.1, help="click probability of an examined wrong document")
    parser.add_argument("--bots", type=float, default=0.1, help="share of the searches that machines make")
    parser.add_argument("--minutes", type=float, default=4.0, help="training time of each project")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=None, help="where to work; unset: a temporary folder")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="log-learning-"))
    folder.mkdir(parents=True, exist_ok=True)
    log = simulate(arguments, folder)
    searched = {row[0] for row in rows(f"SELECT DISTINCT query FROM {table(log)}")}
    found = [
        learn("raw clicks", arguments, folder, train=raw_clicks(arguments.beir, log)),
        learn("log room", arguments, folder, log=log),
        learn("judgments", arguments, folder, train=judged(arguments.beir, searched)),
    ]
    report(found)


def simulate(arguments: argparse.Namespace, folder: Path) -> Path:
    """Write the log with the command that users have, once."""
    log: Path = folder / "log.tsv"
    if not log.exists():
        words = ["logs", "simulate", "--beir", str(arguments.beir), "--split", "train"]
        for name in ("model", "sessions", "position_bias", "noise", "bots", "seed"):
            words += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
        subprocess.run([sys.executable, "-m", "dialekt", *words, "--out", str(log)], check=True)
    return log


def raw_clicks(beir: Path, log: Path) -> list[tuple[str, str]]:
    """Return every (query id, document id) that was clicked at least once, by people or by machines."""
    ids = {text: identifier for identifier, text in query_texts(beir).items()}
    clicked = rows(f"SELECT DISTINCT query, doc_id FROM {table(log)} WHERE clicked IN ('1', 'true')")
    return [(ids[query], document) for query, document in clicked if query in ids]


def table(log: Path) -> str:
    """Return the SQL that reads the log as text."""
    return f"read_csv('{log}', delim='\t', all_varchar=true)"


def judged(beir: Path, searched: set[str]) -> list[tuple[str, str]]:
    """Return the train judgments of the queries that were searched."""
    texts = query_texts(beir)
    lines = (beir / "qrels" / "train.tsv").read_text(encoding="utf-8").splitlines()[1:]
    given = [line.split("\t") for line in lines]
    return [(query, document) for query, document, grade in given if float(grade) > 0 and texts[query] in searched]


def query_texts(beir: Path) -> dict[str, str]:
    """Return the texts of the queries by id."""
    path = next(path for path in (beir / "queries.jsonl", beir / "queries.jsonl.gz") if path.exists())
    found = rows(f"SELECT _id, text FROM read_json('{path}', columns={{_id: 'VARCHAR', text: 'VARCHAR'}})")
    return {row[0]: row[1] for row in found}


def rows(query: str) -> list[tuple[str, ...]]:
    """Return the rows of a query."""
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def learn(
    name: str,
    arguments: argparse.Namespace,
    folder: Path,
    *,
    train: list[tuple[str, str]] | None = None,
    log: Path | None = None,
) -> Learned:
    """Train a project on one kind of evidence and score it on the test judgments."""
    home = folder / name.replace(" ", "-")
    data = home / "data"
    (data / "qrels").mkdir(parents=True, exist_ok=True)
    for path in (*arguments.beir.glob("corpus.jsonl*"), *arguments.beir.glob("queries.jsonl*")):
        shutil.copy(path, data / path.name)
    for split in ("dev", "test"):
        shutil.copy(arguments.beir / "qrels" / f"{split}.tsv", data / "qrels")
    if train is not None:
        lines = "".join(f"{query}\t{document}\t1\n" for query, document in sorted(train))
        (data / "qrels" / "train.tsv").write_text(QRELS_HEADER + lines, encoding="utf-8")
    logs = f'[logs]\npath = ["{log}"]\n' if log else ""
    limit = f"[training]\ntime_limit_minutes = {arguments.minutes}\n"
    (home / "dialekt.toml").write_text(f'[corpus]\npath = "data"\n{logs}{limit}', encoding="utf-8")
    records = {record.stage: record for record in run(open_project(home), until=StageName.EVALUATION)}
    facts = facts_from_json(records[StageName.EVALUATION].facts)
    gain = facts.comparison("tuned", "base", NDCG)
    assert gain is not None
    base = next(system.metrics[NDCG].value for system in facts.systems if system.system == "base")
    pairs = int(records[StageName.PAIRS].facts["pairs"])
    return Learned(name, pairs, base, base + gain.difference, gain.low, gain.high)


def report(found: list[Learned]) -> None:
    """Print the table and the share of the gap that was closed."""
    print(f"{'trained on':<12} {'pairs':>8} {'base':>6} {'tuned':>6}   gain, 95% interval")
    for item in found:
        interval = f"{item.low:+.3f} to {item.high:+.3f}"
        print(f"{item.name:<12} {item.pairs:>8,} {item.base:>6.3f} {item.tuned:>6.3f}   {interval}")
    raw, ours, truth = (item.tuned for item in found)
    if truth > raw:
        print(f"gap between raw clicks and judgments closed: {(ours - raw) / (truth - raw):.0%}")
    else:
        print("raw clicks were as good as the judgments: there is no gap to close")


if __name__ == "__main__":
    main()
