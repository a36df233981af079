"""How rows fill pages: SQLite and PostgreSQL keep whole cells in pages, so a row takes more than its bytes."""

from collections.abc import Sequence

_ROWS = 240  # enough for any rhythm of cells and pages to repeat

SQLITE_PAGE, _SQLITE_USABLE = 4_096, 4_088
_SQLITE_CELL = 2 + 2 + 4  # pointer to the cell, length of its payload, its number
POSTGRES_PAGE, _POSTGRES_USABLE = 8_192, 8_160
_POSTGRES_TUPLE = 24 + 4  # header of a tuple, and the pointer to it
_TOAST_FROM, _TOAST_CHUNK, _TOAST_TUPLE = 2_032, 1_996, 12 + 28
_TOAST_POINTER = 18


def packed(cells: Sequence[int], *, page: int, usable: int) -> float:
    """Return the bytes of pages per row when the cells of row after row go into pages, each where it still fits."""
    pages, free = 0, 0
    for _ in range(_ROWS):
        for cell in cells:
            if cell > free:
                pages, free = pages + 1, usable
            free -= cell
    return (pages - free / usable) * page / _ROWS


def sqlite_row(payload: int) -> float:
    """Return the bytes of a table's row; what does not fit into a page goes into pages of its own.

    The arithmetic is that of https://www.sqlite.org/fileformat2.html, section 1.6.
    """
    most, least = SQLITE_PAGE - 35, (SQLITE_PAGE - 12) * 32 // 255 - 23
    if payload <= most:
        return packed([payload + _SQLITE_CELL], page=SQLITE_PAGE, usable=_SQLITE_USABLE)
    kept = least + (payload - least) % (SQLITE_PAGE - 4)
    local = kept if kept <= most else least
    overflow = -(-(payload - local) // (SQLITE_PAGE - 4))
    return packed([local + _SQLITE_CELL + 4], page=SQLITE_PAGE, usable=_SQLITE_USABLE) + overflow * SQLITE_PAGE


def postgres_row(vector: int, rest: int) -> float:
    """Return the bytes of a table's row whose vector lies beside the table, in chunks, when the row is too long."""
    inside = _POSTGRES_TUPLE + vector + rest
    if inside <= _TOAST_FROM:
        return _postgres([_aligned(inside)])
    full, last = divmod(vector, _TOAST_CHUNK)
    chunks = [_TOAST_CHUNK + _TOAST_TUPLE] * full + ([_aligned(last + _TOAST_TUPLE)] if last else [])
    index = 22.0 * len(chunks)
    return _postgres([_aligned(_POSTGRES_TUPLE + _TOAST_POINTER + rest)]) + _postgres(chunks) + index


def postgres_graph_row(vector: int) -> float:
    """Return the bytes of an HNSW element with its neighbours at m = 16, which share a page.

    Element and neighbours are laid out as in pgvector's `hnsw.h`: ten heap addresses and a link beside the vector, and
    32 links of six bytes; one element in sixteen has links on a second level.
    """
    element, neighbours = _aligned(72 + vector), 4 + 32 * 6
    higher = 16 * 6 / 16
    return _postgres([element + _aligned(neighbours) + 8]) + higher


def _postgres(cells: Sequence[int]) -> float:
    return packed(cells, page=POSTGRES_PAGE, usable=_POSTGRES_USABLE)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
