"""Who may ask: keys, from a file or the environment. A key is never shown, logged, or told of in an error."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from dialekt.errors import ConfigError, UnauthorizedError

KEYS_VARIABLE = "API_KEY"
_SCHEME = b"Bearer "


@dataclass(frozen=True, slots=True)
class Keys:
    """The server's keys as SHA-256 digests; without any, everybody may ask."""

    digests: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, file: Path | None, environment: Mapping[str, str]) -> Self:
        """Read keys, one a line, from a file, and those in API_KEY, which are separated by commas.

        Empty lines and lines that start with `#` are skipped. Raises `ConfigError` for a file that cannot be read or
        has no key, and for a key with a blank or a character outside ASCII in it.
        """
        named = environment.get(KEYS_VARIABLE, "").split(",")
        keys = _checked(((key.strip(), KEYS_VARIABLE) for key in named), path=None)
        if file is not None:
            keys += _read(file)
        return cls(tuple(dict.fromkeys(sha256(key.encode()).digest() for key in keys)))

    def check(self, authorization: bytes | None) -> None:
        """Raise `UnauthorizedError` unless the header holds one of the keys.

        Every key is compared, and as a digest, so that the time says neither which one nor how much of it is right.
        """
        if not self.digests:
            return
        given = authorization or b""
        digest = sha256(given[len(_SCHEME) :]).digest()
        found = sum([hmac.compare_digest(digest, key) for key in self.digests])
        if not (found and given.startswith(_SCHEME)):
            raise UnauthorizedError("the request has no key of this server", hint="send Authorization: Bearer KEY")


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"the API keys cannot be read: {reason}", path=file) from None
    numbered = ((line.strip(), f"line {number}") for number, line in enumerate(lines, 1))
    keys = _checked(((key, where) for key, where in numbered if not key.startswith("#")), path=file)
    if not keys:
        raise ConfigError("there is no API key in the file", hint="write one key a line", path=file)
    return keys


def _checked(keys: Iterable[tuple[str, str]], *, path: Path | None) -> list[str]:
    found = [(key, where) for key, where in keys if key]
    for key, where in found:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigError(f"{where}: an API key may hold printable ASCII characters without blanks", path=path)
    return [key for key, _ in found]
