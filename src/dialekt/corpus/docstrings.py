"""The demo's documents: the docstrings of the Python libraries that are installed beside Dialekt.

The summary line of a function, method or class is a query, the rest of its docstring the document. Source files are
parsed, never imported. Queries are split by class (functions: by module), so that siblings never straddle.
"""

import ast
import importlib.util
import json
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.corpus.docstring_text import describe, normalise
from dialekt.corpus.duplicates import find_duplicates
from dialekt.errors import InputError
from dialekt.store.atomic import write_atomic
from dialekt.store.hashing import hash_text
from dialekt.types import Progress, ReportProgress, Split, no_progress

DEFAULT_PACKAGES = (
    "accelerate", "datasets", "huggingface_hub", "networkx", "numpy", "pandas", "peft", "pyarrow", "pydantic", "rich",
    "scipy", "sentence_transformers", "sklearn", "sympy", "torch", "transformers", "typer",
)  # fmt: skip
TEST_SHARE = 0.2
DEV_SHARE = 0.1
NEAR_DUPLICATE_SIMILARITY = 0.7
LONG_LITERAL_BYTES = 120
BOILERPLATE_REPEATS = 4  # a summary on so many objects says nothing about any of them
_SKIPPED_FOLDERS = frozenset(
    ("__pycache__", "_testing", "_vendor", "benchmarks", "bin", "deprecated", "externals", "include", "node_modules",
     "share", "test", "testing", "tests", "v1", "vendor")
)  # fmt: skip
_SKIPPED_FILES = ("test_", "testing", "_testing", "conftest")
_SKIPPED_PATHS = ("transformers/models",)  # 45 MB of the same few sentences, model after model
# Calls that give docstrings to compiled functions, in numpy and torch.
_ADDERS = frozenset(("add_docstr", "add_newdoc", "add_docstr_all"))


@dataclass(frozen=True, slots=True)
class DocstringPair:
    """A summary and its explanation. `name` is the qualified name; `group` is the class, else the module."""

    name: str
    library: str
    group: str
    summary: str
    body: str

    @property
    def split(self) -> Split:
        """The split by the hash of the group: the same on every machine, whatever else is installed."""
        share = int(hash_text(f"split {self.group}"), 16) / 16**16
        return Split.TEST if share < TEST_SHARE else Split.DEV if share < TEST_SHARE + DEV_SHARE else Split.TRAIN


@dataclass(frozen=True)
class DocstringFacts:
    """What was written: pairs by library and by split, groups, and drops by reason."""

    pairs: int
    available: int
    groups: int
    libraries: dict[str, int]
    splits: dict[str, int]
    dropped: dict[str, int]


def write_docstring_project(
    out: Path,
    *,
    limit: int,
    packages: Sequence[str] | None = None,
    progress: ReportProgress = no_progress,
) -> DocstringFacts:
    """Write a BEIR folder of at most `limit` docstring pairs: corpus, queries and qrels for train, dev and test.

    `packages` are import names; None means the libraries that Dialekt itself installs. Raises `InputError` when none of
    them has docstrings to offer.
    """
    dropped: Counter[str] = Counter()
    found = list(harvest(packages or DEFAULT_PACKAGES, dropped=dropped, progress=progress))
    pairs = remove_repetitions(found, dropped=dropped, progress=progress)
    if not pairs:
        raise InputError(
            f"no docstrings found in {', '.join(packages or DEFAULT_PACKAGES)}", hint="pip install 'dialekt[demo]'"
        )
    chosen = choose(pairs, limit=limit)
    _write(out, chosen)
    return DocstringFacts(
        pairs=len(chosen),
        available=len(pairs),
        groups=len({pair.group for pair in chosen}),
        libraries=_counted(pair.library for pair in chosen),
        splits=_counted(str(pair.split) for pair in chosen),
        dropped=dict(sorted(dropped.items())),
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def harvest(
    packages: Sequence[str], *, dropped: Counter[str], progress: ReportProgress = no_progress
) -> Iterator[DocstringPair]:
    """Yield the natural-language pairs of the installed ones among the packages, in the order of their names."""
    files = [(package, root, file) for package in sorted(packages) for root, file in _source_files(package)]
    yield from read_files(files, dropped=dropped, progress=progress)


def read_files(
    files: Sequence[tuple[str, Path, Path]], *, dropped: Counter[str], progress: ReportProgress = no_progress
) -> Iterator[DocstringPair]:
    """Yield the natural-language pairs of source files, each given with its library and the folder of its imports."""
    seen: set[str] = set()
    for number, (library, root, file) in enumerate(files, start=1):
        if number % 100 == 0 or number == len(files):
            progress(Progress("reading docstrings", number, len(files), note=library))
        module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for name, group, docstring in _docstrings(file, module):
            described = describe(docstring) if name not in seen else None
            seen.add(name)
            if described is None:
                dropped["no summary with an explanation in prose"] += 1
            else:
                yield DocstringPair(name, library, group, described.summary, described.body)


def _source_files(package: str) -> list[tuple[Path, Path]]:
    """Return (site folder, source file) of a package, without importing it."""
    spec = importlib.util.find_spec(package)
    found = []
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found += [(Path(folder).parent, file) for file in source_files(Path(folder))]
    return found


def source_files(folder: Path) -> Iterator[Path]:
    """Yield the source files below a package's folder, but for tests and other people's code."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_searched(Path(parent, name)))
        files = sorted(name for name in names if name.endswith(".py") and not name.startswith(_SKIPPED_FILES))
        yield from (Path(parent, name) for name in files)


def _is_searched(folder: Path) -> bool:
    return folder.name not in _SKIPPED_FOLDERS and not folder.as_posix().endswith(_SKIPPED_PATHS)


def _docstrings(file: Path, module: str) -> Iterator[tuple[str, str, str]]:
    """Yield (qualified name, group, docstring) of the public objects of a source file."""
    try:
        source = file.read_bytes()
        if not _may_explain(source):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's docstrings
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return
    yield from _of_body(tree.body, module, group=module)


def _may_explain(source: bytes) -> bool:
    """Say whether any string literal is long enough to be worth parsing the file."""
    return any(
        len(literal) >= LONG_LITERAL_BYTES for quotes in (b'"""', b"'''") for literal in source.split(quotes)[1::2]
    )


