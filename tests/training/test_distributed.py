"""Two processes make the gradients and the weights of one."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.training.conftest import Problem

from dialekt.config import ModelConfig, Precision, TrainingConfig
from dialekt.errors import UsageError
from dialekt.flow.launching import one_of_many
from dialekt.models.encoder import Encoder
from dialekt.models.fitting import last_checkpoint, stop_training
from dialekt.training import stage
from dialekt.training.batches import Piece, StepBatch, TextBatch, collate
from dialekt.training.derive import Machine, derive_recipe
from dialekt.training.distributed import current_team, leading, share_out
from dialekt.training.examples import build_examples
from dialekt.training.launch import Launch
from dialekt.training.objective import Objective
from dialekt.training.preparing import prepare_model
from dialekt.training.records import TrainingInputs
from dialekt.training.replica import pack, unpack
from dialekt.training.trainer import RankingStep
from dialekt.types import Progress

Build = Callable[..., TrainingInputs]
HELPER = Path(__file__).with_name("helper.py")
CONFIG = TrainingConfig(
    epochs=3, batch_size=20, learning_rate=5e-3, evaluations=2, precision=Precision.FP32, patience=9, interpolate=False
)


@pytest.fixture
def helper() -> Iterator[tuple[subprocess.Popen[str], Launch]]:
    """A process that waits for this one to lead it, and where they meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(HELPER), str(port)], stderr=subprocess.PIPE, text=True)
    with process:
        yield process, Launch(rank=0, size=2, local_rank=0, address="127.0.0.1", port=port)
        process.kill()


def ranking_step(problem: Problem, tiny_model: Path, *, tokens: int) -> tuple[RankingStep, StepBatch]:
    """A step over 20 pairs, and its tensors; activations of so many tokens have room."""
    encoder = Encoder.load(str(tiny_model), ModelConfig(device="cpu"), precision=Precision.FP32)
    prepare_model(encoder)
    examples = build_examples(
        problem.documents, problem.queries, problem.pairs, problem.negatives, tokenise=encoder.token_ids
    )
    machine = Machine("cpu", Precision.FP32, 1 << 34)
    config = TrainingConfig(mini_batch_tokens=tokens)
    recipe = derive_recipe(config, examples, machine=machine, max_tokens=64, hidden_numbers=64)
    step = RankingStep(encoder.model, objective=Objective((32, 16), 0.05), recipe=recipe)
    batch = collate(
        examples, np.arange(20, dtype=np.int32), hard_negatives=1, piece=Piece(8, 100_000), pad_id=0, seed=1
    )
    return step.train(), batch


def gradients(step: RankingStep) -> dict[str, torch.Tensor | None]:
    """The gradients by weight, taken out of the step."""
    found = {name: None if weight.grad is None else weight.grad.clone() for name, weight in step.named_parameters()}
    step.zero_grad(set_to_none=True)
    return found


def test_two_processes_train_as_one(
    helper: tuple[subprocess.Popen[str], Launch],
    problem: Problem,
    tiny_model: Path,
    training_inputs: Build,
    tmp_path: Path,
) -> None:
    """Loss, every gradient and the trained weights are equal up to rounding, with and without room for activations."""
    process, launch = helper
    inputs = training_inputs()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    alone = stage.run(CONFIG, inputs, tmp_path / "one")
    with leading(launch):
        for tokens in (100_000, 24):
            step, batch = ranking_step(problem, tiny_model, tokens=tokens)
            expected_loss = step(batch)
            expected_loss.backward()
            expected = gradients(step)
            team = current_team()
            assert team is not None
            assert team.size == 2
            torch.testing.assert_close(team.backward(step, batch), expected_loss.detach())
            for name, gradient in gradients(step).items():
                torch.testing.assert_close(gradient, expected[name], msg=name)
        together = stage.run(CONFIG, inputs, tmp_path / "two")
    assert process.wait(timeout=60) == 0
    assert current_team() is None
    assert (together.steps, together.best_step) == (alone.steps, alone.best_step)
    weights = [load_file(next((tmp_path / name / "model").rglob("model.safetensors"))) for name in ("one", "two")]
    for name, weight in weights[0].items():
        np.testing.assert_allclose(weights[1][name], weight, atol=2e-4, err_msg=name)


