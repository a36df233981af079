"""Ctrl-C as a training sees it, without a real signal."""

import signal


def press_ctrl_c() -> None:
    """Call the handler of SIGINT as the interpreter would.

    A signal that is really sent is handled too late or by the wrong thread now and then, and then ends the whole test
    process; `tests/cli/test_stopped.py` sends real ones to processes of their own.
    """
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)
