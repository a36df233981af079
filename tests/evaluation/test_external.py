"""Foreign runs are laid over the test queries, and what does not fit is counted."""

from pathlib import Path

import pytest

from dialekt.errors import InputError
from dialekt.evaluation.external import read_external, read_foreign


def write(folder: Path, *lines: str) -> Path:
    """Write a run file."""
    path = folder / "other.run"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_queries_get_our_order_and_gaps_are_counted(tmp_path: Path) -> None:
    """A missing query finds nothing, a foreign one is left out, an unknown document keeps its rank."""
    path = write(
        tmp_path, "q2 Q0 a 1 2.0 x", "q2 Q0 zzz 2 1.5 x", "q9 Q0 a 1 1 x", "q1 Q0 b 1 0.1 x", "q1 Q0 a 2 0.3 x"
    )
    found = read_external(path, ["q1", "q2", "q3"], ["a", "b"], depth=2)
    names = [[found.run.document_ids[index] for index in row if index >= 0] for row in found.run.indices.tolist()]
    assert names == [["a", "b"], ["a", "zzz"], []]
    assert (found.missing_queries, found.other_queries, found.unknown_documents) == (1, 1, 1)


def test_a_run_of_other_queries_is_refused(tmp_path: Path) -> None:
    """It would silently score 0."""
    with pytest.raises(InputError, match="none of the 1 test queries is in this run"):
        read_external(write(tmp_path, "x Q0 a 1 1 t"), ["q1"], ["a"], depth=10)


def test_a_document_listed_twice_is_refused(tmp_path: Path) -> None:
    """Its gain would count twice."""
    with pytest.raises(InputError, match="lists a document twice for query 'q1'"):
        read_external(write(tmp_path, "q1 Q0 a 1 2 t", "q1 Q0 a 2 1 t"), ["q1"], ["a"], depth=10)


@pytest.mark.parametrize(("name", "message"), [("a.run", "is not valid UTF-8"), ("a.run.gz", "gzip stream is damaged")])
def test_what_is_no_text_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """A binary file given by mistake is named."""
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=message):
        read_foreign(path)
