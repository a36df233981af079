"""The door to models that write, with a tiny T5 built in code."""

import shutil
from pathlib import Path

import pytest

from dialekt.errors import ModelError
from dialekt.models.seq2seq import Seq2Seq

TEXTS = ["replace the seal of the water pump", "solar panel", "cook the soup with salt and water"]


def test_every_text_gets_as_many_as_asked_for(tiny_writer: Path) -> None:
    """In the order of the texts, whatever their lengths, with progress to the end."""
    done: list[int] = []
    written = Seq2Seq.load(str(tiny_writer)).write(TEXTS, count=4, seed=1, progress=lambda one: done.append(one.done))
    assert [len(found) for found in written] == [4, 4, 4]
    assert done[-1] == 3


def test_the_same_seed_writes_the_same(tiny_writer: Path) -> None:
    """Sampling is random, but by the seed alone."""
    writer = Seq2Seq.load(str(tiny_writer))
    assert writer.write(TEXTS, count=2, seed=1) == writer.write(TEXTS, count=2, seed=1)
    assert writer.write(TEXTS, count=2, seed=1) != writer.write(TEXTS, count=2, seed=2)


def test_a_model_that_does_not_write_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    """An encoder is refused with the folder's name."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "encoder"))
    with pytest.raises(ModelError, match="the seq2seq model cannot be loaded"):
        Seq2Seq.load(str(folder))
