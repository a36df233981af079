"""The README is short and true."""

import re

from tests.docs.reading import REPOSITORY, blocks_of

README = REPOSITORY / "README.md"
UNNAMED = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}


def test_the_readme_is_short() -> None:
    """It can be read in one go."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_the_source_tree_is_the_source_tree() -> None:
    """The tree at the end names every room and file of the package, and nothing else."""
    *_, tree = blocks_of(README)
    inner = {match[1] for match in re.finditer(r"^  (\S+?)/?\s", tree.text, re.MULTILINE)}
    assert inner == {path.name for path in (REPOSITORY / "src" / "dialekt").iterdir()} - UNNAMED
    outer = {match[1] for match in re.finditer(r"^(\S+)/(?:\s|$)", tree.text, re.MULTILINE)}
    assert outer == {"src/dialekt", "tests", "benchmarks", "deploy", "docs"}
    assert all((REPOSITORY / folder).is_dir() for folder in outer)


def test_the_readme_shows_no_pictures() -> None:
    """No badge can go stale."""
    assert "![" not in README.read_text(encoding="utf-8")
