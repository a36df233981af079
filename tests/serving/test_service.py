"""The server without HTTP, with real models and real threads."""

import asyncio
import io
import json
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.config import EngineName, LogStyle, ModelConfig, ServingConfig
from dialekt.errors import (
    BackendError,
    ClientGoneError,
    DeadlineError,
    OverloadedError,
    RequestError,
    UnknownModelError,
)
from dialekt.models.encoder import Encoder, normalize
from dialekt.models.engines.records import ModelInput, ModelKind, TokenizeOptions, TokenRow
from dialekt.registry.aliases import promote, rollback
from dialekt.serving.journal import Journal
from dialekt.serving.records import Outcome, Priority, Work
from dialekt.serving.service import Lease, Service, make_service
from dialekt.serving.shelf import GIB
from dialekt.serving.sources import FolderSource, RegistrySource, Source
from dialekt.types import Role

CONFIG = ModelConfig(device="cpu")
WORDS = ["red", "green", "blue", "hot", "cold"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the server."""
    return "asyncio"


@asynccontextmanager
async def running(sources: Sequence[Source], tmp_path: Path, **settings: Any) -> AsyncIterator[Service]:
    """A started service whose default model is loaded."""
    config = ServingConfig(engine=EngineName.TORCH, cache=tmp_path / "engines", **settings)
    journal = Journal(io.BytesIO(), LogStyle.JSON)
    service = make_service(config, sources, journal=journal)
    await service.start()
    try:
        async with service.lease(None):
            pass
        yield service
    finally:
        await service.stop()
        journal.close()


def work(*texts: str, **changes: Any) -> Work:
    """Work with some texts."""
    given: dict[str, Any] = {"priority": Priority.QUERY, "deadline_seconds": 5.0, "options": TokenizeOptions()}
    given |= changes
    return Work(inputs=tuple(ModelInput(text) for text in texts), **given)


async def ask(service: Service, reference: str | None, *texts: str) -> tuple[str, Outcome]:
    """Ask a model for vectors; return what answered, and the outcome."""
    async with service.lease(reference, ModelKind.EMBEDDING) as lease:
        with service.admit(len(texts)):
            return lease.reference, await lease.run(work(*texts))


def tiny(folder: Path, name: str = "tiny") -> FolderSource:
    """The tiny model under a name."""
    return FolderSource(name, str(folder), CONFIG)


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


@pytest.fixture
def two_versions(project_copy: Path) -> Path:
    """A registry with v1 and v2, whose vectors differ, v1 promoted."""
    registry = project_copy / "registry"
    shutil.copytree(registry / "models" / "v1", registry / "models" / "v2")
    _make_other(registry / "models" / "v2")
    promote(registry, "v1", minimum_gain=0.0, now="2026-01-01T00:00:00+00:00")
    return registry


def _make_other(folder: Path) -> None:
    """Change a version's weights and its record, so that it is a whole version of its own."""
    from safetensors.numpy import load_file, save_file

    from dialekt.store.manifest import hash_files

    weights = next((folder / "model").rglob("*.safetensors"))
    weights.chmod(0o644)
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("word_embeddings.weight"))
    save_file({**tensors, name: tensors[name][::-1].copy()}, weights, metadata={"format": "pt"})
    path = folder / "version.json"
    path.chmod(0o644)
    record = json.loads(path.read_text(encoding="utf-8"))
    record |= {"name": folder.name, "files": hash_files(folder / "model"), "content_id": "0" * 64}
    path.write_text(json.dumps(record), encoding="utf-8")


def _registry_source(registry: Path, default: str = "champion") -> RegistrySource:
    return RegistrySource("support", registry, default, ModelConfig(base=str(registry.parent / "base")), lambda: None)


async def test_versions_and_aliases_answer_side_by_side(two_versions: Path, tmp_path: Path) -> None:
    """Versions, aliases and the untuned base are asked for by name, and each answer says which version it is."""
    async with running([_registry_source(two_versions)], tmp_path) as service:
        answers = {
            reference: await ask(service, reference, "pump valve")
            for reference in (None, "support@v1", "support@v2", "support@latest", "support@champion", "support@base")
        }
        said = {reference: answer[0] for reference, answer in answers.items()}
        assert said[None] == said["support@champion"] == "support@v1"
        assert said["support@latest"] == "support@v2"
        assert said["support@base"] == "support@base"
        first, second = answers["support@v1"][1].values, answers["support@v2"][1].values
        assert not np.allclose(first, second, atol=1e-2)
        assert np.array_equal(answers[None][1].values, first)
        with pytest.raises(UnknownModelError, match="'support@v9' is not served"):
            await ask(service, "support@v9", "pump")
        with pytest.raises(UnknownModelError, match="is not served here"):
            await ask(service, "support@../../v1", "pump")
        rows = {row.id: row for row in service.rows()}
        assert rows["support@v1"].aliases == ("support@champion",)
        assert rows["support"].aliases == ("support@v1",)
        assert rows["support@v2"].loaded
        assert rows["support@v1"].dimensions == (32,)


