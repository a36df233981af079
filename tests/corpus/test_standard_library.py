"""The standard library's docstrings are there and natural."""

from dialekt.corpus.standard_library import standard_library_pairs


def test_the_standard_library_explains_itself() -> None:
    """There are hundreds of summaries with an explanation, none from what some systems leave out."""
    pairs = standard_library_pairs()
    assert len(pairs) > 600
    assert len({pair.name for pair in pairs}) == len(pairs)
    libraries = {pair.library for pair in pairs}
    assert {"statistics", "logging", "shutil"} <= libraries
    assert not {"tkinter", "idlelib", "test"} & libraries
