"""Text that stays text in Markdown."""

from dialekt.report.markdown import escape, fence, tidy


def test_special_characters_lose_their_meaning() -> None:
    """Nothing in a text can open a table cell, a link, emphasis or HTML, or break the line."""
    assert escape("a|b *c* [d](e)\n<f>") == r"a\|b \*c\* \[d\](e) \<f\>"


def test_fence_is_longer_than_its_content() -> None:
    """Code that holds a fence gets a longer one around it."""
    assert fence("echo ````") == "`````sh\necho ````\n`````"


def test_tidy_leaves_one_empty_line() -> None:
    """Blocks are one empty line apart, and the text ends with one line end."""
    assert tidy("\n\na\n\n\n\nb\n\n") == "a\n\nb\n"
