"""The aliases file is read whole or refused."""

from pathlib import Path

import pytest

from dialekt.errors import StorageError
from dialekt.registry.champion import Aliases, append, read_aliases
from dialekt.registry.records import Promotion, PromotionKind


def test_no_file_means_no_champion(tmp_path: Path) -> None:
    """A registry without aliases has promoted nothing."""
    assert read_aliases(tmp_path) == Aliases()


def test_damaged_file_is_an_error(tmp_path: Path) -> None:
    """A damaged file is never taken for an empty one."""
    (tmp_path / "aliases.json").write_text('{"champion": ')
    with pytest.raises(StorageError, match="the aliases are damaged: Invalid JSON"):
        read_aliases(tmp_path)


def test_entries_are_appended(tmp_path: Path) -> None:
    """What was written stays, and reads back as it was."""
    first = Promotion("1", PromotionKind.PROMOTE, "v1", "")
    second = Promotion("2", PromotionKind.PROMOTE, "v2", "v1", reason="why", overridden=("no evidence",))
    append(tmp_path, first)
    append(tmp_path, second)
    assert read_aliases(tmp_path) == Aliases("v2", (first, second))
    assert read_aliases(tmp_path).promoted() == ("v1", "v2")
