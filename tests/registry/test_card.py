"""The card tells what a model is in counts and settings, in the form that the Hub reads."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from dialekt.models.contract import EncodingContract
from dialekt.models.export import ExportFacts
from dialekt.registry.card import CardFacts, hub_name, render_card, write_card
from dialekt.registry.records import AdaptedBy, Evidence, Forgetting, Lineage, Recipe, Setting, Threshold
from dialekt.types import Interval

CONTRACT = EncodingContract(
    model="all-MiniLM-L6-v2",
    query_prompt="query: ",
    document_prompt="",
    pooling="mean",
    normalize=True,
    similarity="cosine",
    max_tokens=256,
    dimension=384,
    matryoshka_dimensions=(384, 256, 128),
)
EXPORT = ExportFacts(
    modules=("Transformer", "Pooling", "Normalize"),
    pooling="mean",
    dimension=384,
    matryoshka_dimensions=(384, 256, 128),
    max_tokens=256,
    parameters=22_713_216,
    size_bytes=91_000_000,
    servers_can_load=True,
)


@pytest.fixture
def facts(make_lineage: Callable[..., Lineage], make_evidence: Callable[..., Evidence]) -> CardFacts:
    """Everything that a card is written from."""
    return CardFacts(
        title="Help desk",
        license="unknown",
        contract=CONTRACT,
        export=EXPORT,
        lineage=make_lineage(),
        evidence=make_evidence(),
        content_id="c0ffee",
        created="2026-11-20T10:00:00+00:00",
    )


def _front_matter(card: str) -> dict[str, Any]:
    """Read the front matter as the Hub's own client does."""
    values: dict[str, Any] = ModelCard(card).data.to_dict()  # type: ignore[no-untyped-call]
    return values


def test_front_matter_is_what_the_hub_reads(facts: CardFacts) -> None:
    """The front matter names library, task, base model, licence and tags."""
    assert _front_matter(render_card(facts)) == {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "license": "unknown",
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction", "dialekt", "matryoshka"],
    }


def test_card_tells_the_whole_story(facts: CardFacts) -> None:
    """Counts, settings with their reasons, results with intervals, prompts, dimensions and lineage are there."""
    card = render_card(facts)
    for expected in (
        "# Help desk\n",
        "1,800 pairs of 1,200 queries",
        "5,000 documents, with 3,600 mined hard negatives",
        "| qrels | 1,800 |",
        "| epochs | 2 | 1,800 pairs \\| few |",
        "| matryoshka | [384, 128] |",
        "| **this model** | 0.700 (0.670 to 0.730) |",
        "| **this model**, first 128 dimensions | 0.680 (0.650 to 0.710) |",
        "| base model | 0.600 (0.570 to 0.630) |",
        "Gain over the base model: NDCG@10 +0.100 (+0.050 to +0.150), p = 0.0010",
        "can show is about 0.021",
        "Recommended for deployment: BM25 + **this model**.",
        '| query prompt | `"query: "` |',
        "| document prompt | none |",
        "256, 128",
        'SentenceTransformer("path/to/this/folder")',
        "text-embeddings-router --model-id",
        "vllm serve",
        "| evaluation | `evaluation-1` |",
        "`c0ffee`",
    ):
        assert expected in card


def test_card_says_from_which_cosine_on_a_result_is_an_answer(facts: CardFacts) -> None:
    """One row per model: the threshold with what it reached, or that none reaches the target."""
    reached = Threshold(
        "tuned", 0.8, 0.7719, precision=Interval(0.72, 0.69, 0.74), recall=Interval(0.73, 0.71, 0.75), empty=0.28
    )
    missed = Threshold("base", 0.8, None, precision=None, recall=None, empty=None)
    card = render_card(
        dataclasses.replace(facts, evidence=dataclasses.replace(facts.evidence, thresholds=(missed, reached)))
    )
    assert "80% of the first ten results" in card
    assert "| **this model** | 0.772 | 72% (69% to 74%) | 73% (71% to 75%) | 28% |" in card
    assert "| base model | none reaches 80% |" in card
    assert "similarity on" not in render_card(facts)


def test_card_holds_no_configuration_path(facts: CardFacts) -> None:
    """The configuration, with the places where somebody's documents lie, stays in the record."""
    assert "/home/someone" not in render_card(facts)


def test_local_base_model_is_named_without_its_path(facts: CardFacts, tmp_path: Path) -> None:
    """A base model from a folder is called by the folder's name, and the Hub is told of none."""
    base = tmp_path / "our-base"
    base.mkdir()
    card = render_card(dataclasses.replace(facts, lineage=dataclasses.replace(facts.lineage, base_model=str(base))))
    assert "base_model" not in _front_matter(card)
    assert "search: our-base, tuned" in card
    assert str(tmp_path) not in card


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("intfloat/e5-small-v2", "intfloat/e5-small-v2"),
        ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("/models/e5", ""),
        ("./models/e5", ""),
        ("e5", ""),
    ],
)
def test_hub_names(model: str, expected: str) -> None:
    """Only owner/name is a name on the Hub."""
    assert hub_name(model) == expected


