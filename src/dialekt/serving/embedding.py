"""Documents' vectors for the threads that fill an index, made by the models that answer requests."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import ModelError, UnavailableError
from dialekt.models.engines.records import ModelInput, TokenizeOptions
from dialekt.serving.records import Outcome, Priority, Work
from dialekt.serving.service import Service
from dialekt.serving.shaping import shape
from dialekt.serving.shelf import Slot
from dialekt.serving.windows import join_outcomes, windows_of
from dialekt.store.hashing import hash_text
from dialekt.types import Role

_AT_ONCE = 128  # texts that are inside the engine's queue at a time: searches go before them
_CUT_REMEMBERED = 10_000


class DocumentEncoder:
    """One loaded model, for threads. Unless a search waits for it, searches go first."""

    def __init__(self, service: Service, slot: Slot, *, priority: Priority = Priority.BULK):
        self._service = service
        self._slot = slot
        self._priority = priority
        self._loop = asyncio.get_running_loop()
        self._pending: set[Future[NDArray[np.float32]]] = set()
        self._cut: OrderedDict[str, None] = OrderedDict()
        self._stopped = False

    @property
    def max_tokens(self) -> int:
        """What a text is cut to."""
        return self._slot.pipeline.servable.max_tokens

    def __call__(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return (texts, dimension), L2-normalised. Blocks; call it from any thread but the event loop's."""
        if self._stopped:
            raise UnavailableError("the server is about to end")
        future = asyncio.run_coroutine_threadsafe(self._embed(texts, role), self._loop)
        self._pending.add(future)
        try:
            return future.result()
        except CancelledError:
            raise UnavailableError("the model was let go while it was asked") from None
        finally:
            self._pending.discard(future)

    def was_cut(self, text: str) -> bool:
        """Whether a text that was embedded lately reached the model's limit."""
        return hash_text(text) in self._cut

    def stop(self) -> None:
        """Give up what is being computed; the log still has it."""
        self._stopped = True
        for future in list(self._pending):
            future.cancel()

    async def _embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        contract = self._slot.pipeline.servable.contract
        if contract is None:
            raise ModelError("the model of the index makes no vectors")
        work = Work(
            inputs=tuple(ModelInput(text) for text in texts),
            options=TokenizeOptions(contract.prompt(role)),
            priority=self._priority,
            deadline_seconds=self._service.config.deadline_seconds,
        )
        with self._service.holding(self._slot) as lease:
            parts: list[Outcome] = [await lease.run(window) for window in windows_of(work, most=_AT_ONCE)]
        outcome = join_outcomes(parts)
        self._remember(texts, outcome)
        return shape(outcome.values, dimensions=contract.dimension, normalize=True)

    def _remember(self, texts: Sequence[str], outcome: Outcome) -> None:
        for text, tokens in zip(texts, outcome.tokens, strict=True):
            if tokens >= self.max_tokens:
                self._cut[hash_text(text)] = None
        while len(self._cut) > _CUT_REMEMBERED:
            self._cut.popitem(last=False)
