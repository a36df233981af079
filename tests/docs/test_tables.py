"""Tables that repeat what the code knows."""

import json
import re
from pathlib import Path

import pytest
from tests.docs.reading import REPOSITORY, rows

from dialekt.config import JudgmentsFormat
from dialekt.evaluation.records import MAIN_SYSTEMS
from dialekt.flow.records import StageName
from dialekt.logs.layout import USUAL_NAMES
from dialekt.logs.records import RULE_MEANINGS
from dialekt.measures.metrics import METRICS
from dialekt.negatives.rules import MEANINGS
from dialekt.pairs.exports.names import ExportLayout
from dialekt.pairs.exports.table import LAYOUTS
from dialekt.pairs.formats.table import detect
from dialekt.pairs.split import minimum_detectable_effect
from dialekt.synthesis.records import GATE_MEANINGS

DOCS = REPOSITORY / "docs"
FORMATS = rows(DOCS / "pairs.md", "Formats")
EXAMPLES = [(row[0].strip("`"), row[1].strip("`")) for row in FORMATS if row[1].startswith("`{")]


def test_every_format_has_a_row() -> None:
    """The tables of formats name what the configuration can name."""
    assert {row[0].strip("`") for row in FORMATS} == {str(name) for name in JudgmentsFormat} - {"auto"}


@pytest.mark.parametrize(("format_name", "example"), EXAMPLES)
def test_example_rows_are_recognised(format_name: str, example: str, tmp_path: Path) -> None:
    """A row that the page shows is recognised as the format that it stands for."""
    path = tmp_path / "rows.jsonl"
    if "relevant_docs" in example or '"data"' in example:
        path = tmp_path / "rows.json"
    path.write_text(json.dumps(json.loads(example)) + "\n", encoding="utf-8")
    assert detect(path) == format_name


def test_every_layout_of_exported_pairs_has_a_row() -> None:
    """Page, names and table of layouts are the same list."""
    listed = [row[0].strip("`") for row in rows(DOCS / "pairs-export.md", "The layouts")]
    assert listed == list(ExportLayout) == list(LAYOUTS)


def test_the_guard_is_listed_in_its_order() -> None:
    """The page of hard negatives names every rule, in the order asked, with the words of the audit."""
    listed = {row[0].strip("`"): row[1] for row in rows(DOCS / "negatives.md", "The guard")}
    assert list(listed) == [str(rule) for rule in MEANINGS]
    assert all(MEANINGS[rule] in listed[str(rule)] for rule in MEANINGS)


def test_the_cleaning_rules_are_listed_in_their_order() -> None:
    """The page of search logs names every rule, in the order asked, with the words of the report."""
    listed = {row[0].strip("`"): row[1] for row in rows(DOCS / "logs.md", "Cleaning")}
    assert listed == dict(RULE_MEANINGS)


def test_the_columns_of_a_flat_log_are_listed() -> None:
    """The page of search logs names every column that is found by itself, under every name."""
    listed = {row[0]: tuple(row[1].replace("`", "").split(", ")) for row in rows(DOCS / "logs.md", "What it reads")}
    assert {role: names for role, names in listed.items() if role in USUAL_NAMES} == dict(USUAL_NAMES)


def test_the_gates_are_listed_in_their_order() -> None:
    """The page of made queries names every gate, in the order asked, with the words of the report."""
    listed = {row[0].strip("`"): row[1] for row in rows(DOCS / "synthesis.md", "The gates")}
    assert list(listed) == [str(gate) for gate in GATE_MEANINGS]
    assert all(GATE_MEANINGS[gate] in listed[str(gate)] for gate in GATE_MEANINGS)


def test_detectable_differences_are_computed() -> None:
    """The table of detectable differences is what the formula gives."""
    for queries, effect in rows(DOCS / "pairs.md", "What can be detected"):
        assert f"{minimum_detectable_effect(int(queries.replace(',', ''))):.3f}" == effect


def test_every_stage_is_on_the_page_of_the_journey() -> None:
    """The journey's table lists the stages in their order; those of a diagnosis stand beside it."""
    listed = [row[0].strip("`") for row in rows(DOCS / "journey.md", "The journey")]
    beside = {StageName.SAMPLE, StageName.DIAGNOSIS}
    assert listed == [str(stage) for stage in StageName if stage not in beside]


def test_metrics_and_systems_are_named() -> None:
    """The page of the evaluation names every metric and every system that can be recommended."""
    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in (*METRICS, *MAIN_SYSTEMS))


def test_messages_are_those_of_the_code() -> None:
    """Every message on the page of errors stands in the source, so that a search for it finds the page."""
    source = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "src").rglob("*.py"))
    words = re.sub(r"\{CONFIG_NAME\}", "dialekt.toml", source)
    for heading in ("Settings and projects", "Input", "Models", "Serving", "Gates", "Several machines", "Disk"):
        for message, _ in rows(DOCS / "errors.md", heading):
            assert all(part.strip() in words for part in message.strip("`").split("…")), message
