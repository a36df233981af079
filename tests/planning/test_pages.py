"""Rows in pages, by hand."""

import pytest

from dialekt.planning.pages import packed, postgres_graph_row, postgres_row, sqlite_row


def test_cells_fill_pages_and_leave_what_does_not_fit() -> None:
    """Cells of 40 go two into 100, so each takes 50; cells of 60 and 30 share a page."""
    assert packed([40], page=100, usable=100) == pytest.approx(50, rel=0.01)
    assert packed([60, 30], page=100, usable=100) == pytest.approx(100, rel=0.01)


def test_two_rows_of_a_minilm_share_a_page() -> None:
    """1,536 bytes of vector and some 100 beside go two into SQLite's 4,096; twice as long, a row has a page alone."""
    assert sqlite_row(1_640) == pytest.approx(2_048, rel=0.01)
    assert sqlite_row(3_170) == pytest.approx(4_096, rel=0.01)


def test_what_overflows_has_pages_of_its_own() -> None:
    """A payload of 4,186 keeps 489 bytes in its page and one more page for the rest, eight such rows to a page."""
    assert sqlite_row(4_186) == pytest.approx(4_096 + 4_096 / 8, rel=0.02)


def test_long_vectors_lie_beside_the_table() -> None:
    """3,080 bytes are two chunks, two vectors to a page of 8,192, and the table keeps a pointer."""
    assert postgres_row(3_080, 100) == pytest.approx(4_096 + 8_192 / 51, rel=0.03)


def test_a_graph_keeps_an_element_and_its_links_together() -> None:
    """384 numbers of 16 bits: 72 + 776 bytes, 200 of links and two pointers, seven to a page."""
    assert postgres_graph_row(8 + 2 * 384) == pytest.approx(8_192 / 7, rel=0.01)
