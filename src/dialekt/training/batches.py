"""Which pairs share a training step, and the tensors of a step.

A document that answers several queries is encoded once for up to `queries_per_document` of them: the queries are
short, so a step then holds more pairs for little more work. No document occurs twice in a step.
"""

import heapq
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dialekt.training.examples import Examples
from dialekt.training.tables import TokenTable


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a whole training run, in order; each is an array of pair rows."""

    steps: tuple[NDArray[np.int32], ...]
    steps_per_epoch: float

    @property
    def pairs(self) -> int:
        """Pairs in all steps together."""
        return sum(len(step) for step in self.steps)


def plan_steps(examples: Examples, *, batch_size: int, queries_per_document: int, epochs: float, seed: int) -> Plan:
    """Divide the pairs of every epoch into steps of about `batch_size` pairs with no document group twice."""
    whole = int(np.ceil(epochs))
    steps: list[NDArray[np.int32]] = []
    for epoch in range(whole):
        rng = np.random.default_rng([seed, epoch])
        steps.extend(_plan_epoch(examples, batch_size=batch_size, queries_per_document=queries_per_document, rng=rng))
    per_epoch = len(steps) / whole
    return Plan(tuple(steps[: max(1, round(per_epoch * epochs))]), per_epoch)


def _plan_epoch(
    examples: Examples, *, batch_size: int, queries_per_document: int, rng: np.random.Generator
) -> list[NDArray[np.int32]]:
    """Deal the pairs of each document over the emptiest steps; O(pairs log steps)."""
    count = max(1, round(len(examples.pair_query) / batch_size))
    shuffled = rng.permutation(len(examples.pair_query)).astype(np.int32)
    groups = examples.kin.clusters[examples.pair_document[shuffled]]
    by_group = np.split(
        shuffled[np.argsort(groups, kind="stable")], np.cumsum(np.unique(groups, return_counts=True)[1])[:-1]
    )
    order = sorted(rng.permutation(len(by_group)), key=lambda group: -len(by_group[group]))
    steps: list[list[NDArray[np.int32]]] = [[] for _ in range(count)]
    fill = [(0, int(tie), step) for step, tie in enumerate(rng.permutation(count))]
    heapq.heapify(fill)
    for group in order:
        rows = by_group[group]
        if not len(rows):
            continue
        units = min(count, -(-len(rows) // queries_per_document))
        emptiest = [heapq.heappop(fill) for _ in range(units)]
        for part, (held, tie, step) in zip(np.array_split(rows, units), emptiest, strict=True):
            steps[step].append(part)
            heapq.heappush(fill, (held + len(part), tie, step))
    filled = [np.concatenate(parts) for parts in steps if parts]
    return [filled[index] for index in rng.permutation(len(filled))]


@dataclass(frozen=True, slots=True)
class Piece:
    """How many texts, and how many padded tokens, go through the model together at most."""

    texts: int
    tokens: int


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Padded texts of similar length: `input_ids` and `attention_mask` (texts, tokens), `rows` (texts,) their place."""

    input_ids: Tensor
    attention_mask: Tensor
    rows: Tensor

    @property
    def tokens(self) -> int:
        """Padded tokens."""
        return self.input_ids.numel()


@dataclass(frozen=True, slots=True)
class StepBatch:
    """The tensors of one training step.

    `targets` (pairs,) is the column of each pair's own document. `masked` (pairs, documents) is true where a document
    of the step answers the query too: it is neither its target nor a negative. `weights` (pairs,). `discounts`
    (pairs, documents) is the logarithm of a weak negative's weight and 0 elsewhere, None without weak negatives.
    `teacher` (pairs, documents) holds a teacher's logits and NaN where there are none, None without a teacher;
    `grades` (pairs, documents) judgments in [0, 1], NaN where there are none; `wanted` (pairs, documents) the cosines
    of another embedding model. `sources` (pairs,) are places in `SOURCES`. `frozen` (documents, dimension) takes the
    place of `documents` where only the query side is tuned.
    """

    queries: tuple[TextBatch, ...]
    documents: tuple[TextBatch, ...]
    targets: Tensor
    masked: Tensor
    weights: Tensor
    discounts: Tensor | None = None
    teacher: Tensor | None = None
    frozen: Tensor | None = None
    grades: Tensor | None = None
    wanted: Tensor | None = None
    sources: Tensor | None = None

    @property
    def token_ids(self) -> Tensor:
        """The ids of all tokens of the step, padding included; (tokens,)."""
        return torch.cat([part.input_ids.flatten() for part in (*self.queries, *self.documents)])

    def to(self, device: torch.device) -> "StepBatch":
        """Return the batch on another device."""

        def move(batch: TextBatch) -> TextBatch:
            return TextBatch(*(part.to(device) for part in (batch.input_ids, batch.attention_mask, batch.rows)))

        tensors = {name: value for name in _TENSORS if (value := getattr(self, name)) is not None}
        moved = {name: value.to(device) for name, value in tensors.items()}
        return replace(
            self, queries=tuple(map(move, self.queries)), documents=tuple(map(move, self.documents)), **moved
        )


