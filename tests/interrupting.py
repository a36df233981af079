"""Ctrl-C as a training sees it, without a real signal."""

import signal


def press_ctrl_c() -> None:
    """Call the handler of SIGINT as the interpreter would.

    A real signal of a test to its own process has ended that process now and then, for a reason that was not found;
    `tests/cli/test_stopped.py` sends real ones to processes of their own.
    """
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)
