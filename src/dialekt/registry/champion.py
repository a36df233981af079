"""registry/aliases.json: which version is the champion, and the log of how it came to be. Append-only."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dialekt.errors import StorageError
from dialekt.registry.records import Promotion, PromotionKind
from dialekt.store.atomic import write_atomic

ALIASES_NAME = "aliases.json"


@dataclass(frozen=True, slots=True)
class Aliases:
    """The champion's name (empty before the first promotion) and all promotions and rollbacks, in order."""

    champion: str = ""
    history: tuple[Promotion, ...] = ()

    def promoted(self) -> tuple[str, ...]:
        """Return the champions that a rollback walks back through, the present one last."""
        stack: list[str] = []
        for entry in self.history:
            match entry.kind:
                case PromotionKind.PROMOTE:
                    stack.append(entry.version)
                case PromotionKind.ROLLBACK:
                    stack.pop()
        return tuple(stack)


_ALIASES = TypeAdapter(Aliases)


def read_aliases(registry: Path) -> Aliases:
    """Read the aliases; none were given when there is no file. Raises `StorageError` for a damaged file."""
    path = registry / ALIASES_NAME
    try:
        return _ALIASES.validate_json(path.read_bytes())
    except FileNotFoundError:
        return Aliases()
    except OSError as error:
        raise StorageError(f"the aliases cannot be read: {error.strerror}", path=path) from error
    except ValidationError as error:
        raise StorageError(
            f"the aliases are damaged: {error.errors()[0]['msg']}",
            path=path,
            hint="restore the file from a backup",
        ) from None


def append(registry: Path, promotion: Promotion) -> Promotion:
    """Add an entry to the log and let the champion follow it, in one write. The caller holds the lock."""
    aliases = Aliases(promotion.version, (*read_aliases(registry).history, promotion))
    write_atomic(registry / ALIASES_NAME, json.dumps(asdict(aliases), indent=2, ensure_ascii=False) + "\n")
    return promotion
