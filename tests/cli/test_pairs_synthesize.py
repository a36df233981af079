"""`dialekt pairs synthesize`: the gates table, and the question before an LLM is paid."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tests.synthesis.scripted import Endpoint, Reply, endpoint, queries_about

from dialekt.cli import main


@pytest.fixture
def project(small_beir: Path, tiny_model: Path) -> Path:
    """A project with documents and judgments, nothing run yet."""
    home = small_beir.parent
    settings = f'[corpus]\npath = "data"\n\n[model]\nbase = "{tiny_model}"\n\n[synthesis]\nqueries_per_document = 2\n'
    (home / "dialekt.toml").write_text(settings, encoding="utf-8")
    return home


def asked(server: Endpoint) -> list[str]:
    """Return the options for an LLM at this endpoint."""
    values = {"generators": '["llm"]', "base_url": server.url, "llm": "tiny", "max_documents": 5, "input_price": 1}
    return [word for name, value in values.items() for word in ("--set", f"synthesis.{name}={value}")]


def test_made_queries_are_counted_by_gate(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The local generator asks nobody; texts of rejected queries appear only when asked for."""
    words = ["pairs", "synthesize", "--project", str(project), "--set", 'synthesis.generators=["local"]']
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "kept by kind:" in shown
    assert "does not find its own document" in shown
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == "dialekt.pairs-synthesize/1"
    facts = next(stage["facts"] for stage in answer["stages"] if stage["stage"] == "synthesis")
    assert facts["queries"] + sum(row["count"] for row in answer["rejected"]) == sum(facts["made"].values())


def test_nothing_is_paid_when_nobody_can_confirm(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal it is an error that says the cost; `--yes` goes on; done is done and asks no more."""
    with endpoint(lambda body, _: Reply(queries_about(body))) as server:
        words = ["pairs", "synthesize", "--project", str(project), *asked(server)]
        assert main(words) == 2
        assert "5 calls to the LLM: about" in (said := capsys.readouterr().err)
        assert "--yes" in said
        assert not server.requests
        assert main([*words, "--yes"]) == 0
        assert len(server.requests) == 5
        assert "LLM: 5 calls" in capsys.readouterr().out
        assert main(words) == 0
        assert main([*words, "--set", "synthesis.near_duplicate_similarity=0.8"]) == 0
    assert len(server.requests) == 5


@pytest.mark.parametrize(("typed", "calls", "code"), [("y\n", 5, 0), ("n\n", 0, 2)])
def test_a_person_is_asked(project: Path, typed: str, calls: int, code: int) -> None:
    """At a terminal the cost is shown, and the answer decides."""
    with endpoint(lambda body, _: Reply(queries_about(body))) as server:
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "dialekt", "pairs", "synthesize", "--project", str(project), *asked(server)]
        process = subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.write(ours, typed.encode())
        _, said = process.communicate(timeout=100)
        os.close(ours)
        os.close(theirs)
    assert b"Go on?" in said
    assert (len(server.requests), process.returncode) == (calls, code)
