"""Searching a release: chunks collapse to documents, words join vectors."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.index.texts import add_version, embed

from dialekt.index.building import fill
from dialekt.index.filters import parse_filter
from dialekt.index.opened import OpenIndex
from dialekt.index.records import SearchSettings
from dialekt.index.searching import Hit, Searcher, fuse
from dialekt.types import Document, Role


@pytest.fixture
def searcher(tmp_path: Path) -> Iterator[Searcher]:
    """Open an index of ten documents of thirty chunks each, all of them about the document's number."""
    opened = OpenIndex.open(tmp_path, create=True)
    opened.documents.write(
        Document(f"d{n}#{part}", f"number {n} part {part}", parent_id=f"d{n}", metadata={"even": str(n % 2 == 0)})
        for n in range(10)
        for part in range(30)
    )
    version = add_version(opened).name
    fill(opened, version, embed)
    yield Searcher(opened.documents, opened.engine(version), SearchSettings())
    opened.close()


def test_k_documents_are_found_however_many_chunks_each_has(searcher: Searcher) -> None:
    """A document comes once, with its best chunk; all ten are found among three hundred chunks."""
    vectors = embed(["number 3 part 7", "number 8 part 0"], Role.QUERY)
    for hits, best in zip(searcher.search(vectors, k=10), ("d3", "d8"), strict=True):
        assert len({hit.document_id for hit in hits}) == 10
        assert hits[0].document_id == best
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_filters_hold_in_both_rankings(searcher: Searcher) -> None:
    """Vectors and words both leave out what does not pass."""
    where = parse_filter({"even": "True"})
    vectors = embed(["number 3"], Role.QUERY)
    for texts in (None, ["number 3"]):
        hits = searcher.search(vectors, k=10, where=where, texts=texts)[0]
        assert {hit.document_id for hit in hits} == {"d0", "d2", "d4", "d6", "d8"}


def test_a_hybrid_search_finds_what_only_words_find(searcher: Searcher) -> None:
    """A query whose vector says nothing is answered by its words."""
    vectors = embed(["zzz qqq"], Role.QUERY)
    hits = searcher.search(vectors, k=3, texts=["number 7"])[0]
    assert "d7" in {hit.document_id for hit in hits}


def test_fusion_adds_reciprocal_ranks() -> None:
    """A document that both rankings have beats each one's first; of equals the dense one leads."""
    dense = [Hit("a", "a", 0.9, "s"), Hit("b", "b", 0.8, "s")]
    lexical = [Hit("c", "c", 7.0, ""), Hit("b", "b", 5.0, "")]
    fused = fuse(dense, lexical, 3)
    assert [hit.document_id for hit in fused] == ["b", "a", "c"]
    assert fused[0].score == pytest.approx(2 / 62)
    assert fused[1].score == pytest.approx(1 / 61)
