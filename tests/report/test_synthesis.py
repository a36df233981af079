"""The section on made queries."""

from dataclasses import asdict

from dialekt.report.blocks import KeyValues, Section, Table
from dialekt.report.facts import Facts
from dialekt.report.sections.synthesis import synthesis_section
from dialekt.synthesis.records import LlmUse, Realism, SynthesisFacts

FACTS = SynthesisFacts(
    documents=120,
    documents_asked=100,
    documents_without=4,
    queries=240,
    instruction_negatives=10,
    made={"llm": 300},
    kept={"llm": 240},
    kinds={"keyword": 140, "question": 100},
    dropped={"copy": 20, "round_trip": 40},
    queries_per_document={"llm": 3},
    llm=LlmUse(calls=100, input_tokens=50_000, output_tokens=4_000, cost=1.25),
    realism=Realism(80, 4.2, 6.1, 0.3, 0.42, 0.55, 0.31),
)


def tables(section: Section) -> dict[str, list[list[str]]]:
    """Return the texts of a section's tables by caption."""
    return {
        block.caption: [[cell.text for cell in row.cells] for row in block.rows]
        for block in section.blocks
        if isinstance(block, Table)
    }


def test_the_section_says_what_was_made_kept_and_rejected() -> None:
    """Counts by gate and by generator, realism, kinds and what the LLM took."""
    section = synthesis_section(Facts(asdict(FACTS)))
    assert section is not None
    assert section.lead == (
        "240 of 300 queries made from 100 documents passed every gate. 4 documents were left without any. "
        "10 carry an instruction, each with a passage that breaks it."
    )
    found = tables(section)
    gates = found["What the gates let pass"]
    assert [row[:2] for row in gates] == [
        ["kept", "240"],
        ["is the document, or a long piece of it, word for word", "20"],
        ["does not find its own document", "40"],
    ]
    assert found["By generator"] == [["LLM", "3", "300", "240"]]
    assert found["Beside the queries that people typed"] == [
        ["Words per query", "4.2", "6.1"],
        ["Questions among them", "30%", "42%"],
    ]
    values = {block.caption: dict(block.pairs) for block in section.blocks if isinstance(block, KeyValues)}
    assert values["Kept queries by kind"] == {"Keyword": "140", "Question": "100"}
    assert values["What the LLM took"]["Cost"] == "1.25"


def test_without_made_queries_there_is_no_section() -> None:
    """Nor with facts of an older version that lack every field."""
    assert synthesis_section(Facts({})) is None
    section = synthesis_section(Facts({"made": {"local": 5}, "queries": 5}))
    assert section is not None
    assert list(tables(section)) == ["What the gates let pass", "By generator"]
