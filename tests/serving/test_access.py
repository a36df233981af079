"""Keys: where they come from, and who has one."""

from pathlib import Path

import pytest

from dialekt.errors import ConfigError, UnauthorizedError
from dialekt.serving.access import Keys


def test_keys_come_from_file_and_environment(tmp_path: Path) -> None:
    """Each of them opens; comments, empty lines and blanks around keys do not count."""
    file = tmp_path / "keys"
    file.write_text("# the search team\nfirst-key\n\n  second-key  \n", encoding="utf-8")
    keys = Keys.load(file, {"API_KEY": "third-key, fourth-key,"})
    for key in (b"first-key", b"second-key", b"third-key", b"fourth-key"):
        keys.check(b"Bearer " + key)


@pytest.mark.parametrize(
    "given", [None, b"", b"Bearer ", b"Bearer wrong", b"secret", b"bearer secret", b"Bearer secret ", b"Basic secret"]
)
def test_anything_else_is_refused(given: bytes | None) -> None:
    """The header is compared exactly, and the refusal does not repeat it."""
    with pytest.raises(UnauthorizedError, match=r"^the request has no key of this server$"):
        Keys.load(None, {"API_KEY": "secret"}).check(given)


def test_without_keys_everybody_may_ask() -> None:
    """An empty variable, as container files write it, is no key."""
    keys = Keys.load(None, {"API_KEY": ""})
    assert keys.digests == ()
    keys.check(None)


def test_the_keys_themselves_are_not_kept() -> None:
    """Whoever prints the object learns nothing."""
    assert "secret" not in repr(Keys.load(None, {"API_KEY": "secret"}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# nothing\n", "there is no API key in the file"),
        ("good\nse cret\n", "line 2: an API key may hold printable ASCII"),
        ("sécret\n", "line 1: an API key may hold printable ASCII"),
    ],
)
def test_a_file_that_would_lock_out_or_let_in_by_mistake_is_an_error(
    tmp_path: Path, content: str, message: str
) -> None:
    """The message names the place, not the key."""
    file = tmp_path / "keys"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as refused:
        Keys.load(file, {})
    assert "cret" not in refused.value.message.replace(str(tmp_path), "")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A server that was to have keys does not start without them."""
    with pytest.raises(ConfigError, match="the API keys cannot be read"):
        Keys.load(tmp_path / "none", {})