async def test_promotion_and_rollback_change_over_without_a_failed_request(two_versions: Path, tmp_path: Path) -> None:
    """Under load every answer is of the version that it names, and the new champion answers soon."""
    async with running([_registry_source(two_versions)], tmp_path) as service:
        expected = {name: (await ask(service, f"support@{name}", "pump valve"))[1].values for name in ("v1", "v2")}
        seen: list[str] = []
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                reference, outcome = await ask(service, None, "pump valve")
                assert np.allclose(outcome.values, expected[reference.partition("@")[2]], atol=1e-3)
                seen.append(reference)

        clients = [asyncio.create_task(load()) for _ in range(4)]
        for _ in range(3):
            promote(two_versions, "v2", minimum_gain=0.0, override_reason="test", now="2026-01-02T00:00:00+00:00")
            await _until(lambda: seen[-1:] == ["support@v2"])
            rollback(two_versions, now="2026-01-03T00:00:00+00:00")
            await _until(lambda: seen[-1:] == ["support@v1"])
        stop.set()
        await asyncio.gather(*clients)
    assert {"support@v1", "support@v2"} == set(seen)


async def _until(holds: Any) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it did not happen within 10 s"
        await asyncio.sleep(0.02)


async def test_a_champion_that_cannot_be_loaded_leaves_the_old_one(two_versions: Path, tmp_path: Path) -> None:
    """A damaged version is not changed over to."""
    async with running([_registry_source(two_versions)], tmp_path) as service:
        (two_versions / "models" / "v2" / "model" / "config.json").chmod(0o644)
        (two_versions / "models" / "v2" / "model" / "config.json").write_text("{}", encoding="utf-8")
        promote(two_versions, "v2", minimum_gain=0.0, override_reason="test", now="2026-01-02T00:00:00+00:00")
        await asyncio.sleep(0.7)
        assert (await ask(service, None, "pump"))[0] == "support@v1"


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


async def test_a_repaired_version_is_tried_again(two_versions: Path, tmp_path: Path) -> None:
    """A version that could not be loaded is forgotten once its name means another one."""
    async with running([_registry_source(two_versions)], tmp_path) as service:
        config = two_versions / "models" / "v2" / "model" / "config.json"
        whole = config.read_bytes()
        config.chmod(0o644)
        config.write_text("{}", encoding="utf-8")
        promote(two_versions, "v2", minimum_gain=0.0, override_reason="test", now="2026-01-02T00:00:00+00:00")
        await asyncio.sleep(0.7)
        rollback(two_versions, now="2026-01-03T00:00:00+00:00")
        await asyncio.sleep(0.7)
        config.write_bytes(whole)
        promote(two_versions, "v2", minimum_gain=0.0, override_reason="test", now="2026-01-04T00:00:00+00:00")
        assert await _answers(service, "support@v2")


async def _answers(service: Service, reference: str) -> bool:
    """Whether the default comes to mean a version within ten seconds."""
    end = time.monotonic() + 10
    while (await ask(service, None, "pump"))[0] != reference and time.monotonic() < end:
        await asyncio.sleep(0.05)
    return time.monotonic() < end


async def test_a_registry_that_cannot_be_read_for_a_while_is_followed_again(two_versions: Path, tmp_path: Path) -> None:
    """Whatever goes wrong in looking, the server looks again."""
    async with running([_registry_source(two_versions)], tmp_path) as service:
        aliases = two_versions / "aliases.json"
        kept = aliases.read_bytes()
        aliases.unlink()
        aliases.mkdir()  # reading it is an OSError
        await asyncio.sleep(0.7)
        assert (await ask(service, None, "pump"))[0] == "support@v1"
        aliases.rmdir()
        aliases.write_bytes(kept)
        promote(two_versions, "v2", minimum_gain=0.0, override_reason="test", now="2026-01-02T00:00:00+00:00")
        assert await _answers(service, "support@v2")


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
