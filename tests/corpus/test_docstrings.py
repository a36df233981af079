"""The demo data: docstrings of installed libraries as queries and documents."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from dialekt.config import CorpusConfig
from dialekt.corpus.docstring_text import MAXIMUM_BODY_CHARACTERS, describe, normalise
from dialekt.corpus.docstrings import DocstringFacts, harvest, share_out, write_docstring_project
from dialekt.corpus.records import CorpusInputs
from dialekt.corpus.stage import run
from dialekt.errors import InputError

NUMPYDOC = """
    solve(a, b) -> x

    Solve a linear system of equations for :class:`~scipy.sparse.csr_array`. It uses ``LU``.

    .. versionadded:: 1.4
       Long ago.

    Parameters
    ----------
    a : array_like
        The *square* matrix :math:`A`, see [1]_ and `the docs <https://x.org>`_.

    .. math::

        A x = b

    Examples
    --------
    >>> solve(1, 2)
    0.5

    Notes
    -----
    The matrix must not be singular, or else an error is raised::

        raise LinAlgError

    References
    ----------
    .. [1] Somebody.
    """


def test_markup_code_and_references_leave_the_prose() -> None:
    """The summary is the first sentence; the body is the rest without formulas, examples and references."""
    found = describe(NUMPYDOC)
    assert found is not None
    assert found.summary == "Solve a linear system of equations for csr_array"
    assert found.body.split("\n") == [
        "It uses LU.",
        "a: array_like The square matrix A, see and the docs.",
        "The matrix must not be singular, or else an error is raised:",
    ]


@pytest.mark.parametrize(
    "docstring",
    [
        "Return the thing that was asked for.",
        "Deprecated function of old times.\n\n" + "word " * 20,
        "Alias for another function here.\n\n" + "word " * 20,
        "Compute x=1 by calling f(x).\n\n" + "word " * 20,
        "Compute the useful thing.\n\n>>> compute()\n" + "1 2 3 " * 20,
        "Compute the useful thing.\n\nThis method is deprecated. " + "word " * 20,
        "Compute the useful thing.\n\nTo compute the useful thing call this. " + "word " * 20,
    ],
)
def test_what_explains_nothing_is_left_out(docstring: str) -> None:
    """No body, deprecations, aliases, code, doctests only, and a summary repeated in the body."""
    assert describe(docstring) is None


def test_long_bodies_end_with_a_sentence() -> None:
    """A long explanation is cut at a sentence end before the limit."""
    found = describe("Compute the useful thing now.\n\n" + "This is one more sentence of it. " * 100)
    assert found is not None
    assert len(found.body) <= MAXIMUM_BODY_CHARACTERS
    assert found.body.endswith("it.")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DocstringFacts]:
    """Write the project of two small libraries."""
    out = tmp_path_factory.mktemp("demo") / "beir"
    return out, write_docstring_project(out, limit=100, packages=("rich", "typer"))


def read_rows(path: Path) -> list[dict[str, object]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_project_is_a_beir_folder(project: tuple[Path, DocstringFacts]) -> None:
    """As many pairs as asked for, shared evenly; each query has its document in one split."""
    out, facts = project
    corpus, queries = read_rows(out / "corpus.jsonl"), read_rows(out / "queries.jsonl")
    assert (facts.pairs, facts.libraries) == (100, {"rich": 50, "typer": 50})
    assert len(corpus) == len(queries) == 100
    qrels = {
        split: [line.split("\t") for line in (out / "qrels" / f"{split}.tsv").read_text().splitlines()]
        for split in ("train", "dev", "test")
    }
    judged = [row for rows in qrels.values() for row in rows[1:]]
    assert {row[0] for row in judged} == {query["_id"] for query in queries}
    assert {row[1] for row in judged} == {document["_id"] for document in corpus}
    assert {split: len(rows) - 1 for split, rows in qrels.items()} == {"dev": 0, "test": 0, "train": 0} | facts.splits
    assert all(rows[0] == ["query-id", "corpus-id", "score"] for rows in qrels.values())


def test_siblings_never_straddle_a_split(project: tuple[Path, DocstringFacts]) -> None:
    """All members of a class, and all functions of a module, are in one split."""
    out, _ = project
    groups = {query["_id"]: query["metadata"]["group"] for query in read_rows(out / "queries.jsonl")}  # type: ignore[index]
    seen: dict[object, str] = {}
    for split in ("train", "dev", "test"):
        for line in (out / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            assert seen.setdefault(groups[line.split("\t")[0]], split) == split


def test_summaries_do_not_leak(project: tuple[Path, DocstringFacts]) -> None:
    """No document holds its query, no title names the object, no query stands twice."""
    out, _ = project
    corpus, queries = read_rows(out / "corpus.jsonl"), read_rows(out / "queries.jsonl")
    texts = {f"q-{document['_id']}": normalise(str(document["text"])) for document in corpus}
    assert all(normalise(str(query["text"])) not in texts[str(query["_id"])] for query in queries)
    assert {document["title"] for document in corpus} == {""}
    assert len({normalise(str(query["text"])) for query in queries}) == len(queries)


def test_the_corpus_stage_reads_the_project(project: tuple[Path, DocstringFacts], tmp_path: Path) -> None:
    """The folder goes through the stage without a drop or a duplicate."""
    facts = run(CorpusConfig(), CorpusInputs(project[0]), tmp_path)
    assert (facts.documents, facts.dropped, facts.exact_duplicates, facts.near_duplicates) == (100, {}, 0, 0)


def test_the_project_is_deterministic(project: tuple[Path, DocstringFacts], tmp_path: Path) -> None:
    """A second run writes the same bytes, whatever the order of the packages."""
    write_docstring_project(tmp_path, limit=100, packages=("typer", "rich"))
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/train.tsv", "qrels/test.tsv"):
        assert (tmp_path / name).read_bytes() == (project[0] / name).read_bytes()


SOURCE = """
raise RuntimeError("this package must not be imported")

