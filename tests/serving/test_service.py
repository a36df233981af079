"""The server without HTTP, with real models and real threads."""

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.serving.running import CONFIG, ask, running, tiny, work

from dialekt.errors import (
    BackendError,
    ClientGoneError,
    DeadlineError,
    OverloadedError,
    RequestError,
    UnknownModelError,
)
from dialekt.models.encoder import Encoder, normalize
from dialekt.models.engines.records import ModelKind, TokenizeOptions, TokenRow
from dialekt.serving.records import Outcome, Priority, Work
from dialekt.serving.service import Lease, Service
from dialekt.serving.shelf import GIB
from dialekt.types import Role

WORDS = ["red", "green", "blue", "hot", "cold"]
pytestmark = pytest.mark.anyio


async def test_vectors_equal_those_of_the_library(tiny_model: Path, tmp_path: Path) -> None:
    """Whatever came together in a batch, in any order, a text has the vector that the library gives it."""
    texts = [f"pump {word} " * (1 + number % 17) for number, word in enumerate(WORDS * 8)]
    encoder = Encoder.load(str(tiny_model), CONFIG)
    expected = encoder.encode(texts, Role.DOCUMENT)
    async with running([tiny(tiny_model)], tmp_path) as service:
        found = await asyncio.gather(*(ask(service, None, text) for text in reversed(texts)))
        _, together = await ask(service, None, *texts)
    singles = normalize(np.concatenate([outcome.values for _, outcome in reversed(found)]))
    assert float((singles * expected).sum(axis=1).min()) >= 0.9999
    assert float((normalize(together.values.copy()) * expected).sum(axis=1).min()) >= 0.9999
    assert together.tokens == tuple(len(ids) for ids in encoder.token_ids(texts, Role.DOCUMENT))


async def test_too_long_and_unknown_requests_fail_alone(tiny_model: Path, tmp_path: Path) -> None:
    """A text that may not be cut and is too long is refused; requests beside it are answered."""
    async with running([tiny(tiny_model)], tmp_path) as service, service.lease(None) as lease:
        long = lease.run(work("pump " * 100, options=TokenizeOptions(truncate=False)))
        short = lease.run(work("pump", options=TokenizeOptions(truncate=False)))
        refused, answered = await asyncio.gather(long, short, return_exceptions=True)
        assert isinstance(answered, Outcome)
        with pytest.raises(RequestError, match=r"`inputs` must have less than 64 tokens. Given: 102"):
            raise_it(refused)
        with pytest.raises(UnknownModelError, match="'other' is not served"):
            async with service.lease("other"):
                pass
        with pytest.raises(UnknownModelError, match="'tiny@' is not served"):
            async with service.lease("tiny@"):
                pass
        with pytest.raises(UnknownModelError, match="has no versions"):
            async with service.lease("tiny@v1"):
                pass
        with pytest.raises(BackendError, match="is not a re-ranker model"):
            async with service.lease(None, ModelKind.RERANKER):
                pass


def raise_it(found: object) -> None:
    """Raise what was returned."""
    assert isinstance(found, BaseException)
    raise found


async def test_more_inputs_than_permits_are_refused_whole(tiny_model: Path, tmp_path: Path) -> None:
    """One permit per input: the refusal names the limit, how full it is, and when to come again."""
    async with running([tiny(tiny_model)], tmp_path, max_concurrent_requests=3) as service:
        with service.admit(2):
            with pytest.raises(OverloadedError, match="2 of 3 inputs are in flight, the request has 2 more") as refused:
                service.admit(2).__enter__()
            assert refused.value.retry_after_seconds >= 1
            assert "--max-concurrent-requests" in refused.value.hint
            with service.admit(1):
                assert service.in_flight == 3
        assert service.in_flight == 0


async def test_a_long_array_runs_in_windows(tiny_model: Path, tmp_path: Path) -> None:
    """An array of more inputs than there are permits is answered in order, and leaves room for others."""
    texts = [f"pump {number}" for number in range(50)]
    async with (
        running([tiny(tiny_model)], tmp_path, max_concurrent_requests=8) as service,
        service.lease(None) as lease,
    ):
        task = asyncio.create_task(service.run_windows(lease, work(*texts, priority=Priority.BULK)))
        await asyncio.sleep(0)
        assert service.in_flight == 4
        _, single = await ask(service, None, texts[17])
        whole = await task
    assert whole.values.shape == (50, 32)
    assert np.allclose(whole.values[17], single.values[0], atol=1e-2)


async def test_deadlines_and_clients_that_leave_end_the_work(tiny_model: Path, tmp_path: Path) -> None:
    """A request that nobody waits for any more is dropped before it is computed."""
    async with running([tiny(tiny_model)], tmp_path) as service, service.lease(None) as lease:
        busy, before = _hold_the_engine(lease), _computed(service)
        try:
            with pytest.raises(DeadlineError, match=r"no answer within 0.1 s"):
                await lease.run(work("pump", deadline_seconds=0.1))

            async def left() -> dict[str, str]:
                return {"type": "http.disconnect"}

            with pytest.raises(ClientGoneError, match="has gone"):
                await lease.run(work("pump"), left)
            asked = asyncio.create_task(lease.run(work("pump")))
            await asyncio.sleep(0.05)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
        finally:
            busy.close()
        assert (await lease.run(work("seal"))).values.shape == (1, 32)
        assert service.waiting == 0
        assert _computed(service) == before + 2  # the one that held the engine back, and the last


