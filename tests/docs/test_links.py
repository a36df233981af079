"""Pages find each other."""

from pathlib import Path

import pytest
from tests.docs.reading import PAGES, REPOSITORY, anchors, links, name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    """A link names a file that exists and, if it names one, a heading of it; foreign links are https."""
    for link in links(page):
        target, _, anchor = link.partition("#")
        if "://" in target:
            assert target.startswith("https://"), link
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), link
        assert not anchor or anchor in anchors(file), link


def test_the_site_leaves_no_page_out() -> None:
    """The navigation of mkdocs.yml names every page."""
    navigation = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = {word for word in navigation.split() if word.endswith(".md")}
    assert named == {page.relative_to(REPOSITORY / "docs").as_posix() for page in PAGES if "docs" in page.parts}
