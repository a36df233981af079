"""The search log: what the server writes, and that the log room learns from it."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.logs.written import taken_in
from tests.serving.conftest import Served
from tests.serving.searching import TEXTS, build_index, searching

from dialekt.config import SearchConfig, SearchLog
from dialekt.serving.ubi import Searched, UbiLog

EVENT = {"action_name": "click", "timestamp": "2026-11-02T09:30:00Z"}


def _config(folder: Path, mode: SearchLog = SearchLog.TEXTS, **settings: Any) -> SearchConfig:
    return SearchConfig(log=mode, log_path=folder, **settings)


def _lines(folder: Path, pattern: str = "*.ndjson") -> list[dict[str, Any]]:
    lines = [line for file in sorted(folder.glob(pattern)) for line in file.read_text("utf-8").splitlines()]
    return [json.loads(line) for line in lines]


def _click(query_id: str, document: str, *, rank: int, client: str) -> dict[str, Any]:
    return {
        "action_name": "click",
        "query_id": query_id,
        "client_id": client,
        "timestamp": datetime.now(UTC).isoformat(),
        "event_attributes": {"object": {"object_id": document}, "position": {"ordinal": rank}, "dwell_seconds": 40},
    }


def _search_and_click(served: Served, query: str, *, client: str) -> str:
    """Search as a client and click the second result; return its id."""
    body = served.post("/search", {"query": query, "client_id": client, "application": "shop"}).json()
    second = body["hits"][1]["id"]
    answer = served.post("/ubi/events", _click(body["query_id"], second, rank=2, client=client))
    assert answer.json() == {"written": 1}
    return str(second)


def test_the_circle_closes(tiny_model: Path, tmp_path: Path) -> None:
    """Searches and clicks over HTTP are what the log room reads: every query, what was shown, and what was clicked."""
    folder, queries = tmp_path / "log", ("pump valve leak", "bake bread", "refund of a payment")
    index = build_index(tmp_path / "index", tiny_model)
    with searching(index, tiny_model, search=_config(folder)) as served:
        clicked = {
            query: {_search_and_click(served, query, client=f"c{number}") for number in range(3)} for query in queries
        }
    with taken_in(tmp_path, folder) as found:
        assert found.reading.format == "ubi"
        assert found.reading.damaged_lines == 0
        pages = found.pages()
    assert {page[0] for page in pages} == set(queries)
    assert len(pages) == len(queries) * 3 * len(TEXTS)
    for query in queries:
        assert {document for text, document, _, grade in pages if text == query and grade > 0} == clicked[query]
        assert {rank for text, _, rank, grade in pages if text == query and grade > 0} == {2}


def test_without_texts_there_are_ids_only(tiny_model: Path, tmp_path: Path) -> None:
    """`ids` keeps neither queries nor messages nor free words of an event; joining by id still works."""
    folder = tmp_path / "log"
    index = build_index(tmp_path / "index", tiny_model)
    with searching(index, tiny_model, search=_config(folder, SearchLog.IDS)) as served:
        body = served.post("/search", {"query": "secret pump", "k": 2, "client_id": "c1"}).json()
        event = _click(body["query_id"], "pump", rank=1, client="c1")
        event |= {"user_query": "secret pump", "message": "secret", "note": "secret"}
        event["event_attributes"] |= {"comment": "secret", "object": {"object_id": "pump", "name": "secret"}}
        assert served.post("/ubi/events", [event, EVENT]).json() == {"written": 2}
    written = "".join(file.read_text("utf-8") for file in folder.iterdir())
    assert "secret" not in written
    (query,), events = _lines(folder, "ubi_queries*"), _lines(folder, "ubi_events*")
    assert query["query_response_hit_ids"] == [hit["id"] for hit in body["hits"]]
    assert query["query_attributes"]["release"] == "r1"
    assert (query["query_id"], query["client_id"]) == (events[0]["query_id"], "c1")
    assert events[0]["event_attributes"] == {
        "object": {"object_id": "pump"}, "position": {"ordinal": 1}, "dwell_seconds": 40
    }  # fmt: skip


def test_events_line_by_line_and_odd_ones(tiny_model: Path, tmp_path: Path) -> None:
    """NDJSON is taken; an event that is none is named by its place, and nothing of the request is kept."""
    folder = tmp_path / "log"
    index = build_index(tmp_path / "index", tiny_model)
    with searching(index, tiny_model, search=_config(folder)) as served:
        lines = "\n".join(json.dumps(EVENT | {"session_id": f"s{number}"}) for number in range(3)) + "\n"
        typed = {"content-type": "application/x-ndjson"}
        assert served.client.post("/ubi/events", content=lines, headers=typed).json() == {"written": 3}
        odd = served.post("/ubi/events", [EVENT, EVENT | {"timestamp": "yesterday"}])
        assert odd.status_code == 422
        assert "event 2" in odd.json()["error"]
        assert "timestamp" in odd.json()["error"]
        assert served.post("/ubi/events", [{"timestamp": EVENT["timestamp"]}]).status_code == 422
        assert served.post("/ubi/events", EVENT | {"query_id": "q" * 101}).status_code == 422
        assert served.client.post("/ubi/events", content="{\n{}", headers=typed).status_code == 400
        assert served.client.post("/search", content="{}", headers=typed).status_code == 415
    assert [event["session_id"] for event in _lines(folder)] == ["s0", "s1", "s2"]


def test_a_log_that_is_off_keeps_nothing_and_says_so(tiny_model: Path, tmp_path: Path) -> None:
    """Whoever sends events to a server that keeps none is warned."""
    index = build_index(tmp_path / "index", tiny_model)
    with searching(index, tiny_model, search=_config(tmp_path / "log", SearchLog.OFF)) as served:
        served.post("/search", {"query": "pump"})
        answer = served.post("/ubi/events", EVENT)
        assert answer.json() == {"written": 0}
        assert "search.log is off" in answer.headers["x-dialekt-warning"]
    assert not (tmp_path / "log").exists()


def test_files_are_closed_by_size_and_by_day(tmp_path: Path) -> None:
    """A file never outgrows its limit by more than a request, and no file holds two days."""
    days = itertools.chain(
        [datetime(2026, 3, 1, 23, 59, tzinfo=UTC) + timedelta(minutes=2 * step) for step in range(2)]
    )
    times = itertools.chain(days, itertools.repeat(datetime(2026, 3, 2, 12, tzinfo=UTC)))
    log = UbiLog(_config(tmp_path, log_file_bytes=1_000), now=lambda: next(times))
    for number in range(20):
        log.write_events([EVENT | {"session_id": f"s{number:03}"}])
    log.close()
    files = sorted(tmp_path.iterdir())
    assert files[0].name == "ubi_events-20260301T235900Z-1.ndjson"
    assert len(_lines(tmp_path, "ubi_events-20260301*")) == 1
    assert len(files) > 2
    assert all(file.stat().st_size <= 1_000 for file in files)
    assert sorted(event["session_id"] for event in _lines(tmp_path)) == [f"s{number:03}" for number in range(20)]


def test_a_file_that_somebody_deleted_is_begun_anew(tmp_path: Path) -> None:
    """What is written after a deletion is in a file again."""
    log = UbiLog(_config(tmp_path))
    log.write_events([EVENT | {"session_id": "lost"}])
    for file in tmp_path.iterdir():
        file.unlink()
    log.write_events([EVENT | {"session_id": "kept"}])
    log.close()
    assert [event["session_id"] for event in _lines(tmp_path)] == ["kept"]


def test_two_servers_write_files_of_their_own(tmp_path: Path) -> None:
    """Servers that share a folder never write into the same file, even when they begin in the same second."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    logs = [UbiLog(_config(tmp_path), now=lambda: moment) for _ in range(2)]
    for number, log in enumerate(logs):
        log.write_queries([Searched(f"q{number}", "pump", ("a",), {})])
        log.close()
    assert [file.name[-8:] for file in sorted(tmp_path.iterdir())] == ["1.ndjson", "2.ndjson"]
    assert [row["query_id"] for row in _lines(tmp_path)] == ["q0", "q1"]


