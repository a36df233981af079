"""`dialekt compare`: systems, versions, run files, models and endpoints in one table."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import folder_source, serving


def metrics(answer: dict[str, Any]) -> dict[str, float]:
    """Return NDCG@10 by name."""
    return {one["name"]: one["metrics"]["NDCG@10"]["value"] for one in answer["contest"]["standings"]}


def test_systems_are_compared_as_in_the_evaluation(
    project_copy: Path, tmp_path: Path, dialekt: Callable[..., Any]
) -> None:
    """Values equal the result table's; saved runs come back as run files with the same scores."""
    runs = tmp_path / "runs"
    answer = dialekt("compare", "base", "tuned", "bm25", "-p", project_copy, "--save", runs, "--json").json
    evaluated = dialekt("evaluate", "-p", project_copy, "--json").json["stages"][-1]["facts"]["systems"]
    expected = {one["system"]: one["metrics"]["NDCG@10"]["value"] for one in evaluated}
    found = metrics(answer)
    assert found == {name: pytest.approx(expected[name]) for name in ("base", "tuned", "bm25")}
    gain = answer["contest"]["standings"][1]["comparison"]
    assert gain["low"] > 0
    saved = dialekt("compare", "base", f"again={runs / 'tuned.run.gz'}", "-p", project_copy, "--json").json
    assert metrics(saved)["again"] == pytest.approx(found["tuned"])


def test_versions_and_models_are_encoded_once(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """A registered version scores as the tuned system, a folder as the base; the second time nothing is encoded."""
    words = ("compare", f"folder={project_copy / 'base'}", "v1", "-p", project_copy, "--json")
    found = metrics(dialekt(*words).json)
    systems = metrics(dialekt("compare", "base", "tuned", "-p", project_copy, "--json").json)
    assert found["folder"] == pytest.approx(systems["base"], abs=0.005)
    assert found["v1"] == pytest.approx(systems["tuned"], abs=0.005)
    kept = sorted((project_copy / ".dialekt" / "compared").glob("*/documents.npy"))
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == 2
    assert metrics(dialekt(*words).json) == found
    assert [path.stat().st_mtime_ns for path in kept] == stamps


def test_our_own_server_is_an_endpoint_of_both_kinds(
    project_copy: Path, tiny_model: Path, tmp_path: Path, dialekt: Callable[..., Any]
) -> None:
    """The base model behind TEI's and OpenAI's protocol scores as the base system, and its vectors are kept."""
    with serving([folder_source("tiny", tiny_model)], tmp_path / "engines") as served:
        words = (
            "compare", "base", f"tei={'tei:' + served.url}", f"openai={'openai:' + served.url}/v1#tiny",
            "-p", project_copy, "--json",
        )  # fmt: skip
        found = metrics(dialekt(*words).json)
    assert found["tei"] == pytest.approx(found["base"], abs=0.005)
    assert found["openai"] == pytest.approx(found["base"], abs=0.005)
    assert metrics(dialekt(*words).json) == found  # the server is gone


def test_texts_leave_the_machine_only_when_confirmed(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """Where nobody can say yes, nothing is sent, and the size of the errand is said."""
    answer = dialekt("compare", "base", "tei:http://embeddings.invalid", "-p", project_copy)
    assert answer.code == 2
    assert "tokens, go to embeddings.invalid" in " ".join(answer.err.split())
    assert "add --yes" in answer.err


def test_gaps_of_a_foreign_run_are_said(project_copy: Path, tmp_path: Path, dialekt: Callable[..., Any]) -> None:
    """Queries without a result count 0, and the person learns how many."""
    runs = tmp_path / "runs"
    dialekt("compare", "base", "tuned", "-p", project_copy, "--save", runs)
    import gzip

    lines = gzip.decompress((runs / "tuned.run.gz").read_bytes()).decode().splitlines()
    first = lines[0].split()[0]
    (tmp_path / "less.run").write_text("\n".join(line for line in lines if line.split()[0] == first) + "\n")
    answer = dialekt("compare", "tuned", tmp_path / "less.run", "-p", project_copy)
    assert answer.code == 0
    assert "test queries have no result and count 0" in answer.out


def test_a_key_without_an_endpoint_is_refused(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """A key is never sent to a server that was not meant."""
    answer = dialekt("compare", "base", "tuned", "-p", project_copy, "--api-key-variable", "SECRET")
    assert answer.code == 2
    assert "whose key is in SECRET? there are 0 endpoints" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tei:localhost:3000",), "is no address of a server"),
        (("openai:http://127.0.0.1:9/v1",), "names no model"),
        (("tei:http://127.0.0.1:9", "--api-key-variable", "DIALEKT_NO_SUCH_KEY"), "is not set"),
        (("e=tei:http://127.0.0.1:9", "--api-key-variable", "f=HOME"), "there is no endpoint 'f'"),
        (("tuned", "--api-key-variable", "=SECRET"), "whose key is in SECRET?"),
        (("v9",), "there is no version 'v9'"),
        (("bad.run",), "has 3 columns, expected 6"),
        (("twice.run",), "lists a document twice"),
    ],
)
def test_typing_errors_come_before_any_work(
    project_copy: Path,
    dialekt: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    """Nobody waits for a training to learn that an address was wrong."""
    shutil.rmtree(project_copy / ".dialekt")
    (project_copy / "bad.run").write_text("q1 d1 1.0\n")
    (project_copy / "twice.run").write_text("q1 Q0 d1 1 1.0 x\nq1 Q0 d1 2 0.5 x\n")
    monkeypatch.chdir(project_copy)
    answer = dialekt("compare", "base", *words)
    assert answer.code in {1, 2}
    assert message in " ".join(answer.err.split())
    assert not (project_copy / ".dialekt").exists()


def test_a_version_of_another_split_is_said(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """Its training may have seen what it is measured with; one of the same split is above suspicion."""
    words = ("compare", "v1", "again=v1", "-p", project_copy, "--json")
    warning = "was trained with another split: test queries may have been in its training"
    assert not any(warning in one for one in dialekt(*words).json["warnings"])
    found = dialekt(*words, "--set", "split.test_share=0.3").json["warnings"]
    assert [one for one in found if warning in one] == [f"v1 {warning}", f"again {warning}"]
