"""The door to models that write, with a tiny T5 built in code."""

import shutil
from pathlib import Path

import pytest

from dialekt.errors import ModelError
from dialekt.models.seq2seq import Seq2Seq

TEXTS = ["replace the seal of the water pump", "solar panel", "cook the soup with salt and water"]


@pytest.fixture(scope="module")
def tiny_writer(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a T5 of two layers with the tiny model's tokenizer."""
    import torch
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("writer")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(folder)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.sep_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(7)
        T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


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
