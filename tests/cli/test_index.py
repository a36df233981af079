"""`dialekt index`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Dialekt = Callable[..., Any]


def test_from_nothing_to_a_release_and_back(dialekt: Dialekt, project_copy: Path) -> None:
    """Build, migrate, search, roll back, drop: each says what is live."""
    there = ("--project", project_copy)
    assert "dialekt index build" in dialekt("index", "list", *there).err
    built = dialekt("index", "build", "--model", "base", *there)
    assert built.code == 0, built.err
    assert "r1 is live: model base, index i1 (exact)" in built.out
    assert "80 documents or chunks" in built.err
    migrated = dialekt("index", "migrate", "--model", "v1", *there, "--json")
    assert (migrated.code, migrated.json["release"]["name"]) == (0, "r2")
    assert {check["name"] for check in migrated.json["checks"]} == {"rows", "vectors", "recall", "quality"}
    listed = dialekt("index", "list", *there)
    assert "r2 live" in listed.out
    assert "r1 (rollback)" in listed.out
    found = dialekt("index", "search", "solar panel", "-k", "3", *there, "--json").json
    assert (found["release"], len(found["hits"])) == ("r2", 3)
    assert "r1 is live (before: r2)" in dialekt("index", "rollback", "--reason", "try", *there).out
    shown = dialekt("index", "show", *there)
    assert "rollback to r1: try" in shown.out
    assert "✓ rows" in dialekt("index", "verify", *there).out
    assert "removed r2 and the vectors of i2" in dialekt("index", "drop", "r2", *there).out
    assert dialekt("index", "drop", "r1", *there).code == 2


def test_search_takes_filters_and_words(dialekt: Dialekt, project_copy: Path) -> None:
    """A filter that nothing passes finds nothing; an odd one is the user's error."""
    there = ("--project", project_copy)
    dialekt("index", "build", "--model", "base", *there, "--quiet")
    assert "nothing found" in dialekt("index", "search", "pump", "--filter", "lang=xx", *there).out
    hybrid = dialekt("index", "search", "solar panel", "--hybrid", "-k", "2", *there)
    assert hybrid.out.count("\n") == 4
    odd = dialekt("index", "search", "pump", "--filter", "lang", *there)
    assert (odd.code, "FIELD=VALUE" in odd.err) == (2, True)