def _of_body(body: Sequence[ast.stmt], name: str, *, group: str) -> Iterator[tuple[str, str, str]]:
    for node in body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if not node.name.startswith("_"):
                inner = f"{name}.{node.name}"
                is_class = isinstance(node, ast.ClassDef)
                if docstring := ast.get_docstring(node, clean=False):
                    yield inner, inner if is_class else group, docstring
                if is_class:
                    yield from _of_body(node.body, inner, group=inner)
            case ast.If():
                yield from _of_body([*node.body, *node.orelse], name, group=group)
            case ast.Expr(value=ast.Call() as call):
                yield from _added(call, name, group=group)


def _added(call: ast.Call, module: str, *, group: str) -> Iterator[tuple[str, str, str]]:
    """Read `add_docstr(torch.abs, "...")` and `add_newdoc("numpy", "abs", "...")`."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in _ADDERS or len(call.args) < 2:
        return
    *owner, last = call.args
    text = last.elts[1] if isinstance(last, ast.Tuple) and len(last.elts) == 2 else last
    while isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute):  # "...".format(**shared)
        text = text.func.value
    if isinstance(text, ast.BinOp):  # "..." + shared
        text = text.left
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        parts = [str(part.value) if isinstance(part, ast.Constant) else ast.unparse(part) for part in owner]
        if isinstance(last, ast.Tuple) and isinstance(last.elts[0], ast.Constant):
            parts.append(str(last.elts[0].value))
        yield ".".join([module, *parts]), group, text.value


def remove_repetitions(
    pairs: Sequence[DocstringPair], *, dropped: Counter[str], progress: ReportProgress = no_progress
) -> list[DocstringPair]:
    """Drop summaries that stand for many objects, second uses of a summary, and near-identical explanations."""
    uses = Counter(normalise(pair.summary) for pair in pairs)
    seen: set[str] = set()
    distinct = []
    for pair in pairs:
        summary = normalise(pair.summary)
        if uses[summary] >= BOILERPLATE_REPEATS:
            dropped["summary of many objects"] += 1
        elif summary in seen:
            dropped["summary used before"] += 1
        else:
            distinct.append(pair)
        seen.add(summary)
    twins = find_duplicates([pair.body for pair in distinct], similarity=NEAR_DUPLICATE_SIMILARITY, progress=progress)
    dropped["explanation nearly used before"] += twins.exact + twins.near
    return [pair for place, pair in enumerate(distinct) if twins.first[place] == place]


def choose(pairs: Sequence[DocstringPair], *, limit: int) -> list[DocstringPair]:
    """Take at most `limit` pairs, as evenly over the libraries as they have them, group after group by hash."""
    by_library: defaultdict[str, list[DocstringPair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: (hash_text(f"choice {pair.group}"), pair.name)):
        by_library[pair.library].append(pair)
    quotas = share_out(limit, {library: len(members) for library, members in by_library.items()})
    return [pair for library in sorted(by_library) for pair in by_library[library][: quotas[library]]]


def share_out(limit: int, available: Mapping[str, int]) -> dict[str, int]:
    """Divide `limit` evenly; what a small library cannot give, the larger ones give."""
    quotas: dict[str, int] = {}
    left = limit
    for place, library in enumerate(sorted(available, key=lambda name: (available[name], name))):
        quotas[library] = min(available[library], left // (len(available) - place))
        left -= quotas[library]
    return quotas


def _write(out: Path, pairs: Sequence[DocstringPair]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    corpus = [{"_id": pair.name, "title": "", "text": pair.body, "metadata": _metadata(pair)} for pair in pairs]
    queries = [{"_id": f"q-{pair.name}", "text": pair.summary, "metadata": _metadata(pair)} for pair in pairs]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        write_atomic(out / f"{name}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    for split in Split:
        lines = [f"q-{pair.name}\t{pair.name}\t1\n" for pair in pairs if pair.split is split]
        write_atomic(out / "qrels" / f"{split}.tsv", "query-id\tcorpus-id\tscore\n" + "".join(lines))


def _metadata(pair: DocstringPair) -> dict[str, str]:
    return {"library": pair.library, "group": pair.group}