_TENSORS = tuple(field.name for field in fields(StepBatch) if field.name not in {"queries", "documents"})


def collate(
    examples: Examples,
    step: NDArray[np.int32],
    *,
    hard_negatives: int,
    piece: Piece,
    pad_id: int,
    seed: int,
    mask_above: float | None = None,
) -> StepBatch:
    """Build the tensors of a step: its queries, their documents, and `hard_negatives` mined ones per document.

    With `mask_above`, a document that the guide puts nearer to a query than this share of the cosine of its positive is
    no negative of it.
    """
    queries = examples.pair_query[step]
    positives = examples.pair_document[step]
    negatives = _draw_negatives(examples, queries, positives, count=hard_negatives, seed=seed)
    documents, columns = np.unique(np.concatenate([positives, negatives]), return_inverse=True)
    targets = columns[: len(positives)]
    frozen = examples.frozen
    return replace(
        what_is_known(examples, step, documents, targets, mask_above=mask_above),
        queries=_pad(examples.query_tokens, queries, piece=piece, pad_id=pad_id),
        documents=() if frozen else _pad(examples.document_tokens, documents, piece=piece, pad_id=pad_id),
        frozen=torch.from_numpy(frozen.of(documents)) if frozen else None,
    )


def what_is_known(
    examples: Examples,
    step: NDArray[np.integer],
    documents: NDArray[np.int32],
    targets: NDArray[np.int64],
    *,
    mask_above: float | None,
) -> StepBatch:
    """Return the step of some pairs over some documents without its texts: what the objectives know of it."""
    queries = examples.pair_query[step]
    masked = examples.is_answer(queries, documents)
    if mask_above is not None:
        masked |= _too_near(examples, queries, documents, targets, share=mask_above)
    masked[np.arange(len(step)), targets] = False
    weak, scores, grades, wanted = examples.weak_negatives, examples.teacher_scores, examples.grades, examples.wanted
    return StepBatch(
        queries=(),
        documents=(),
        targets=torch.from_numpy(targets.astype(np.int64)),
        masked=torch.from_numpy(masked),
        weights=torch.from_numpy(examples.pair_weight[step]),
        discounts=torch.from_numpy(np.log(weak.look_up(queries, documents, 1.0))) if len(weak) else None,
        teacher=torch.from_numpy(scores.look_up(queries, documents, np.nan)) if len(scores) else None,
        grades=torch.from_numpy(grades.look_up(queries, documents, np.nan)) if len(grades) else None,
        wanted=torch.from_numpy(wanted.cosines(queries, documents)) if wanted else None,
        sources=torch.from_numpy(examples.pair_source[step]),
    )


def _too_near(
    examples: Examples,
    queries: NDArray[np.int32],
    documents: NDArray[np.int32],
    targets: NDArray[np.int64],
    *,
    share: float,
) -> NDArray[np.bool_]:
    """Tell which documents may be answers that nobody judged; (queries, documents).

    The limit lies `1 − share` of the positive's cosine below it, also where that is negative.

    Reference: GISTEmbed, Solatorio 2024, https://arxiv.org/abs/2402.16829, with the margin of NV-Retriever.
    """
    assert examples.guide is not None
    cosines = examples.guide.cosines(queries, documents)
    positives = cosines[np.arange(len(queries)), targets][:, None]  # (queries, 1)
    found: NDArray[np.bool_] = cosines > positives - (1 - share) * np.abs(positives)
    return found


def _draw_negatives(
    examples: Examples, queries: NDArray[np.int32], positives: NDArray[np.int32], *, count: int, seed: int
) -> NDArray[np.int32]:
    """Draw up to `count` hard negatives per document of the step, at random among those mined for its queries."""
    rng = np.random.default_rng(seed)
    drawn = [np.zeros(0, dtype=np.int32)]
    for document in np.unique(positives) if count else ():
        mined = np.unique(np.concatenate([examples.negatives[query] for query in queries[positives == document]]))
        mined = mined[mined != document]
        drawn.append(mined if len(mined) <= count else rng.choice(mined, count, replace=False))
    return np.concatenate(drawn)


def _pad(table: TokenTable, rows: NDArray[np.int32], *, piece: Piece, pad_id: int) -> tuple[TextBatch, ...]:
    """Sort texts by length and pad them in pieces, so that little of the work is padding; longest first."""
    lengths = table.lengths[rows]
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        width = int(lengths[order[start]])
        places = order[start : start + min(piece.texts, max(1, piece.tokens // width))]
        start += len(places)
        input_ids = np.full((len(places), width), pad_id, dtype=np.int64)
        attention = np.zeros((len(places), width), dtype=np.int64)
        for line, place in enumerate(places):
            tokens = table.row(int(rows[place]))
            input_ids[line, : len(tokens)] = tokens
            attention[line, : len(tokens)] = 1
        batches.append(TextBatch(torch.from_numpy(input_ids), torch.from_numpy(attention), torch.from_numpy(places)))
    return tuple(batches)