def _computed(service: Service) -> int:
    """How many batches went into the engine."""
    line = next(line for line in service.metrics.render().decode().splitlines() if "batch_next_size_count" in line)
    return int(line.split()[-1])


def _hold_the_engine(lease: Lease) -> ExitStack:
    """Keep the engine from computing, as a long batch would, until the stack is closed."""
    stack = ExitStack()
    cores = lease.slot.pipeline._options.cores
    stack.enter_context(cores.hold(cores.count))
    return stack


async def test_a_query_overtakes_bulk(tiny_model: Path, tmp_path: Path) -> None:
    """A query that comes after much bulk is answered before most of it."""
    async with running([tiny(tiny_model)], tmp_path, max_batch_tokens=256) as service, service.lease(None) as lease:
        busy = _hold_the_engine(lease)
        order: list[str] = []

        async def run(name: str, item: Work) -> None:
            await lease.run(item)
            order.append(name)

        bulk = [run(f"bulk {n}", work("pump " * 60, priority=Priority.BULK)) for n in range(40)]
        tasks = [asyncio.create_task(job) for job in bulk]
        await asyncio.sleep(0.1)
        tasks.append(asyncio.create_task(run("query", work("seal"))))
        await asyncio.sleep(0.1)
        busy.close()
        await asyncio.gather(*tasks)
    assert order.index("query") < 20


async def test_models_leave_memory_for_others(tiny_model: Path, tmp_path: Path) -> None:
    """With room for two, the one not used for longest goes; the default stays; what is too big is refused."""
    sources = [tiny(tiny_model, name) for name in ("one", "two", "three")]
    on_disk = sum(path.stat().st_size for path in tiny_model.rglob("*.safetensors"))
    async with running(sources, tmp_path) as service, service.lease(None) as lease:
        size = 1.5 * (on_disk + lease.model.size_bytes) / GIB
    async with running(sources, tmp_path, memory_limit_gib=size) as service:
        for name in ("two", "three", "two"):
            assert (await ask(service, name, "pump"))[0] == name
        loaded = {row.id for row in service.rows() if row.loaded}
        assert "one" in loaded
        assert loaded == {"one", "two"}
    async with running(sources, tmp_path, memory_limit_gib=1e-9) as service:
        with pytest.raises(BackendError, match=r"needs .* GiB"):
            await ask(service, "two", "pump")


async def test_only_the_culprit_of_a_failed_call_fails(tiny_model: Path, tmp_path: Path) -> None:
    """When the engine fails on one row, the others of its call are computed without it."""
    async with running([tiny(tiny_model)], tmp_path) as service, service.lease(None) as lease:
        engine = lease.model.engine
        whole = engine.run

        def choke(rows: Sequence[TokenRow]) -> NDArray[np.float32]:
            if any(len(row.ids) > 20 for row in rows):
                raise MemoryError
            return whole(rows)

        engine.run = choke  # type: ignore[method-assign] # no real engine fails at will
        asked = [lease.run(work(text)) for text in ("pump", "pump " * 30, "seal")]
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(answer, Outcome) for answer in answers] == [True, False, True]
    with pytest.raises(BackendError, match="unexpected MemoryError"):
        raise_it(answers[1])


async def test_a_long_array_keeps_its_deadline(tiny_model: Path, tmp_path: Path) -> None:
    """Windows that come late do not get a deadline of their own."""
    texts = ["pump"] * 40
    async with (
        running([tiny(tiny_model)], tmp_path, max_concurrent_requests=8) as service,
        service.lease(None) as lease,
    ):
        engine = lease.model.engine
        whole = engine.run

        def slow(rows: Sequence[TokenRow]) -> NDArray[np.float32]:
            time.sleep(0.15)
            return whole(rows)

        engine.run = slow  # type: ignore[method-assign] # no real engine is slow at will
        with pytest.raises(DeadlineError, match="no answer within"):
            await service.run_windows(lease, work(*texts, deadline_seconds=0.4))


async def test_a_model_that_can_never_fit_puts_nothing_away(tiny_model: Path, tmp_path: Path) -> None:
    """A request for it is refused, and those in memory stay."""
    big = tmp_path / "big"
    shutil.copytree(tiny_model, big)
    (big / "more.safetensors").write_bytes(bytes(50_000_000))
    sources = [tiny(tiny_model, "one"), tiny(tiny_model, "two"), tiny(big, "big")]
    async with running(sources, tmp_path, memory_limit_gib=0.02) as service:
        await ask(service, "two", "pump")
        with pytest.raises(BackendError, match="'big' needs"):
            await ask(service, "big", "pump")
        assert {row.id for row in service.rows() if row.loaded} == {"one", "two"}
