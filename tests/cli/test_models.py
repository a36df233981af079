"""`dialekt models`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Dialekt = Callable[..., Any]


def test_a_proven_version_is_promoted_and_rolled_back(dialekt: Dialekt, project_copy: Path) -> None:
    """A gain whose interval lies above zero passes the gate; without an earlier champion there is no way back."""
    promoted = dialekt("models", "promote", "v1", "--project", project_copy, "--json")
    assert (promoted.code, promoted.json["version"]) == (0, "v1")
    listed = dialekt("models", "list", "--project", project_copy)
    assert "v1 champion" in listed.out
    assert dialekt("models", "list", "--project", project_copy, "--json").json["champion"] == "v1"
    back = dialekt("models", "rollback", "--project", project_copy)
    assert back.code == 1
    assert "no version was promoted before" in back.err


def test_the_gate_says_no_with_exit_code_3(dialekt: Dialekt, project_copy: Path) -> None:
    """A gain below the demanded one is refused with the reason; an override is recorded."""
    words = ["models", "promote", "v1", "--project", project_copy, "--set", "registry.minimum_gain=0.99"]
    refused = dialekt(*words, "--json")
    assert (refused.code, refused.json["exit_code"]) == (3, 3)
    assert "was not promoted" in refused.json["error"]
    assert "--override" in refused.json["hint"]
    overruled = dialekt(*words, "--override", "the board wants it", "--json")
    assert (overruled.code, overruled.json["reason"]) == (0, "the board wants it")
    assert overruled.json["overridden"]


def test_show_tells_origin_evidence_and_verdict(dialekt: Dialekt, finished_project: Path) -> None:
    """The newest version is shown unless one is named; JSON holds lineage and evidence."""
    out = dialekt("models", "show", "--project", finished_project).out
    assert "promotable" in out
    facts = dialekt("models", "show", "v1", "--project", finished_project, "--json").json
    assert facts["schema"] == "dialekt.models.show/1"
    assert facts["promotable"] is True
    assert facts["lineage"]["artefacts"]["training"]
    assert facts["evidence"]["gain"]["low"] > 0


def test_an_unknown_version_names_the_nearest(dialekt: Dialekt, finished_project: Path) -> None:
    """A wrong name is the user's error, with a hint."""
    answer = dialekt("models", "show", "v11", "--project", finished_project)
    assert answer.code == 1
    assert "did you mean 'v1'?" in answer.err


def test_export_copies_a_model_that_loads(dialekt: Dialekt, finished_project: Path, tmp_path: Path) -> None:
    """The exported folder is a model of its own; an existing folder is not touched."""
    from dialekt.models.contract import read_contract

    out = tmp_path / "exported"
    answer = dialekt("models", "export", "v1", out, "--project", finished_project, "--json")
    assert answer.json["folder"] == str(out)
    assert read_contract(out).dimension == 32
    again = dialekt("models", "export", "v1", out, "--project", finished_project)
    assert (again.code, "is there already" in again.err) == (2, True)


def test_an_empty_registry_says_how_to_fill_it(dialekt: Dialekt, tmp_path: Path) -> None:
    """Before the first run there is nothing to list, and that is no error."""
    dialekt("init", tmp_path)
    answer = dialekt("models", "list", "--project", tmp_path)
    assert (answer.code, "dialekt run" in answer.out) == (0, True)
