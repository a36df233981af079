"""`dialekt diagnose`: a verdict, its evidence on a page, and no text of a query."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUICK = ("--set", "diagnosis.minutes=3", "--set", "diagnosis.seeds=1", "--set", "diagnosis.share=0.5")


def test_it_prints_a_verdict_and_writes_the_page(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """The verdict stands first, the systems without tuning follow, and both pages are written."""
    answer = dialekt("diagnose", "--project", project_copy, "--quiet", *QUICK)
    assert answer.code == 0
    assert answer.out.split()[0] in {"Fine-tune:", "Gather", "Not"}
    assert "perfect reranker" in answer.out
    page = (project_copy / "report" / "diagnosis.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert (project_copy / "report" / "diagnosis.md").is_file()


def test_neither_facts_nor_pages_hold_a_query(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """Queries are personal: none of their texts is in the answer or on the page."""
    answer = dialekt("diagnose", "--project", project_copy, "--json", *QUICK)
    page = (project_copy / "report" / "diagnosis.html").read_text(encoding="utf-8")
    lines = (project_copy / "data" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert answer.json["decision"] in {"fine-tune", "gather data first", "not worth it"}
    assert not [text for text in texts if text in answer.out or text in page]


def test_documents_alone_are_diagnosed(project_copy: Path, dialekt: Callable[..., Any]) -> None:
    """Without queries the exit code is still 0, and the verdict says what is missing."""
    (project_copy / "data" / "queries.jsonl").unlink()
    (project_copy / "data" / "qrels" / "all.tsv").unlink()
    answer = dialekt("diagnose", "--project", project_copy, "--quiet", *QUICK)
    assert answer.code == 0
    assert "Gather data first: there are no queries" in answer.out
