"""What PostgreSQL searches first: the expression, its index and the order it gives."""

from dataclasses import dataclass

from dialekt.config import Quantization
from dialekt.errors import ConfigError
from dialekt.index.records import EngineSpec, FirstStage

MAX_DIMENSIONS = 4_000  # pgvector's limit for HNSW on 16-bit vectors; above it every search is exact
LINK_BYTES = 900  # of HNSW per row at m = 16 while it is made; measured with pgvector 0.8.5: 790


@dataclass(frozen=True, slots=True)
class Stage:
    """A short form of a vector: SQL with a gap for the vector, the operator of its distance, and what indexes it."""

    expression: str
    operator: str
    operators: str
    bytes_per_vector: float

    def of(self, vector: str) -> str:
        """Return the SQL of a vector's short form."""
        return self.expression.format(vector)

    @property
    def order(self) -> str:
        """The distance between a row and the parameter `query`, as the index knows it."""
        return f"{self.of('vector')} {self.operator} {self.of('%(query)s')}"


def stage_of(spec: EngineSpec) -> Stage | None:
    """Return what is searched first; None where nothing but the full vectors can be.

    Raises `ConfigError` for a first stage that pgvector has not got.
    """
    match spec.first_stage:
        case FirstStage(quantization=Quantization.INT8):
            raise ConfigError(
                "pgvector has no first stage of int8 vectors",
                hint="first_stage_quantization = none keeps 16 bits per number there, binary one; "
                "lancedb and qdrant have int8",
            )
        case FirstStage(dimensions=dimensions, quantization=Quantization.BINARY):
            expression = f"binary_quantize(subvector({{}}, 1, {dimensions}))::bit({dimensions})"
            return Stage(f"({expression})", "<~>", "bit_hamming_ops", dimensions / 8)
        case FirstStage(dimensions=dimensions):
            return _halves(f"subvector({{}}, 1, {dimensions})", dimensions)
    return _halves("{}", spec.dimension)


def _halves(vector: str, dimensions: int) -> Stage | None:
    if dimensions > MAX_DIMENSIONS:
        return None
    return Stage(f"({vector}::halfvec({dimensions}))", "<=>", "halfvec_cosine_ops", 2.0 * dimensions)
