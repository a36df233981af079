"""`dialekt report`: where the page lies, and what to do next."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Dialekt = Callable[..., Any]


def test_the_terminal_says_what_the_page_says(dialekt: Dialekt, finished_project: Path) -> None:
    """The path of the page comes first; every step follows with its evidence, the same as on the page and in JSON."""
    answer = dialekt("report", "--project", finished_project)
    steps = dialekt("report", "--project", finished_project, "--json").json["next_steps"]
    assert answer.out.splitlines()[0] == str(finished_project / "report" / "report.html")
    assert ("What to do next" in answer.out) == bool(steps)
    said = " ".join(answer.out.split())
    page = (finished_project / "report" / "report.md").read_text(encoding="utf-8")
    for number, step in enumerate(steps, start=1):
        assert f"{number}. {step['action']} {step['why']}" in said
        assert f"{number}. **" in page