def test_model_that_was_not_measured(facts: CardFacts, make_evidence: Callable[..., Evidence]) -> None:
    """Without evaluation the card says so, instead of showing an empty table."""
    bare = dataclasses.replace(
        make_evidence(compared=False), systems=(), minimum_detectable_effect=None, recommendation=""
    )
    card = render_card(dataclasses.replace(facts, evidence=bare))
    assert "Not measured." in card
    assert "| system |" not in card
    assert "Gain over" not in card


def test_model_for_sentence_transformers_only(facts: CardFacts) -> None:
    """A folder that the usual servers do not know is not recommended to them; without smaller sizes none are named."""
    contract = dataclasses.replace(CONTRACT, matryoshka_dimensions=(384,))
    export = dataclasses.replace(EXPORT, servers_can_load=False)
    card = render_card(dataclasses.replace(facts, contract=contract, export=export))
    assert "text-embeddings-router" not in card
    assert "truncate_dim" not in card
    assert "matryoshka" not in _front_matter(card)["tags"]


def test_what_the_model_forgot(facts: CardFacts, make_evidence: Callable[..., Evidence]) -> None:
    """The card shows NDCG@10 on general queries before and after, and says when the loss was not allowed."""
    kept = Forgetting(
        source="builtin",
        queries=200,
        documents=1_000,
        base=Interval(0.5, 0.45, 0.55),
        tuned=Interval(0.49, 0.44, 0.54),
        change=Interval(-0.01, -0.02, 0.0),
        limit=0.03,
        passed=True,
    )
    card = render_card(dataclasses.replace(facts, evidence=make_evidence(forgetting=kept)))
    assert "On 200 queries on the docstrings of Python's standard library" in card
    assert "0.500 with the base model, 0.490 with this one, -0.010 (-0.020 to +0.000)." in card
    assert "was allowed" not in card
    lost = dataclasses.replace(kept, passed=False)
    card = render_card(dataclasses.replace(facts, evidence=make_evidence(forgetting=lost)))
    assert "more than the loss of 0.03 that was allowed" in card
    assert "What it forgot" not in render_card(facts)


def test_recipe_without_details(facts: CardFacts) -> None:
    """Tables that would be empty are left out."""
    lineage = dataclasses.replace(facts.lineage, recipe=Recipe(settings={}))
    card = render_card(dataclasses.replace(facts, lineage=lineage))
    assert "| setting |" not in card
    assert "| pairs from |" not in card


def test_odd_settings_stay_in_their_cells(facts: CardFacts) -> None:
    """Line breaks and pipes in a value do not break the table."""
    recipe = Recipe(settings={"prompt": Setting("a\nb | c", "because")})
    card = render_card(dataclasses.replace(facts, lineage=dataclasses.replace(facts.lineage, recipe=recipe)))
    assert "| prompt | a b \\| c | because |" in card


def test_license_is_the_users(facts: CardFacts) -> None:
    """A licence that is known is stated; whatever it is, the front matter stays valid."""
    card = render_card(dataclasses.replace(facts, license="apache-2.0: yes"))
    assert _front_matter(card)["license"] == "apache-2.0: yes"


def test_card_is_written_into_the_model_folder(facts: CardFacts, tmp_path: Path) -> None:
    """The card is the folder's README.md, where the Hub looks for it."""
    write_card(tmp_path, facts)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == render_card(facts)


def test_markdown_blocks_are_separated(facts: CardFacts) -> None:
    """Headings and tables have an empty line before them, or Markdown would not see them."""
    lines = render_card(facts).splitlines()
    for before, line in itertools.pairwise(lines):
        if line.startswith("## ") or (line.startswith("|") and not before.startswith("|")):
            assert before == "", line
    assert "\n\n\n\n" not in "\n".join(lines)


def test_card_says_what_the_documents_taught(facts: CardFacts) -> None:
    """What dev said of it, that nobody was asked, or nothing at all where the base model was not adapted."""
    learned = (
        AdaptedBy("vocabulary", 900, terms=139),
        AdaptedBy("mlm", 4_200, gain=Interval(0.021, 0.004, 0.038)),
    )
    recipe = dataclasses.replace(facts.lineage.recipe, adaptation=learned)
    artefacts = dataclasses.replace(facts.lineage.artefacts, adaptation="ada")
    card = render_card(
        dataclasses.replace(facts, lineage=dataclasses.replace(facts.lineage, recipe=recipe, artefacts=artefacts))
    )
    assert "| vocabulary | 900 | 139 | not measured |" in card
    assert "| mlm | 4,200 |  | +0.021 (+0.004 to +0.038) |" in card
    assert "| adaptation | `ada` |" in card
    plain = render_card(facts)
    assert "documents alone" not in plain
    assert "| adaptation |" not in plain
