"""Every format of a log becomes the same rows; what is damaged is counted, or an error that says where."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.logs.written import taken_in, ubi_event, ubi_query, write_lines

from dialekt.errors import ConfigError, InputError

PAGE = [("shoes", "a", 1, 0.0), ("shoes", "b", 2, 1.0)]
FLAT = "query\tdoc_id\trank\tclicked\tsession\n"


def ubi_page(base: int = 1) -> list[dict[str, object]]:
    """Return a page of two documents, of which the second was clicked."""
    return [
        ubi_query(1, "shoes"),
        ubi_event(1, "impression", "a", base),
        ubi_event(1, "impression", "b", base + 1),
        ubi_event(1, "click", "b", base + 1),
    ]


def test_queries_and_events_in_one_bulk_file(tmp_path: Path) -> None:
    """A `_bulk` export, gzipped, gives the page; its action lines are no lines of the log."""
    rows = [line for row in ubi_page() for line in ({"index": {"_index": "ubi"}}, row)]
    with taken_in(tmp_path, write_lines(tmp_path / "bulk.ndjson.gz", rows)) as log:
        assert log.pages() == PAGE
        assert (log.reading.format, log.reading.lines, log.reading.damaged_lines) == ("ubi", 4, 0)


def test_queries_and_events_in_two_parquet_files(tmp_path: Path) -> None:
    """Nested Parquet columns read as the JSON does, and a folder is all its files."""
    folder = tmp_path / "exports"
    folder.mkdir()
    query, *events = ubi_page()
    pq.write_table(pa.Table.from_pylist([query]), folder / "ubi_queries.parquet")
    pq.write_table(pa.Table.from_pylist(events), folder / "ubi_events.parquet")
    with taken_in(tmp_path, folder) as log:
        assert log.pages() == PAGE
        assert log.reading.files == 2


@pytest.mark.parametrize("base", [0, 1])
def test_ranks_counted_from_zero_or_one(tmp_path: Path, base: int) -> None:
    """Both become ranks from 1, and the intake says which it was."""
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", ubi_page(base))) as log:
        assert log.pages() == PAGE
        assert log.found.ranks_from_zero is (base == 0)


def test_applications_count_each_in_their_own_way(tmp_path: Path) -> None:
    """Two applications in one file, one of which counts from 0: only its ranks move."""
    first = [row | {"application": "one"} for row in ubi_page(1)]
    second = [row | {"application": "two", "query_id": "q2"} for row in ubi_page(0)]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", [*first, *second])) as log:
        assert log.pages() == sorted(PAGE * 2)


def test_ordinal_as_an_object_and_ids_as_numbers(tmp_path: Path) -> None:
    """`{"index": n}` is a rank too, and the id 7 is the id "7"."""
    rows = [ubi_query(1, "shoes"), ubi_event(1, "click", 7, {"index": 1})]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.pages() == [("shoes", "7", 1, 1.0)]


def test_result_lists_stand_for_impressions_that_were_not_logged(tmp_path: Path) -> None:
    """Without impression events, the ids that the engine returned are what was shown, in their order."""
    rows = [ubi_query(1, "shoes", query_response_hit_ids=["a", "b"]), ubi_event(1, "click", "b", 2)]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.pages() == PAGE
        assert log.found.hits_used


def test_event_without_query_id_joins_its_clients_search(tmp_path: Path) -> None:
    """An event that names only the text belongs to the client's last search for it; one that names neither, to none."""
    rows: list[dict[str, object]] = [
        *ubi_page(),
        ubi_event(1, "click", "a", 1, query_id=None, user_query="shoes"),
        ubi_event(1, "click", "a", 1, query_id=""),
    ]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.pages() == [("shoes", "a", 1, 1.0), ("shoes", "b", 2, 1.0)]
        assert log.found.events_without_query == 1


def test_event_whose_query_was_not_logged(tmp_path: Path) -> None:
    """A click that carries its query's text is a search by itself."""
    row = ubi_event(1, "click", "a", 1, user_query="boots")
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", [row])) as log:
        assert log.pages() == [("boots", "a", 1, 1.0)]


def test_repeated_events_count_once(tmp_path: Path) -> None:
    """The same event twice is one row, and the repetition is counted; a click after an impression is none."""
    page = ubi_page()
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", [*page, page[-1], page[1]])) as log:
        assert log.pages() == PAGE
        assert log.found.repeated == 2


def test_highest_action_gives_the_grade(tmp_path: Path) -> None:
    """A purchase says more than the click before it; an action without a grade says nothing and is named."""
    rows = [*ubi_page(), ubi_event(1, "purchase", "b", 2), ubi_event(1, "hover", "a", 1)]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.pages() == [("shoes", "a", 1, 0.0), ("shoes", "b", 2, 3.0)]
        assert log.found.unknown_actions == {"hover": 1}


