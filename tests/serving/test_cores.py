"""Cores, lent in turn."""

import threading
import time

from dialekt.serving.cores import Cores


def test_whoever_wants_all_waits_for_all_and_is_not_overtaken() -> None:
    """Two lanes share the cores; an engine that wants both gets them before those who ask later."""
    cores, order = Cores(2), []
    lane = cores.hold(1)
    lane.__enter__()

    def want(name: str, wanted: int) -> None:
        with cores.hold(wanted):
            order.append(name)

    threads = [threading.Thread(target=want, args=args) for args in (("all", 2), ("late", 1))]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    assert order == []
    lane.__exit__(None, None, None)
    for thread in threads:
        thread.join(timeout=5)
    assert order == ["all", "late"]


def test_lanes_compute_side_by_side() -> None:
    """Two that want one core each do not wait for each other."""
    cores = Cores(2)
    with cores.hold(1), cores.hold(1):
        pass
