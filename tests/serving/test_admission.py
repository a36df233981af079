"""Permits, and what a refusal says."""

import time

import pytest

from dialekt.errors import OverloadedError
from dialekt.serving import admission
from dialekt.serving.admission import Permits


def test_permits_come_back_whatever_happens() -> None:
    """A failing request gives its permits back."""
    permits = Permits(4)
    with pytest.raises(ZeroDivisionError, match="by zero"), permits.take(4):
        raise ZeroDivisionError("by zero")
    assert permits.in_flight == 0


def test_a_request_larger_than_the_limit_is_told_so() -> None:
    """Coming again would not help, so the message names both numbers."""
    with pytest.raises(OverloadedError, match="the request has 9 inputs, the limit is 4 in flight"):
        Permits(4).take(9).__enter__()


def test_retry_after_follows_the_rate_of_finished_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight inputs in flight at two a second are gone in four seconds."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    permits = admission.Permits(8)
    with permits.take(2):
        now += 1.0
    with permits.take(8), pytest.raises(OverloadedError, match="8 of 8") as refused:
        permits.take(1).__enter__()
    assert refused.value.retry_after_seconds == 4


def test_a_full_server_is_known_before_a_request_is_read() -> None:
    """With no permit left nothing can be admitted, however small."""
    permits = Permits(2)
    permits.check()
    with permits.take(2), pytest.raises(OverloadedError, match="2 of 2 inputs are in flight"):
        permits.check()
