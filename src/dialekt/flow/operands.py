"""What can be compared: systems of the last evaluation, registered versions, run files, models and endpoints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dialekt.errors import UsageError
from dialekt.evaluation.records import MAIN_SYSTEMS
from dialekt.models.endpoint import EndpointKind
from dialekt.registry.versions import CHAMPION, LATEST, VERSION_NAME

LABEL = re.compile(r"([\w@.+-]+)=(.+)")
CUT_SYSTEM = re.compile(r"(base|tuned)@[1-9][0-9]*")
SYSTEMS = (*MAIN_SYSTEMS, "rrf_base", "rrf_tuned")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+|all-MiniLM-L6-v2")
KINDS_HINT = (
    "a system (base, tuned, bm25, hybrid_tuned, tuned@128), a version (v1, champion), a run file, a model's folder or "
    "Hub name, openai:http://host/v1#model or tei:http://host"
)


class OperandKind(StrEnum):
    """Where the ranking of an operand comes from."""

    SYSTEM = "system"
    VERSION = "version"
    RUN_FILE = "run file"
    MODEL = "model"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Operand:
    """Something to compare: the name it goes by, what kind it is, and what was typed for it."""

    name: str
    kind: OperandKind
    source: str


def parse_operands(texts: Sequence[str], folder: Path) -> tuple[Operand, ...]:
    """Read operands, each `source` or `name=source`; files and folders are looked for in `folder`.

    Raises `UsageError` for fewer than two, a name that two share, and what is none of the kinds.
    """
    if len(texts) < 2:
        raise UsageError("nothing to compare with", hint=f"name two or more, each {KINDS_HINT}")
    found = [_parse(text, folder) for text in texts]
    names = [operand.name for operand in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two operands are called {twice!r}", hint=f"name one of them: other={twice}")
    return tuple(found)


def _parse(text: str, folder: Path) -> Operand:
    labelled = None if (folder / text).exists() else LABEL.fullmatch(text)
    name, source = labelled.groups() if labelled else ("", text)
    kind = _kind(source, folder)
    return Operand(name or _short_name(source, kind), kind, _anchored(source, kind, folder))


def _kind(source: str, folder: Path) -> OperandKind:
    """Say what a source is. A name that dialekt gives beats a folder of that name, which ./name means."""
    if source.partition(":")[0] in set(EndpointKind) and ":" in source:
        return OperandKind.ENDPOINT
    if source in SYSTEMS or CUT_SYSTEM.fullmatch(source):
        return OperandKind.SYSTEM
    if source in {CHAMPION, LATEST} or VERSION_NAME.fullmatch(source):
        return OperandKind.VERSION
    path = folder / Path(source).expanduser()
    if path.is_file():
        return OperandKind.RUN_FILE
    if path.is_dir() or _HUB_NAME.fullmatch(source):
        return OperandKind.MODEL
    raise UsageError(f"{source!r} is nothing that can be compared", hint=f"name {KINDS_HINT}")


def _anchored(source: str, kind: OperandKind, folder: Path) -> str:
    path = folder / Path(source).expanduser()
    is_path = kind in {OperandKind.RUN_FILE, OperandKind.MODEL} and path.exists()
    return str(path.resolve()) if is_path else source


def _short_name(source: str, kind: OperandKind) -> str:
    match kind:
        case OperandKind.RUN_FILE:
            return Path(source).name.removesuffix(".gz").removesuffix(".run")
        case OperandKind.MODEL:
            return Path(source).name
        case OperandKind.ENDPOINT:
            return source.partition("#")[2] or source.partition("//")[2]
        case OperandKind.SYSTEM | OperandKind.VERSION:
            return source
