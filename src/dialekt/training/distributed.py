"""One training step shared by several processes, with the gradients of one process up to rounding.

One process leads: it alone plans, scores, saves and decides, as if there were no other. The others help with steps:
they encode a share of the texts, and take their share of the way back. All vectors come together before the loss, so
that every text of the step is a negative for every query, and gradients are summed, never averaged:

    ∂L/∂θ = Σ_ranks Σ_texts of the rank (∂L/∂v)ᵀ ∂v/∂θ, with L over the vectors v of all texts

as gradient caching does with pieces (Gao et al. 2021, https://arxiv.org/abs/2101.06983), here with processes.

Nobody wraps the model (DistributedDataParallel averages, and sees no negatives of others), and only the leader has an
optimiser: weights go out before a step and gradients come back after it, which sends as much as an all-reduce.
"""

import heapq
import os
import signal
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dialekt.errors import ClusterError
from dialekt.training.batches import StepBatch, TextBatch
from dialekt.training.launch import Launch
from dialekt.training.replica import pack, unpack
from dialekt.training.wire import LEADER, Wire, device_of

if TYPE_CHECKING:
    from dialekt.training.trainer import RankingStep

_TAKEN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True, slots=True)
class _SetUp:
    """The step to help with, without its weights, and the kind of device that it is on."""

    step: bytes
    device: str


@dataclass(frozen=True, slots=True)
class Share:
    """One process's texts of a step, and how many there are in all."""

    queries: tuple[TextBatch, ...]
    documents: tuple[TextBatch, ...]
    query_count: int
    document_count: int

    def to(self, device: torch.device) -> "Share":
        """Return the share on another device."""
        moved = [tuple(_moved(part, device) for part in parts) for parts in (self.queries, self.documents)]
        return Share(moved[0], moved[1], self.query_count, self.document_count)


_Order = _SetUp | Share | None
"""What the leader asks of a helper; None ends its work."""


