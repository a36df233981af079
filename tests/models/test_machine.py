"""What the machine can do."""

import pytest
import torch

from dialekt.config import Precision
from dialekt.errors import ModelError
from dialekt.models.machine import choose_device, describe_machine, fastest_precision


def test_an_explicit_device_is_kept() -> None:
    """The processor is always there."""
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "tpu", ""])
def test_a_device_that_is_not_there(device: str) -> None:
    """A device that this machine has not got is refused, with what it has."""
    with pytest.raises(ModelError, match="is not on this machine") as caught:
        choose_device(device)
    assert "cpu" in caught.value.hint


def test_precision_is_measured_once() -> None:
    """The measurement is kept, so that one process never mixes precisions."""
    assert fastest_precision("cpu") is fastest_precision("cpu")
    assert fastest_precision("cpu") in Precision


def test_the_machine_describes_itself() -> None:
    """The facts behind a speed: threads, memory, precision."""
    machine = describe_machine("cpu")
    assert machine.threads == torch.get_num_threads()
    assert machine.memory_bytes > 1 << 28
    assert machine.precision is fastest_precision("cpu")