def test_half_a_line_of_a_killed_server_is_passed_over(tmp_path: Path) -> None:
    """What was answered is there; the line that was being written is counted as damaged."""
    log = UbiLog(_config(tmp_path))
    for number in range(5):
        log.write_queries([Searched(f"q{number}", "pump valve", ("a", "b"), {}, client_id=f"c{number}")])
        log.write_events([_click(f"q{number}", "a", rank=1, client=f"c{number}")])
    log.close()
    (file,) = tmp_path.glob("ubi_queries*")
    file.write_bytes(file.read_bytes() + b'{"query_id": "q9", "user_que')
    with taken_in(tmp_path / "work", tmp_path) as found:
        assert found.reading.damaged_lines == 1
        assert len(found.pages()) == 10


def test_a_log_that_cannot_be_written_fails_no_search(tiny_model: Path, tmp_path: Path) -> None:
    """A file lies where the folder belongs: searches are answered, events are refused."""
    (tmp_path / "log").write_text("", encoding="utf-8")
    index = build_index(tmp_path / "index", tiny_model)
    with searching(index, tiny_model, search=_config(tmp_path / "log")) as served:
        assert served.post("/search", {"query": "pump"}).status_code == 200
        refused = served.post("/ubi/events", EVENT)
        assert (refused.status_code, refused.json()["error_type"]) == (503, "Unhealthy")


@pytest.mark.parametrize("ordinal", [3, {"index": 3}])
def test_ranks_in_both_of_the_forms_that_collectors_write(tmp_path: Path, ordinal: Any) -> None:
    """A rank may be a number or an object with an index; where only ids are kept it is a number."""
    log = UbiLog(_config(tmp_path, SearchLog.IDS))
    log.write_events([EVENT | {"event_attributes": {"position": {"ordinal": ordinal, "words": "secret"}}}])
    log.close()
    assert _lines(tmp_path)[0]["event_attributes"] == {"position": {"ordinal": 3}}
