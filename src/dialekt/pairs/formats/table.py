"""The table of formats: how each is read and recognised. A new format is its module, its test and its row here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialekt.config import JudgmentsFormat
from dialekt.errors import InputError
from dialekt.pairs.formats import (
    beir,
    flag_embedding,
    gpl,
    gritlm,
    llama_index,
    ms_swift,
    msmarco,
    nemo,
    pairs,
    tevatron,
    trec,
)
from dialekt.pairs.formats.builder import JudgmentsBuilder, Source
from dialekt.pairs.formats.files import first_row, row_files, speaks_of_queries


def _never(_: object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read, what it looks for, and how a folder, a file or a first row shows that it is this one."""

    read: Callable[[Source, JudgmentsBuilder], None]
    looks_for: str
    in_folder: Callable[[Path], bool] = _never
    in_file: Callable[[Path], bool] = _never
    in_row: Callable[[Mapping[str, Any]], bool] = _never


# Recognition walks from the most particular to the most general: every format is tried before `pairs`.
FORMATS: dict[JudgmentsFormat, Format] = {
    JudgmentsFormat.GPL: Format(gpl.read, gpl.LOOKS_FOR, in_folder=gpl.in_folder),
    JudgmentsFormat.BEIR: Format(beir.read, beir.LOOKS_FOR, in_folder=beir.in_folder),
    JudgmentsFormat.MSMARCO: Format(msmarco.read, msmarco.LOOKS_FOR, in_folder=msmarco.in_folder),
    JudgmentsFormat.TREC: Format(trec.read, trec.LOOKS_FOR, in_folder=trec.in_folder, in_file=trec.is_qrels_file),
    JudgmentsFormat.LLAMA_INDEX: Format(llama_index.read, llama_index.LOOKS_FOR, in_row=llama_index.in_row),
    JudgmentsFormat.NEMO: Format(nemo.read, nemo.LOOKS_FOR, in_row=nemo.in_row),
    JudgmentsFormat.TEVATRON: Format(tevatron.read, tevatron.LOOKS_FOR, in_row=tevatron.in_row),
    JudgmentsFormat.GRITLM: Format(gritlm.read, gritlm.LOOKS_FOR, in_row=gritlm.in_row),
    JudgmentsFormat.FLAG_EMBEDDING: Format(flag_embedding.read, flag_embedding.LOOKS_FOR, in_row=flag_embedding.in_row),
    JudgmentsFormat.MS_SWIFT: Format(ms_swift.read, ms_swift.LOOKS_FOR, in_row=ms_swift.in_row),
    JudgmentsFormat.PAIRS: Format(pairs.read, pairs.LOOKS_FOR, in_row=pairs.in_row),
}


def detect(path: Path) -> JudgmentsFormat:
    """Return the format of a file or folder by its contents; raise `InputError` that lists what was looked for."""
    if not path.exists():
        raise InputError("there is no such file or folder", path=path, hint="check judgments.path in dialekt.toml")
    for name, known in FORMATS.items():
        if (known.in_folder if path.is_dir() else known.in_file)(path):
            return name
    files = row_files(path)
    if not files or (path.is_dir() and not speaks_of_queries(files[0][0])):
        raise InputError("no judgments were recognised in this folder", path=path, hint=looked_for())
    values = first_row(files[0][0])
    for name, known in FORMATS.items():
        if known.in_row(values):
            return name
    found = ", ".join(map(repr, values))
    raise InputError(f"the first row ({found}) is of no known format", path=files[0][0], hint=looked_for())


def is_recognised(path: Path) -> bool:
    """Tell whether a file or folder holds judgments of a known format."""
    try:
        detect(path)
    except InputError:
        return False
    return True


def looked_for() -> str:
    """Say what every format looks for, in one line."""
    parts = "; ".join(f"{name.value}: {known.looks_for}" for name, known in FORMATS.items())
    return f"looked for {parts}"
