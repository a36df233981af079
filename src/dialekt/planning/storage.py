"""Bytes of an index, engine by engine, as their files and tables are laid out; tests hold them against real ones."""

from typing import assert_never

from dialekt.config import IndexEngine, Quantization
from dialekt.planning.pages import postgres_graph_row, postgres_row, sqlite_row
from dialekt.planning.records import Layout, Partitions, RowShape, Stored

FLOAT_BYTES = 4
_HASH_BYTES, _SPACE_BYTES = 16, 16
_SQLITE_ROW_BYTES = 16  # of the record's own header, and of the brackets around its tags
_SQLITE_TAG_BYTES = 4  # quotes, comma, blank
_SQLITE_INDEX_BYTES = 8 / 0.9  # of the index over ids, beside the id
# An object, four texts, two numbers, and their places in a list and a dict; measured on 2,000 to 20,000 rows
# with CPython 3.11: 313 bytes beside the characters.
_HELD_BYTES = 313
_POSTING_BYTES = 8
_LANCE_ROW_ID = 8  # a row's address beside its code
_LANCE_FACTORS = 12  # RaBitQ's three numbers per row
_LANCE_WORDS = 24  # of the indexes over ids and tags, and offsets of texts
_POSTGRES_ROW_BYTES = 12  # four texts' own headers, a small array, and padding
_POSTGRES_KEY_BYTES = 24
_POSTGRES_TAG_BYTES = 12
_QDRANT_LINKS = 32 * 4  # m = 16: 32 links of four bytes at the lowest level
_QDRANT_ROW_BYTES = 200


def stored(layout: Layout, shape: RowShape, *, rows: int, partitions: Partitions) -> Stored:
    """Return the bytes per unit of an index of this layout. Raises nothing: what an engine lacks is left out before."""
    match layout.engine:
        case IndexEngine.EXACT:
            return _exact(layout, shape)
        case IndexEngine.LANCEDB:
            return _lance(layout, shape, indexed=rows >= partitions.least_rows, partitions=partitions)
        case IndexEngine.PGVECTOR:
            return _postgres(layout, shape)
        case IndexEngine.QDRANT:
            return _qdrant(layout, shape)
        case IndexEngine.AUTO:
            raise AssertionError("auto is resolved before anything is planned")
    assert_never(layout.engine)


def quantizations(engine: IndexEngine, dimensions: int) -> tuple[Quantization, ...]:
    """Return how an engine can keep the vectors that are searched first."""
    match engine:
        case IndexEngine.PGVECTOR:
            return (Quantization.NONE, Quantization.BINARY)
        case IndexEngine.LANCEDB if dimensions % 8:
            return (Quantization.NONE, Quantization.INT8)
    return tuple(Quantization)


def code_bytes(dimensions: int, quantization: Quantization) -> float:
    """Return the bytes of one code, without what an index adds."""
    match quantization:
        case Quantization.NONE:
            return float(FLOAT_BYTES * dimensions)
        case Quantization.INT8:
            return float(dimensions)
        case Quantization.BINARY:
            return dimensions / 8
    assert_never(quantization)


def _texts(shape: RowShape) -> float:
    return shape.id_bytes + shape.document_bytes + _HASH_BYTES


def _exact(layout: Layout, shape: RowShape) -> Stored:
    """One SQLite row with the full vector; in memory the vectors or codes, and an object per row."""
    tags = shape.tag_bytes + _SQLITE_TAG_BYTES * shape.tags
    payload = FLOAT_BYTES * layout.dimension + _texts(shape) + _SPACE_BYTES + tags + _SQLITE_ROW_BYTES
    row = sqlite_row(round(payload)) + (shape.id_bytes + _SQLITE_INDEX_BYTES)
    vector = float(FLOAT_BYTES * layout.dimension)
    width = layout.searched
    if layout.quantization is Quantization.BINARY:
        width = -(-width // 64) * 64  # signs are kept in words of 64
    code = code_bytes(width, layout.quantization) if layout.first_stage else vector
    held = _HELD_BYTES + shape.id_bytes + shape.document_bytes + _SPACE_BYTES + _POSTING_BYTES * shape.tags
    return Stored(vectors=vector, codes=0.0, rest=row - vector, memory=code + held, building=0.0)


def _lance(layout: Layout, shape: RowShape, *, indexed: bool, partitions: Partitions) -> Stored:
    """Files of columns, written a second time when they are gathered, and an index whose codes are in memory."""
    columns = float(FLOAT_BYTES * layout.dimension)
    short = float(FLOAT_BYTES * layout.searched) if layout.first_stage else 0.0
    texts = _texts(shape) + shape.tag_bytes
    centres = FLOAT_BYTES * layout.searched / partitions.rows_each
    kind = layout.quantization if layout.first_stage else Quantization.INT8
    code = code_bytes(layout.searched, kind) + _LANCE_ROW_ID + centres
    code += _LANCE_FACTORS if kind is Quantization.BINARY else 0.0
    if not indexed:
        code = 0.0
    read = code if indexed else (short or columns)
    words = shape.id_bytes + _LANCE_WORDS + shape.tag_bytes
    return Stored(columns, short + code, texts + words, memory=read, building=columns + short + texts)


def _postgres(layout: Layout, shape: RowShape) -> Stored:
    """A table with the full vectors, long ones beside it, and HNSW over 16-bit numbers or signs."""
    vector = 8 + FLOAT_BYTES * layout.dimension
    tags = shape.tag_bytes + _POSTGRES_TAG_BYTES * shape.tags
    texts = _texts(shape) + _SPACE_BYTES + tags + _POSTGRES_ROW_BYTES
    table = postgres_row(vector, round(texts))
    signs = layout.first_stage and layout.quantization is Quantization.BINARY
    graph = postgres_graph_row(8 + (-(-layout.searched // 8) if signs else 2 * layout.searched))
    keys = shape.id_bytes + _POSTGRES_KEY_BYTES + tags
    return Stored(float(vector), graph, table - vector + keys, memory=graph, building=0.0)


def _qdrant(layout: Layout, shape: RowShape) -> Stored:
    """Vectors, links of the graph and payload; with a first stage the full vectors stay on disk."""
    vector = float(FLOAT_BYTES * layout.dimension)
    short = float(FLOAT_BYTES * layout.searched) if layout.first_stage else 0.0
    quantised = layout.first_stage and layout.quantization is not Quantization.NONE
    code = code_bytes(layout.searched, layout.quantization) if quantised else 0.0
    rest = _QDRANT_LINKS + _texts(shape) + shape.tag_bytes + _QDRANT_ROW_BYTES
    memory = (code or short or vector) + _QDRANT_LINKS + shape.id_bytes
    return Stored(vector, short + code, rest, memory=memory, building=0.0)
