"""Every objective and every saving on the same sets, side by side: quality, time, memory, size.

    python benchmarks/recipes.py --beir FOLDER [FOLDER ...] --folder DIR          # all ways, one seed
    python benchmarks/recipes.py --beir FOLDER ... --ways ranking lora --seeds 3

Of each set a sample is taken (`--documents`, `--train`, `--test`), the journey runs to the mined negatives once, and
each way then trains from there, with equal pairs and passes unless its settings say otherwise. Every way is a process
of its own, `dialekt evaluate`. Printed are NDCG@10 on test (mean over seeds), the gain over the base with its paired
interval (first seed), seconds of processor time that training took, the most memory of the process, and the numbers
that are trained. Finished ways are not trained again.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialekt.store.rows import read_rows

TEACHER = ('teacher.model="trained"', 'teacher.uses=["distil"]', "teacher.minimum_gain=-1")
WAYS: Mapping[str, tuple[str, ...]] = {
    "ranking": (),
    "symmetric": ('training.objectives="symmetric"',),
    "triplet": ('training.objectives="triplet"',),
    "cosine": ('training.objectives="cosine"', "training.hard_negatives=3"),
    "cosent": ('training.objectives="cosent"', "training.hard_negatives=3"),
    "ranking + cosent": ("training.objectives={ranking = 1.0, cosent = 0.5}",),
    "listwise": ('training.objectives="listwise"', *TEACHER),
    "margin_mse": ('training.objectives="margin_mse"', *TEACHER),
    "ranking + listwise": TEACHER,
    "masked above .95": ("training.mask_above=0.95",),
    "no Matryoshka": ("model.matryoshka_dimensions=[]",),
    "lora": ('training.method="lora"',),
    "embeddings frozen": ("training.freeze_embeddings=true",),
    "3 layers frozen": ("training.frozen_layers=3",),
    "query side": ('training.side="query"',),
    "adapter": ('training.method="adapter"',),
    "adapter, mlp": ('training.method="adapter"', 'adapter.kind="mlp"'),
}
DISTILLED = "embedding"
"""The way that learns from the model which `ranking` tuned: the larger model of a machine without one."""

FIXED = ('evaluation.general="off"', "training.interpolate=false")


@dataclass(frozen=True)
class Sizes:
    """How much of a set is taken."""

    documents: int
    train: int
    test: int


@dataclass(frozen=True)
class Outcome:
    """One way with one seed: the facts of its training and evaluation, and what the process used."""

    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    model: Path
    processor_seconds: float
    memory_mib: float

    def ndcg(self, system: str) -> float:
        """NDCG@10 of a system on test."""
        return next(
            float(one["metrics"]["NDCG@10"]["value"]) for one in self.evaluation["systems"] if one["system"] == system
        )

    @property
    def gain(self) -> str:
        """Tuned minus base, with its interval."""
        found = next(
            one
            for one in self.evaluation["comparisons"]
            if (one["system"], one["against"], one["metric"]) == ("tuned", "base", "NDCG@10")
        )
        return f"{found['difference']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def main() -> None:
    """Run all ways on all sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--beir", type=Path, nargs="+", required=True, help="BEIR folders with train and test judgments"
    )
    parser.add_argument("--folder", type=Path, required=True, help="where to work")
    parser.add_argument("--ways", nargs="+", default=[*WAYS, DISTILLED], choices=[*WAYS, DISTILLED], metavar="WAY")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--train", type=int, default=2_000)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every way")
    arguments = parser.parse_args()
    print("| set | way | NDCG@10 | gain over base | processor s | MiB | trained |\n|---|---|---|---|---|---|---|")
    for beir in arguments.beir:
        home = arguments.folder / beir.name
        _write_sample(beir, home, Sizes(arguments.documents, arguments.train, arguments.test))
        for way in arguments.ways:
            settings = WAYS.get(way) or _settings_of(way, home, arguments.set)
            found = [_run(home, [*FIXED, *settings, *arguments.set], seed) for seed in range(1, arguments.seeds + 1)]
            _report(beir.name, way, found)


