"""The engine cache."""

import os
import threading
import time
from pathlib import Path

import pytest

from dialekt.config import EngineName
from dialekt.errors import StorageError
from dialekt.models.engines.cache import EngineCache, default_root, open_cache
from dialekt.models.engines.records import EngineChoice, EngineTrial

CHOICE = EngineChoice(
    EngineName.ONNX,
    measured=True,
    trials=(
        EngineTrial(EngineName.ONNX, "fp32", 10.0, 2.0, min_cosine=1.0),
        EngineTrial(EngineName.ONNX_INT8, "int8", refused="no dev queries"),
    ),
)


class Builder:
    """Writes a graph of a few bytes and counts how often."""

    def __init__(self) -> None:
        self.builds = 0

    def __call__(self, folder: Path) -> None:
        """Build into a folder."""
        self.builds += 1
        time.sleep(0.05)
        (folder / "model.onnx").write_bytes(b"graph")


def test_a_graph_is_built_once(tmp_path: Path) -> None:
    """What is there and whole is not built again; another key is another graph."""
    cache, builder = open_cache(tmp_path, "model"), Builder()
    folder = cache.graph("onnx", "key", builder)
    assert (folder / "model.onnx").read_bytes() == b"graph"
    assert cache.graph("onnx", "key", builder) == folder
    assert builder.builds == 1
    assert cache.graph("onnx", "other", builder) != folder
    assert builder.builds == 2


@pytest.mark.parametrize("damage", ["changed", "removed", "added"])
def test_a_damaged_graph_is_built_again(tmp_path: Path, damage: str) -> None:
    """A file that was changed, is missing or belongs to nobody makes the folder worthless."""
    cache, builder = open_cache(tmp_path, "model"), Builder()
    file = cache.graph("onnx", "key", builder) / "model.onnx"
    match damage:
        case "changed":
            file.write_bytes(b"grapf")
        case "removed":
            file.unlink()
        case "added":
            (file.parent / "model.bin").write_bytes(b"")
    folder = cache.graph("onnx", "key", builder)
    assert builder.builds == 2
    assert (folder / "model.onnx").read_bytes() == b"graph"
    assert not (folder / "model.bin").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The reason comes through, and the next attempt starts afresh."""
    cache, builder = open_cache(tmp_path, "model"), Builder()

    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"")
        raise StorageError("out of luck")

    with pytest.raises(StorageError, match="out of luck"):
        cache.graph("onnx", "key", fail)
    assert {path.name for path in cache.folder.iterdir()} == {".lock"}
    cache.graph("onnx", "key", builder)
    assert builder.builds == 1


def test_one_builds_and_others_wait(tmp_path: Path) -> None:
    """Two servers that start together build one graph."""
    builder = Builder()
    threads = [
        threading.Thread(target=lambda: open_cache(tmp_path, "model").graph("onnx", "key", builder)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builder.builds == 1


def test_models_that_nobody_serves_are_forgotten(tmp_path: Path) -> None:
    """A build removes the graphs of models that were not used for a month."""
    old, recent = open_cache(tmp_path, "old"), open_cache(tmp_path, "recent")
    for cache in (old, recent):
        cache.graph("onnx", "key", Builder())
    month_ago = time.time() - 31 * 86_400
    os.utime(old.folder, (month_ago, month_ago))
    open_cache(tmp_path, "new").graph("onnx", "key", Builder())
    assert not old.folder.exists()
    assert recent.folder.exists()


def test_a_choice_comes_back(tmp_path: Path) -> None:
    """A choice is read back as it was made, said to be from the cache; under another key there is none."""
    cache = open_cache(tmp_path, "model")
    assert cache.read_choice("a" * 64) is None
    cache.write_choice("a" * 64, CHOICE)
    assert cache.read_choice("a" * 64) == EngineChoice(
        EngineName.ONNX, measured=True, from_cache=True, trials=CHOICE.trials
    )
    assert cache.read_choice("b" * 64) is None
    assert cache.read_choice("a" * 63 + "b") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "key": "k", "engine": "abacus", "trials": []}'])
def test_a_damaged_choice_is_none(tmp_path: Path, content: str) -> None:
    """Whatever stands in the file, the server starts and measures again."""
    cache = open_cache(tmp_path, "model")
    cache.write_choice("k", CHOICE)
    next(cache.folder.glob("choice-*")).write_text(content, encoding="utf-8")
    assert cache.read_choice("k") is None


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where the cache belongs: a graph cannot be had, and a choice is just not kept."""
    (tmp_path / "cache").write_bytes(b"")
    cache = EngineCache(tmp_path / "cache" / "model")
    with pytest.raises(StorageError, match="a file is where a folder belongs"):
        cache.graph("onnx", "key", Builder())
    cache.write_choice("k", CHOICE)
    assert cache.read_choice("k") is None


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's cache folder, as the XDG specification names it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "dialekt" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_root() == Path.home() / ".cache" / "dialekt" / "engines"
