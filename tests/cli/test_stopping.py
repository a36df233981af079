"""A request to stop is heeded even when the exception that it raised was swallowed."""

import signal

import pytest

from dialekt.cli.stopping import STOP, HeedingObserver, stopping
from dialekt.flow.records import SilentObserver, StageName
from dialekt.types import Progress


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_swallowed_request_stops_the_next_report(number: signal.Signals) -> None:
    """A library that eats KeyboardInterrupt delays the stop until the next report, no longer."""
    observer = HeedingObserver(SilentObserver())
    with stopping():
        observer.progressed(StageName.CORPUS, Progress("reading", 1))
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            swallowed = True
        assert swallowed
        with pytest.raises(KeyboardInterrupt):
            observer.progressed(StageName.CORPUS, Progress("reading", 2))


def test_the_next_command_starts_afresh() -> None:
    """An old request does not stop a later command in the same process, and the handlers are given back."""
    before = signal.getsignal(signal.SIGINT)
    STOP.received = True
    with stopping():
        STOP.heed()
    assert signal.getsignal(signal.SIGINT) is before
