"""Simulated searches → a log file as a search box would have left it, and beside it what was true."""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dialekt.errors import UsageError
from dialekt.logs.simulation import Block, Simulation, Truth, simulate
from dialekt.store.atomic import PARTIAL_SUFFIX, disk_errors, write_atomic
from dialekt.store.rows import bare_suffix
from dialekt.types import Progress, ReportProgress, no_progress

TRUTH_SUFFIX = ".truth.json"
FLAT_SUFFIXES = (".tsv", ".csv", ".parquet")
UBI_SUFFIXES = (".ndjson", ".jsonl")
EVENT_MILLISECONDS = 900  # between a page and each of its clicks


@dataclass(frozen=True, slots=True)
class SimulationFacts:
    """What was simulated. The ids of bots stand in the truth file, not in the log."""

    queries: int
    searches: int
    impressions: int
    clicks: int
    clicks_on_positives: int
    sessions: int
    bot_searches: int
    bot_sessions: int


@dataclass(slots=True)
class _Tally:
    impressions: int = 0
    clicks: int = 0
    clicks_on_positives: int = 0
    searches: int = 0
    bot_searches: int = 0


def write_log(
    truth: Truth, settings: Simulation, path: Path, *, dwell: bool = True, progress: ReportProgress = no_progress
) -> SimulationFacts:
    """Simulate into a log file: UBI for `.ndjson`, one row per impression for `.tsv`, `.csv`, `.parquet`; or `.gz`.

    Beside it, `<path>.truth.json` names the bots and the settings. `dwell` says whether the log has dwell times.
    """
    check_name(path)
    tally, bots, sessions, bot_sessions = _Tally(), set[str](), set[int](), set[int]()
    total = round(settings.sessions * settings.searches_per_session / (1 - settings.bots))

    def watched() -> Iterator[Block]:
        for block in simulate(truth, settings):
            is_bot = block.sessions.kind > 0
            _count(tally, truth, block)
            bots.update(_ids("c", block.sessions.client[is_bot], settings))
            sessions.update(np.unique(block.sessions.session[~is_bot]).tolist())
            bot_sessions.update(np.unique(block.sessions.session[is_bot]).tolist())
            yield block
            progress(Progress("simulating searches", tally.searches, max(total, tally.searches)))

    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + PARTIAL_SUFFIX)
        write = _write_ubi if bare_suffix(path) in UBI_SUFFIXES else _write_flat
        try:
            write(partial, watched(), truth, settings, dwell=dwell)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    facts = SimulationFacts(
        queries=len(truth.queries),
        searches=tally.searches,
        impressions=tally.impressions,
        clicks=tally.clicks,
        clicks_on_positives=tally.clicks_on_positives,
        sessions=len(sessions),
        bot_searches=tally.bot_searches,
        bot_sessions=len(bot_sessions),
    )
    known = {"settings": asdict(settings), "facts": asdict(facts), "bot_clients": sorted(bots)}
    write_atomic(path.with_name(path.name + TRUTH_SUFFIX), json.dumps(known, indent=1) + "\n")
    return facts


def check_name(path: Path) -> None:
    """Raise `UsageError` when the file's name tells no format."""
    suffix = bare_suffix(path)
    if suffix not in (*FLAT_SUFFIXES, *UBI_SUFFIXES) or (suffix == ".parquet" and path.suffix == ".gz"):
        raise UsageError(
            f"{path.name!r} names no format of a log",
            hint="end it in .ndjson (UBI), .tsv, .csv (one row per impression), each also with .gz, or .parquet",
        )


def _count(tally: _Tally, truth: Truth, block: Block) -> None:
    people = block.sessions.kind == 0
    good = np.zeros(len(truth.document_ids) + 1, dtype=bool)
    tally.searches += len(people)
    tally.bot_searches += int((~people).sum())
    tally.impressions += int((block.document >= 0).sum())
    tally.clicks += int(block.clicked.sum())
    for row in np.flatnonzero(block.clicked.any(axis=1)):
        query = block.sessions.query[row]
        positives = truth.candidates[query][truth.grades[query] > 0]
        good[positives] = True
        tally.clicks_on_positives += int(good[block.document[row][block.clicked[row]]].sum())
        good[positives] = False