def test_a_helper_ends_when_its_leader_is_gone(
    helper: tuple[subprocess.Popen[str], Launch], problem: Problem, tiny_model: Path
) -> None:
    """Stopped in the midst of a step, the leader leaves nobody behind who waits."""
    process, launch = helper
    step, batch = ranking_step(problem, tiny_model, tokens=100_000)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with leading(launch, environment := {"RANK": "0", "WORLD_SIZE": "2"}):
        assert environment == {}
        team = current_team()
        assert team is not None
        team.backward(step, batch)
        next(step.parameters()).register_hook(stop)  # type: ignore[no-untyped-call]
        with pytest.raises(KeyboardInterrupt):
            team.backward(step, batch)
    assert environment == {"RANK": "0", "WORLD_SIZE": "2"}
    assert process.wait(timeout=60) == 1
    assert process.stderr is not None
    assert "the leading process is gone" in process.stderr.read()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_text_is_in_one_share(problem: Problem, tiny_model: Path, size: int) -> None:
    """Shares hold every text once, with its tokens, in about equal parts; the leader's is never empty."""
    _, batch = ranking_step(problem, tiny_model, tokens=100_000)
    shares = share_out(batch, size)
    assert len(shares) == size
    for side in ("queries", "documents"):
        parts = [part for share in shares for part in getattr(share, side)]
        assert rows_of(parts) == rows_of(getattr(batch, side))
    loads = [sum(part.tokens for part in (*share.queries, *share.documents)) for share in shares]
    assert loads[0] > 0
    assert max(loads) <= 1.5 * sum(loads) / size


def rows_of(parts: list[TextBatch]) -> dict[int, list[int]]:
    """The tokens of every text by its place, padding left out."""
    return {
        int(row): ids[mask.bool()].tolist()
        for part in parts
        for row, ids, mask in zip(part.rows, part.input_ids, part.attention_mask, strict=True)
    }


def test_a_replica_is_the_module(problem: Problem, tiny_model: Path) -> None:
    """Packed without its tensors, a step is small; unpacked and filled, it gives the same vectors."""
    step, batch = ranking_step(problem, tiny_model, tokens=100_000)
    packed, tensors = pack(step)
    again, places = unpack(packed, torch.device("cpu"))
    with torch.no_grad():
        for place, tensor in zip(places, tensors, strict=True):
            place.copy_(tensor)
    assert sum(tensor.numel() for tensor in tensors) >= sum(weight.numel() for weight in step.parameters())
    torch.testing.assert_close(again(batch), step(batch))


def test_what_a_launcher_says() -> None:
    """One process does the command itself; of several each knows which it is; half of the variables is an error."""
    with one_of_many({}) as is_first:
        assert is_first
    said = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "here", "MASTER_PORT": "29500"}
    assert Launch.read(said) == Launch(1, 2, 1, "here", 29_500)
    assert Launch.read({"WORLD_SIZE": "1"}) is None
    with pytest.raises(UsageError, match="not whole: 'RANK'"), one_of_many({"WORLD_SIZE": "2"}):
        pass


def test_a_training_without_signals_can_be_stopped(training_inputs: Build, tmp_path: Path) -> None:
    """Asked from within, it saves its step and stops; where there is nothing to save it stops at once."""
    with pytest.raises(KeyboardInterrupt):
        stop_training()

    def stop_after_two(progress: Progress) -> None:
        if progress.label == "training" and progress.done == 2:
            stop_training()

    with pytest.raises(KeyboardInterrupt):
        stage.run(CONFIG, training_inputs(), tmp_path, progress=stop_after_two)
    checkpoint = last_checkpoint(tmp_path / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-2"
    assert os.environ.get("RANK") is None