def test_times_of_many_zones_and_kinds_are_the_same_moment(tmp_path: Path) -> None:
    """Offsets, a missing zone (UTC), seconds, milliseconds and a wrong time in one file."""
    times = [
        "2026-03-01T12:00:00+02:00",
        "2026-03-01T10:00:00",
        "2026-03-01T05:00:00.000-0500",
        1772359200,
        1772359200000,
    ]
    rows = [ubi_query(number, "shoes", timestamp=time) for number, time in enumerate([*times, "yesterday"])]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.rows("SELECT time, count(*) FROM searches GROUP BY 1 ORDER BY 1") == [(1772359200.0, 5), (None, 1)]


@pytest.mark.parametrize("clicked", [("0", "1"), ("false", "true"), ("", "click"), ("impression", "CLICK"), ("0", "2")])
def test_flat_log_says_clicked_in_many_ways(tmp_path: Path, clicked: tuple[str, str]) -> None:
    """Numbers, truth values and action names all tell a click from an impression."""
    path = tmp_path / "log.tsv"
    path.write_text(FLAT + f"shoes\ta\t1\t{clicked[0]}\ts\nshoes\tb\t2\t{clicked[1]}\ts\n", encoding="utf-8")
    with taken_in(tmp_path, path) as log:
        assert log.pages() == PAGE
        assert log.reading.format == "flat"


def test_flat_log_without_actions_holds_clicks(tmp_path: Path) -> None:
    """One row per click: every row is one. Quotes in CSV hold commas and other delimiters are seen."""
    path = tmp_path / "log.csv"
    path.write_text('q;sku\n"red; shoes";a\nboots;b\n', encoding="utf-8")
    with taken_in(tmp_path, path, document_column="sku") as log:
        assert log.pages() == [("boots", "b", None, 1.0), ("red; shoes", "a", None, 1.0)]


@pytest.mark.parametrize(
    ("lines", "query"),
    [('query\tdoc_id\n5" screen\ta\n', '5" screen'), ('"query"\t"doc_id"\n"5"" screen"\t"a"\n', '5" screen')],
    ids=["plain", "quoted"],
)
def test_tab_separated_with_and_without_quotes(tmp_path: Path, lines: str, query: str) -> None:
    """A quotation mark in a plain table is one; a table whose header is quoted is read as quoted."""
    path = tmp_path / "log.tsv"
    path.write_text(lines, encoding="utf-8")
    with taken_in(tmp_path, path) as log:
        assert log.pages() == [(query, "a", None, 1.0)]


def test_flat_parquet_with_typed_columns(tmp_path: Path) -> None:
    """Whole numbers kept as floating ones are ids without a point; truth values and timestamps read as such."""
    table = pa.table(
        {
            "query": ["shoes", "shoes"],
            "doc_id": [1.0, 2.0],
            "rank": [1, 2],
            "clicked": [False, True],
            "timestamp": pa.array([1772359200000] * 2, pa.timestamp("ms")),
            "user_id": [5, 5],
        }
    )
    path = tmp_path / "log.parquet"
    pq.write_table(table, path)
    with taken_in(tmp_path, path) as log:
        assert log.pages() == [("shoes", "1", 1, 0.0), ("shoes", "2", 2, 1.0)]
        assert log.rows("SELECT time, client_no IS NULL FROM searches") == [(1772359200.0, False)]


def test_an_id_of_the_text_is_not_an_id_of_the_page(tmp_path: Path) -> None:
    """Where `query_id` numbers the texts, two clients who typed the same are two searches."""
    rows = [{"query_id": 1, "query": "shoes", "doc_id": "a", "client": name, "clicked": 1} for name in ("x", "y")]
    with taken_in(tmp_path, write_lines(tmp_path / "log.jsonl", rows)) as log:
        assert log.rows("SELECT count(*) FROM searches") == [(2,)]


def test_searches_without_ids_are_told_apart_by_searcher_and_gap(tmp_path: Path) -> None:
    """The rows of one client and text are one search until a gap; then another begins."""
    rows = [
        {"query": "shoes", "doc_id": name, "client": "x", "clicked": 0, "timestamp": 1_700_000_000 + at}
        for name, at in (("a", 0), ("b", 20), ("a", 7200))
    ]
    with taken_in(tmp_path, write_lines(tmp_path / "log.jsonl", rows)) as log:
        assert log.rows("SELECT shown FROM searches ORDER BY time") == [(2,), (1,)]
        assert log.rows("SELECT count(DISTINCT session_no) FROM searches") == [(2,)]