class Team:
    """The leader's side: the helpers that share its steps."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._step: RankingStep | None = None
        self._is_whole = True

    @property
    def size(self) -> int:
        """How many processes share a step, this one among them."""
        return self._wire.size

    def backward(self, step: "RankingStep", batch: StepBatch) -> Tensor:
        """Compute the gradients of a step with everyone's help, add them up here, and return the detached loss."""
        device = batch.targets.device
        self._is_whole = False  # until the step is done, nobody knows what the others wait for
        if self._step is not step:
            self._set_up(step, device)
        shares = share_out(batch, self.size)
        self._give([share.to(torch.device("cpu")) for share in shares])
        work = _Work(self._wire, step, shares[LEADER].to(device))
        for weight in work.weights:
            self._wire.spread(weight.data)
        queries, documents = work.encode()
        queries.requires_grad_()
        documents = documents.requires_grad_() if batch.frozen is None else batch.frozen
        loss = step.objective.loss(queries, documents, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        work.backward(queries.grad, documents.grad)
        self._is_whole = True
        return loss.detach()

    def close(self) -> None:
        """Let the helpers go; in the midst of a step they see the connection end."""
        if not self._is_whole:
            self._wire.cut()
            return
        with suppress(RuntimeError):  # a helper has died: the others see that
            self._give([None] * self.size)

    def _set_up(self, step: "RankingStep", device: torch.device) -> None:
        """Give every helper the same step: its code by name, its weights tensor by tensor."""
        packed, tensors = pack(step)
        self._give([_SetUp(packed, device.type)] * self.size)
        self._wire.use(device)
        for tensor in tensors:
            self._wire.spread(tensor.data.contiguous())
        self._step = step

    def _give(self, orders: Sequence[_Order]) -> None:
        for helper in range(LEADER + 1, self.size):
            self._wire.give(helper, orders[helper])


class _Work:
    """What every process does in a step. With room for its activations a share goes through the model once."""

    def __init__(self, wire: Wire, step: "RankingStep", share: Share) -> None:
        self._wire = wire
        self._step = step
        self._share = share
        self.weights = [weight for weight in step.parameters() if weight.requires_grad]
        tokens = sum(part.tokens for part in (*share.queries, *share.documents))
        self._keeps = tokens <= step.mini_batch_tokens
        self._kept: list[list[Tensor]] = []

    def encode(self) -> tuple[Tensor, Tensor]:
        """Return the vectors of all queries and documents, which the leader alone has whole; (texts, dimension)."""
        share = self._share
        sides = ((share.queries, share.query_count), (share.documents, share.document_count))
        queries, documents = (self._side(parts, count) for parts, count in sides)
        return queries, documents

    def backward(self, query_gradients: Tensor | None, document_gradients: Tensor | None) -> None:
        """Take the leader's gradients of the vectors (texts, dimension), and give it those of the weights."""
        share = self._share
        self._back(0, share.queries, share.query_count, query_gradients)
        self._back(1, share.documents, share.document_count, document_gradients)
        for weight in self.weights:
            self._add_up(weight)

    def _back(self, side: int, parts: tuple[TextBatch, ...], count: int, gradients: Tensor | None) -> None:
        if not count:
            return
        received = self._empty(count) if gradients is None else gradients
        self._wire.spread(received)
        for number, part in enumerate(parts):
            vectors = self._kept[side][number] if self._keeps else self._encode(part)
            (vectors.float() * received[part.rows]).sum().backward()  # type: ignore[no-untyped-call]

    def _side(self, parts: tuple[TextBatch, ...], count: int) -> Tensor:
        vectors = self._empty(count)
        if not count:
            return vectors
        kept = []
        with torch.set_grad_enabled(self._keeps):
            for part in parts:
                encoded = self._encode(part)
                vectors[part.rows] = encoded.detach().float()
                kept.append(encoded)
        self._kept.append(kept if self._keeps else [])
        self._wire.add_up(vectors)  # rows of others are zero
        return vectors

    def _encode(self, part: TextBatch) -> Tensor:
        with self._step._autocast(part.input_ids.device):
            return self._step._encode(part)

    def _add_up(self, weight: Tensor) -> None:
        """Sum the gradients of a weight at the leader; one that no text reached has none, and stays as it is."""
        reached = weight.grad is not None
        gradient = weight.grad if weight.grad is not None else torch.zeros_like(weight)
        self._wire.add_up(gradient)
        leads = self._wire.rank == LEADER
        weight.grad = gradient if leads and (reached or bool(gradient.any())) else None

    def _empty(self, count: int) -> Tensor:
        dimension = self._step.model.get_embedding_dimension()
        assert dimension is not None
        return torch.zeros(count, dimension, device=self._step.model.device)


def share_out(batch: StepBatch, size: int) -> list[Share]:
    """Divide the texts of a step into shares of about as many tokens; the leader's has some whatever there is."""
    sides = {"queries": batch.queries, "documents": batch.documents}
    fair = sum(part.tokens for parts in sides.values() for part in parts) / size
    pieces = [(side, piece) for side, parts in sides.items() for part in parts for piece in _split(part, fair)]
    pieces.sort(key=lambda piece: -piece[1].tokens)
    loads = [(0, rank) for rank in range(size)]
    given: list[dict[str, list[TextBatch]]] = [{side: [] for side in sides} for _ in range(size)]
    for side, piece in pieces:
        load, rank = heapq.heappop(loads)
        given[rank][side].append(piece)
        heapq.heappush(loads, (load + piece.tokens, rank))
    counts = [sum(len(part.rows) for part in parts) for parts in sides.values()]
    return [Share(tuple(one["queries"]), tuple(one["documents"]), *counts) for one in given]


def _split(part: TextBatch, tokens: float) -> Iterator[TextBatch]:
    """Halve a piece until it has no more than so many tokens; every second text goes to each half."""
    if part.tokens <= tokens or len(part.rows) < 2:
        yield part
        return
    for first in (0, 1):
        half = (values[first::2] for values in (part.input_ids, part.attention_mask, part.rows))
        yield from _split(TextBatch(*half), tokens)


def _moved(part: TextBatch, device: torch.device) -> TextBatch:
    return TextBatch(part.input_ids.to(device), part.attention_mask.to(device), part.rows.to(device))


@dataclass(slots=True)
class _Standing:
    """Whom this process leads: nobody; helpers that have yet to be met; a team."""

    launch: Launch | None = None
    team: Team | None = None


_STANDING = _Standing()


def current_team() -> Team | None:
    """Return the team that this process leads, met at the first call; None where it works alone."""
    if _STANDING.launch is not None and _STANDING.team is None:
        _STANDING.team = Team(Wire(_STANDING.launch))
    return _STANDING.team


@contextmanager
def leading(launch: Launch, environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Lead the other processes that were launched.

    The launcher's variables are taken out of the environment, so that no library wraps the model or waits for others.
    At the end the helpers are let go, whether there was a step to help with or not.
    """
    taken = {name: environment.pop(name) for name in _TAKEN if name in environment}
    _STANDING.launch = launch
    try:
        yield
    finally:
        try:
            team = current_team()
            assert team is not None
            team.close()
        finally:
            _STANDING.launch, _STANDING.team = None, None
            environment.update(taken)


def help_along(launch: Launch) -> None:
    """Help the leader with its steps until it ends. Raises `ClusterError` when it is gone in the midst of one.

    Ctrl-C and requests to end are the leader's to answer: it needs everyone until its step is saved.
    """
    with _deaf():
        try:
            wire = Wire(launch)
            step: RankingStep | None = None
            while (order := wire.take()) is not None:
                match order:
                    case _SetUp():
                        step = _receive_step(wire, order, launch)
                    case Share():
                        assert step is not None
                        _help(wire, step, order)
        except RuntimeError as error:
            raise ClusterError("the leading process is gone", hint="its own message says why") from error


def _help(wire: Wire, step: "RankingStep", share: Share) -> None:
    work = _Work(wire, step, share.to(step.model.device))
    for weight in work.weights:
        wire.spread(weight.data)
    work.encode()
    work.backward(None, None)


def _receive_step(wire: Wire, order: _SetUp, launch: Launch) -> "RankingStep":
    """Make the leader's step here."""
    device = device_of(launch, order.device)
    wire.use(device)
    step, tensors = unpack(order.step, device)
    for tensor in tensors:
        wire.spread(tensor.data)
    ranking: RankingStep = step.train()
    return ranking


@contextmanager
def _deaf() -> Iterator[None]:
    """Do not answer signals; only the main thread could."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
