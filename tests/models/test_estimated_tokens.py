"""Tokens that are estimated where no tokenizer is."""

from itertools import pairwise
from pathlib import Path

from dialekt.config import ModelConfig, Precision
from dialekt.models.encoder import Encoder
from dialekt.models.estimated_tokens import estimated_lengths, estimated_offsets

TEXTS = (
    "How do I reset the password of an administrator account in version 20.4?",
    "The hydraulic pump (part 230-B) leaks: replace both seals, then refill with 1.5 litres of oil.",
    "东京の水道ポンプ",
)


def test_offsets_are_places_in_the_text_in_order() -> None:
    """Together they hold everything but blanks; none overlaps the next."""
    for text, offsets in zip(TEXTS, estimated_offsets(TEXTS), strict=True):
        assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
        assert all(first[1] <= second[0] for first, second in pairwise(offsets))


def test_the_estimate_is_near_a_real_tokenizer_and_rather_above(minilm: Path) -> None:
    """Against MiniLM's tokenizer: never fewer than 90%, never twice as many."""
    real = Encoder.load(str(minilm), ModelConfig(device="cpu"), precision=Precision.FP32).token_offsets(TEXTS)
    for estimated, found in zip(estimated_lengths(TEXTS), real, strict=True):
        assert 0.9 * len(found) <= estimated <= 2 * len(found)


def test_an_empty_text_has_one_token() -> None:
    """Nothing costs nothing would not do: a row without tokens is no row."""
    assert estimated_lengths(["", "  "]) == [1, 1]
