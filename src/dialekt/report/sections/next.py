"""What to do next, the most important first."""

from collections.abc import Sequence

from dialekt.report.blocks import Section, Step, Steps
from dialekt.report.next_steps import NextStep


def next_section(steps: Sequence[NextStep]) -> Section | None:
    """Return the steps with their evidence; None where there are none."""
    if not steps:
        return None
    lead = "Read off the evidence of this run, the most important first."
    items = tuple(Step(one.action, one.why, one.command) for one in steps)
    return Section("next", "What to do next", lead, (Steps(items),))
