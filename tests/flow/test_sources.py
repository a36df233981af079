"""The content of the user's files."""

import os
from pathlib import Path

import pytest

from dialekt.errors import InputError
from dialekt.flow.sources import SourceHashes


def _write(path: Path, content: str, *, age_seconds: float = 60) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    past = path.stat().st_mtime - age_seconds
    os.utime(path, (past, past))


def test_hashes_are_of_content_not_of_time(tmp_path: Path) -> None:
    """Touching a file changes nothing; changing one byte of equal length does."""
    file = tmp_path / "rows.jsonl"
    _write(file, "one")
    first = SourceHashes(tmp_path / "cache.json").of(file)
    os.utime(file)
    assert SourceHashes(tmp_path / "cache.json").of(file) == first
    _write(file, "two")
    assert SourceHashes(tmp_path / "cache.json").of(file) != first


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    """A file replaced by one of the same size and modification time is hashed again: its change time differs."""
    file = tmp_path / "rows.jsonl"
    _write(file, "one")
    before = file.stat()
    hashes = SourceHashes(tmp_path / "cache.json")
    first = hashes.of(file)
    hashes.save()
    file.write_text("two", encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert SourceHashes(tmp_path / "cache.json").of(file) != first


def test_a_damaged_cache_only_costs_time(tmp_path: Path) -> None:
    """A cache that cannot be read is ignored."""
    file = tmp_path / "rows.jsonl"
    _write(file, "one")
    (tmp_path / "cache.json").write_text("{ cut", encoding="utf-8")
    assert SourceHashes(tmp_path / "cache.json").of(file).keys() == {"rows.jsonl"}


def test_a_folder_counts_without_hidden_and_excluded_files(tmp_path: Path) -> None:
    """Hidden files, hidden folders and the project's own output are no part of a source."""
    for name in ("a.md", "deep/b.md", ".hidden", ".dialekt/c.md", "registry/v1/d.md", "dialekt.toml"):
        _write(tmp_path / name, name)
    excluded = [tmp_path / "registry", tmp_path / "dialekt.toml"]
    found = SourceHashes(tmp_path / ".cache").of(tmp_path, excluded=excluded)
    assert list(found) == ["a.md", "deep/b.md"]


def test_a_missing_source_is_a_clear_error(tmp_path: Path) -> None:
    """A path that is not there is named, with a hint."""
    with pytest.raises(InputError, match="nowhere: there is no such file or folder") as caught:
        SourceHashes(tmp_path / ".cache").of(tmp_path / "nowhere")
    assert "dialekt.toml" in caught.value.hint