def _settings_of(way: str, home: Path, given: Sequence[str]) -> tuple[str, ...]:
    """Return the settings of a way that needs another one's model."""
    if way != DISTILLED:
        return ()
    model = _run(home, [*FIXED, *given], 1).model
    return ('training.objectives="embedding"', f'training.distil_from="{model}"')


def _run(home: Path, settings: Sequence[str], seed: int) -> Outcome:
    """Run one way in a process of its own; training is repeated in none that is finished."""
    words = [word for setting in (*settings, f"training.seed={seed}") for word in ("--set", setting)]
    command = [sys.executable, "-m", "dialekt", "evaluate", "--project", str(home), "--json", "--quiet", *words]
    out = home / "answer.json"
    with out.open("wb") as file:
        process = subprocess.Popen(command, stdout=file)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    stages = {one["stage"]: one for one in json.loads(out.read_text(encoding="utf-8"))["stages"]}
    noted = home / "used" / f"{stages['training']['key']}.json"
    if stages["training"]["status"] == "done":
        noted.parent.mkdir(exist_ok=True)
        noted.write_text(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), encoding="utf-8")
    seconds, memory = json.loads(noted.read_text(encoding="utf-8"))
    folder = Path(stages["training"]["folder"]) / "model"
    return Outcome(stages["training"]["facts"], stages["evaluation"]["facts"], folder, seconds, memory)


def _report(name: str, way: str, found: Sequence[Outcome]) -> None:
    first = found[0]
    scores = [one.ndcg("tuned") for one in found]
    spread = f" ({min(scores):.3f} to {max(scores):.3f})" if len(scores) > 1 else ""
    print(
        f"| {name}, base {first.ndcg('base'):.3f} | {way} | {sum(scores) / len(scores):.3f}{spread} | {first.gain} "
        f"| {first.processor_seconds:.0f} | {first.memory_mib:,.0f} | {first.training['trained_weights']:,} |",
        flush=True,
    )


def _write_sample(beir: Path, home: Path, sizes: Sizes) -> None:
    """Write a project over a sample: judged documents first, then others until there are enough."""
    if (home / "dialekt.toml").is_file():
        return
    draw = random.Random(5)
    judged = {split: _judgments(beir, split) for split in ("train", "dev", "test")}
    most = {"train": sizes.train, "dev": 200, "test": sizes.test}
    kept = {split: _some_queries(rows, most[split], draw) for split, rows in judged.items()}
    wanted = {document for rows in kept.values() for _, document, _ in rows}
    corpus = list(_records(beir, "corpus.jsonl"))
    others = [row["_id"] for row in corpus if row["_id"] not in wanted]
    draw.shuffle(others)
    wanted |= set(others[: max(0, sizes.documents - len(wanted))])
    asked = {query for rows in kept.values() for query, _, _ in rows}
    (home / "data" / "qrels").mkdir(parents=True)
    _write(home / "data" / "corpus.jsonl", (row for row in corpus if row["_id"] in wanted))
    _write(home / "data" / "queries.jsonl", (row for row in _records(beir, "queries.jsonl") if row["_id"] in asked))
    for split, rows in kept.items():
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(row) for row in rows)]
        (home / "data" / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (home / "dialekt.toml").write_text('[corpus]\npath = "data"\n', encoding="utf-8")


def _judgments(beir: Path, split: str) -> list[tuple[str, str, str]]:
    rows = (row.values for row in read_rows(beir / "qrels" / f"{split}.tsv"))
    return [(str(row["query-id"]), str(row["corpus-id"]), str(row["score"])) for row in rows]


def _some_queries(rows: list[tuple[str, str, str]], most: int, draw: random.Random) -> list[tuple[str, str, str]]:
    queries = sorted({query for query, _, _ in rows})
    chosen = set(draw.sample(queries, min(most, len(queries))))
    return [row for row in rows if row[0] in chosen]


def _records(beir: Path, name: str) -> Iterator[dict[str, Any]]:
    path = beir / name if (beir / name).is_file() else beir / f"{name}.gz"
    raw = path.read_bytes()
    yield from map(json.loads, (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines())


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