def _ids(prefix: str, numbers: NDArray[np.int64], settings: Simulation) -> list[str]:
    """Return ids that do not tell a machine from a person: the numbers, scrambled one to one."""
    scrambled = (numbers.astype(np.uint64) * np.uint64(2_654_435_761) + np.uint64(settings.seed + 97)) & np.uint64(
        0xFFFF_FFFF
    )
    return [f"{prefix}{number:08x}" for number in scrambled.tolist()]


def _write_ubi(path: Path, blocks: Iterable[Block], truth: Truth, settings: Simulation, *, dwell: bool) -> None:
    with _open(path) as file:
        for block in blocks:
            file.writelines(line.encode() for line in _ubi_lines(block, truth, settings, dwell=dwell))


def _ubi_lines(block: Block, truth: Truth, settings: Simulation, *, dwell: bool) -> Iterator[str]:
    clients = _ids("c", block.sessions.client, settings)
    sessions = _ids("s", block.sessions.session, settings)
    for row, (client, session) in enumerate(zip(clients, sessions, strict=True)):
        shown = [truth.document_ids[number] for number in block.document[row].tolist() if number >= 0]
        search = f"q{block.first_search + row:09d}"
        text, time = truth.queries[block.sessions.query[row]], block.sessions.time[row]
        query = {
            "application": "simulation",
            "query_id": search,
            "client_id": client,
            "user_query": text,
            "timestamp": _moment(time),
            "query_response_hit_ids": shown,
        }
        yield json.dumps(query, ensure_ascii=False) + "\n"
        for order, place in enumerate(np.flatnonzero(block.clicked[row]).tolist(), start=1):
            attributes: dict[str, object] = {
                "object": {"object_id": shown[place], "object_id_field": "_id"},
                "position": {"ordinal": place + 1},
            }
            if dwell:
                attributes["dwell_seconds"] = round(float(block.dwell[row, place]), 1)
            event = {
                "application": "simulation",
                "action_name": "click",
                "query_id": search,
                "session_id": session,
                "client_id": client,
                "user_query": text,
                "timestamp": _moment(time + order * EVENT_MILLISECONDS / 1000),
                "event_attributes": attributes,
            }
            yield json.dumps(event, ensure_ascii=False) + "\n"


def _moment(seconds: float) -> str:
    return str(np.datetime64(round(seconds * 1000), "ms")) + "Z"


def _write_flat(path: Path, blocks: Iterable[Block], truth: Truth, settings: Simulation, *, dwell: bool) -> None:
    tables = (_flat_table(block, truth, settings, dwell=dwell) for block in blocks)
    first = next(tables)
    name = path.name.removesuffix(PARTIAL_SUFFIX)
    if name.endswith(".parquet"):
        with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table)
        return
    options = pyarrow.csv.WriteOptions(delimiter="\t" if bare_suffix(Path(name)) == ".tsv" else ",")
    with _open(path) as file, pyarrow.csv.CSVWriter(file, first.schema, write_options=options) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def _flat_table(block: Block, truth: Truth, settings: Simulation, *, dwell: bool) -> pa.Table:
    """Return one row for each document shown."""
    row, place = np.nonzero(block.document >= 0)
    moments = pa.array((block.sessions.time * 1000).round().astype("datetime64[ms]"))
    searches = pa.array([f"q{block.first_search + number:09d}" for number in range(len(block.document))])
    texts = pa.array([" ".join(truth.queries[number].split()) for number in block.sessions.query.tolist()])
    columns = {
        "search_id": searches.take(row),
        "timestamp": pc.strftime(moments, "%Y-%m-%dT%H:%M:%SZ").take(row),
        "session_id": pa.array(_ids("s", block.sessions.session, settings)).take(row),
        "client_id": pa.array(_ids("c", block.sessions.client, settings)).take(row),
        "query": texts.take(row),
        "doc_id": pa.array(truth.document_ids).take(block.document[row, place]),
        "rank": pa.array(place + 1),
        "clicked": pa.array(block.clicked[row, place].astype(np.int8)),
    }
    if dwell:
        clicked = block.clicked[row, place]
        columns["dwell_seconds"] = pa.array(block.dwell[row, place].round(1), mask=~clicked)
    return pa.table(columns)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    """Open the partial file of a log; one that will end in `.gz` is compressed, without the clock in its header."""
    with path.open("wb") as plain:
        if not path.name.removesuffix(PARTIAL_SUFFIX).endswith(".gz"):
            yield plain
            return
        with gzip.GzipFile(filename="", fileobj=plain, mode="wb", compresslevel=4, mtime=0) as packed:
            yield packed  # type: ignore[misc]
