"""Versions side by side, and the change from one to the next, with real models and real threads."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.running import ask, running

from dialekt.config import ModelConfig
from dialekt.errors import (
    UnknownModelError,
)
from dialekt.registry.aliases import promote, rollback
from dialekt.serving.service import Service
from dialekt.serving.sources import RegistrySource

pytestmark = pytest.mark.anyio


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