def test_client_holds_a_session_together_where_only_clicks_name_one(tmp_path: Path) -> None:
    """A search without a click and the next one with a click are one session of their client."""
    rows = [
        ubi_query(1, "shos", client_id="x", query_response_hit_ids=["z"]),
        ubi_query(2, "shoes", client_id="x", query_response_hit_ids=["a"], timestamp="2026-03-01T10:01:00Z"),
        ubi_event(2, "click", "a", 1, client_id="x", timestamp="2026-03-01T10:01:30Z"),
    ]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.rows("SELECT count(*), count(DISTINCT session_no) FROM searches") == [(2, 1)]


def test_a_few_damaged_lines_are_counted_and_named(tmp_path: Path) -> None:
    """A cut line, a line that is no object: left out, counted, and the first are named by number."""
    rows: list[dict[str, object] | str] = [*ubi_page(), '{"query_id": "x", "user', "[1]", *ubi_page()]
    with taken_in(tmp_path, write_lines(tmp_path / "log.ndjson", rows)) as log:
        assert log.pages() == PAGE
        assert log.reading.damaged_lines == 2
        assert "2 of 10 lines are damaged" in log.reading.warnings[0]
        assert "at line 5, 6" in log.reading.warnings[0]


def test_damaged_lines_of_a_table_are_counted(tmp_path: Path) -> None:
    """Lines with too few or too many columns, or invalid UTF-8, are left out by number."""
    path = tmp_path / "log.csv"
    good = b"shoes,a,1,0\n" * 20
    path.write_bytes(b"query,doc_id,rank,clicked\n" + good + b"shoes,a\nshoes,a,1,0,9,9\ncaf\xe9,a,1,0\n")
    with taken_in(tmp_path, path) as log:
        assert log.reading.damaged_lines == 3
        assert "at line 22, 23, 24" in log.reading.warnings[0]


def test_a_mostly_damaged_file_is_an_error(tmp_path: Path) -> None:
    """More than a few damaged lines mean that this is no log: file and line are named."""
    path = write_lines(tmp_path / "log.ndjson", [*ubi_page(), *["nonsense"] * 20])
    with pytest.raises(InputError, match=r"log\.ndjson:5: 20 of 24 lines are damaged"), taken_in(tmp_path, path):
        pass


@pytest.mark.parametrize("name", ["log.ndjson.gz", "log.tsv.gz"])
def test_truncated_gzip_is_an_error_with_its_line(tmp_path: Path, name: str) -> None:
    """A copy that broke off is said so, with the line that the file ends in."""
    text = FLAT + "".join(f"shoes {number}\tdoc {number}\t1\t1\ts\n" for number in range(20_000))
    if "ndjson" in name:
        text = "".join(f'{{"query_id": "{number}", "user_query": "shoes {number}"}}\n' for number in range(20_000))
    content = gzip.compress(text.encode())
    path = tmp_path / name
    path.write_bytes(content[: len(content) // 2])
    with (
        pytest.raises(InputError, match=rf"{name}:\d+: the gzip stream is damaged or cut short"),
        taken_in(tmp_path, path),
    ):
        pass


def test_absurdly_long_line_is_an_error_with_its_line(tmp_path: Path) -> None:
    """A line of more than 16 MiB is never read whole; the error names it."""
    path = write_lines(tmp_path / "log.ndjson", [*ubi_page(), '{"query_id": "' + "x" * 40_000_000 + '"}', *ubi_page()])
    with pytest.raises(InputError, match=r"log\.ndjson:5: the line is longer than 16 MiB"), taken_in(tmp_path, path):
        pass


def test_missing_files_and_columns_say_what_is_there(tmp_path: Path) -> None:
    """No such file, no known suffix, no document column, a misspelled column: each says what to do."""
    path = write_lines(tmp_path / "log.jsonl", [{"query": "shoes", "sku": "a"}])
    with pytest.raises(InputError, match="there is no such file"), taken_in(tmp_path, tmp_path / "none.csv"):
        pass
    (tmp_path / "log.xlsx").touch()
    with (
        pytest.raises(InputError, match=r"'\.xlsx' is not a kind of log file"),
        taken_in(tmp_path, tmp_path / "log.xlsx"),
    ):
        pass
    with pytest.raises(InputError, match="no column for the document; found query, sku"), taken_in(tmp_path, path):
        pass
    with (
        pytest.raises(ConfigError, match="'skuu': the log has no such column"),
        taken_in(tmp_path, path, document_column="skuu"),
    ):
        pass


def test_globs_find_files(tmp_path: Path) -> None:
    """`*` and `**` stand for names, and a file that two patterns name is read once."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    for number, folder in enumerate((tmp_path / "a", tmp_path / "a" / "b")):
        write_lines(folder / "log.jsonl", [{"query": "shoes", "doc_id": f"d{number}"}])
    with taken_in(tmp_path, tmp_path / "a" / "**" / "*.jsonl", tmp_path / "a" / "*.jsonl") as log:
        assert log.reading.files == 2
