"""The sections on the index and on searching it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section, Share


class IndexEngine(StrEnum):
    """What holds the vectors: `auto` is exact search for small corpora, else LanceDB."""

    AUTO = "auto"
    EXACT = "exact"
    LANCEDB = "lancedb"
    PGVECTOR = "pgvector"
    QDRANT = "qdrant"


class Quantization(StrEnum):
    """How a number of a first-stage vector is kept: as it is, in eight bits, or as its sign."""

    NONE = "none"
    INT8 = "int8"
    BINARY = "binary"


class SearchLog(StrEnum):
    """What is kept of searches and clicks, in UBI format: nothing, ids without texts, or the texts too."""

    OFF = "off"
    IDS = "ids"
    TEXTS = "texts"


class IndexConfig(Section):
    """Where the index lives, what holds its vectors, and what a new version must show before it goes live."""

    path: Path = Field(default=Path("index"), description="folder of the catalogue, the change log and local vectors")
    engine: IndexEngine = Field(
        default=IndexEngine.AUTO, description="auto: exact up to exact_rows documents, above it lancedb"
    )
    exact_rows: PositiveInt = Field(default=100_000, description="up to here auto takes exact search")
    url: str | None = Field(
        default=None,
        description="of PostgreSQL or Qdrant, or both with a blank between; better in DIALEKT_INDEX__URL",
    )
    first_stage_dimensions: PositiveInt | None = Field(
        default=None, description="search these first, then order by the full vectors; unset: full vectors at once"
    )
    first_stage_quantization: Quantization = Field(
        default=Quantization.NONE, description="of the first stage's vectors; the second stage has them as they are"
    )
    oversampling: Annotated[float, Field(ge=1)] | None = Field(
        default=None, description="first-stage candidates per result; unset: as many as the target needs, measured"
    )
    target: Share = Field(default=0.99, description="share of exact search's results that the settings must find")
    chunk_documents: PositiveInt = Field(default=1_024, description="embedded and stored at once; a kill loses one")
    max_loss: Annotated[float, Field(ge=0)] = Field(
        default=0.01, description="a release whose NDCG@10 is worse than the live one's by more does not go live"
    )
    min_overlap: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1, description="without judgments: least share of the live release's results that a new one must give"
    )
    gate_queries: PositiveInt = Field(default=500, description="most queries that the checks before a switch ask")


class SearchConfig(Section):
    """`POST /search` of the server, and what is written down about searches."""

    default_k: PositiveInt = Field(default=10, description="results, unless the request says")
    max_k: PositiveInt = Field(default=1_000, description="most results that a request may ask for")
    max_documents: PositiveInt = Field(default=1_000, description="most documents of one request that writes")
    log: SearchLog = Field(
        default=SearchLog.OFF, description="off, ids, or texts; only with texts can `dialekt pairs logs` learn from it"
    )
    log_path: Path = Field(default=Path("search-logs"), description="folder of the UBI files")
    log_file_bytes: PositiveInt = Field(
        default=64_000_000, description="a file this large is closed and a new one begun"
    )
