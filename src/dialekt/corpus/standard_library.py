"""The docstrings of Python's standard library: technical English that is on every machine."""

import sys
import sysconfig
from collections import Counter
from functools import cache
from pathlib import Path

from dialekt.corpus.docstrings import DocstringPair, read_files, remove_repetitions, source_files

# What some systems package apart or leave out, so that the rest is the same wherever one version of Python runs.
_LEFT_OUT = frozenset(
    ("antigravity", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "this", "tkinter", "turtle",
     "turtledemo", "venv")
)  # fmt: skip


@cache
def standard_library_pairs() -> tuple[DocstringPair, ...]:
    """Return the docstring pairs of the standard library; none where Python came without its source."""
    dropped: Counter[str] = Counter()
    return tuple(remove_repetitions(list(read_files(_files(), dropped=dropped)), dropped=dropped))


def _files() -> list[tuple[str, Path, Path]]:
    root = Path(sysconfig.get_path("stdlib"))
    found: list[tuple[str, Path, Path]] = []
    for name in sorted(sys.stdlib_module_names - _LEFT_OUT):
        if not name.startswith("_"):
            single = [root / f"{name}.py"] if (root / f"{name}.py").is_file() else []
            found += [(name, root, file) for file in (*single, *source_files(root / name))]
    return found