add_docstr(torch.shift, r'''shift(input) -> Tensor

Shift the numbers of a tensor to the left. {} '''.format("x"))
add_newdoc("lib.core", "ring", ("turn", '''Turn the ring by one place. {} '''))

class Pump:
    '''Move a liquid from here to there. {} '''

    def stop(self):
        '''Stop the motor of the pump. {} '''

    def _hidden(self):
        '''Do something that nobody sees. {} '''
"""


def test_sources_are_parsed_and_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes, methods and docstrings of compiled functions are found; private ones and broken files are not."""
    explanations = [" ".join(f"{letter}ord{chr(97 + n)}" for n in range(20)) + "." for letter in "PQRST"]
    (tmp_path / "explosive" / "tests").mkdir(parents=True)
    (tmp_path / "explosive" / "__init__.py").write_text(SOURCE.format(*explanations))
    (tmp_path / "explosive" / "broken.py").write_text("def f(:\n" + '"""' + "word " * 100)
    (tmp_path / "explosive" / "tests" / "test_it.py").write_text(
        'def f():\n    """Test it all well. ' + "word " * 20 + '"""'
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = list(harvest(("explosive",), dropped=Counter()))
    assert [(pair.name, pair.group, pair.summary) for pair in found] == [
        ("explosive.torch.shift", "explosive", "Shift the numbers of a tensor to the left"),
        ("explosive.lib.core.ring.turn", "explosive", "Turn the ring by one place"),
        ("explosive.Pump", "explosive.Pump", "Move a liquid from here to there"),
        ("explosive.Pump.stop", "explosive.Pump", "Stop the motor of the pump"),
    ]
    assert "explosive" not in sys.modules


def test_shares_are_even_where_libraries_allow() -> None:
    """What a small library lacks is divided among the others; nothing is asked that is not there."""
    assert share_out(100, {"a": 10, "b": 500, "c": 500}) == {"a": 10, "b": 45, "c": 45}
    assert share_out(100, {"a": 10, "b": 20}) == {"a": 10, "b": 20}


def test_libraries_that_are_not_installed_are_an_error(tmp_path: Path) -> None:
    """Without any docstring there is no demo."""
    with pytest.raises(InputError, match="no docstrings found in no_such_library"):
        write_docstring_project(tmp_path, limit=10, packages=("no_such_library",))
