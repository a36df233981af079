"""Which side was tuned, where it was only one: what that is good for, and what it costs."""

from dialekt.config import TunedSide
from dialekt.report import formats
from dialekt.report.blocks import Paragraph, Section
from dialekt.report.facts import Facts
from dialekt.report.records import FullTuning

MEANING = (
    "Documents keep the base model's vectors, so an index of the base model stays valid and nothing is embedded again; "
    "the gain is usually smaller than that of tuning both sides."
)
NOT_MEASURED = (
    "What that costs here was not measured: no version that was tuned on both sides was tested on these queries. "
    'With training.side = "both" a run makes one, and the next report compares the two.'
)


def side_section(training: Facts, full: FullTuning | None) -> Section | None:
    """Return what it means that the query side alone was tuned; nothing where both sides were."""
    if training.text("side") != TunedSide.QUERY:
        return None
    return Section("side", "Only the query side was tuned", MEANING, (Paragraph(_cost(full)),))


def _cost(full: FullTuning | None) -> str:
    if full is None:
        return NOT_MEASURED
    found = full.comparison
    interval = formats.signed_range(found.low, found.high)
    certainty = "that is not proven" if found.low <= 0 <= found.high else "that is proven"
    return (
        f"Against {full.version}, the same base model tuned on both sides, {found.metric} on the same test queries is "
        f"{formats.signed(found.difference)} ({interval}, {formats.p_phrase(found.p_value)}): {certainty}."
    )
