"""A small corpus and split on disk, for the tests of made queries."""

from collections.abc import Sequence
from pathlib import Path

from dialekt.store.tables import write_records
from dialekt.synthesis.records import EncodeFunction, SynthesisInputs
from dialekt.types import Document, Query, Split

DOCUMENTS = (
    Document(
        "pump",
        "A gear pump is a machine that moves oil by two meshing wheels. The seal of the pump wears out after five "
        "years of use. Replace the seal before the pressure drops below two bar.",
        title="Gear pump manual",
        parent_id="pump",
    ),
    Document(
        "solar",
        "A solar inverter is used to convert direct current from the panels into alternating current. The inverter "
        "shows error code seven when the grid voltage is too high. Overheating is caused by dust in the fan.",
        title="Solar inverter",
        parent_id="solar",
    ),
    Document(
        "refund",
        "Customers can return an order within thirty days. The refund is paid to the bank card that was charged. "
        "Shipping costs are never paid back, unless the parcel arrived damaged.",
        parent_id="refund",
    ),
    Document(
        "bread",
        "Mix flour, water and salt, and let the dough rest over night. Bake the bread in a hot oven for forty minutes. "
        "A slow fermentation gives the crust its deep brown colour.",
        title="Sourdough bread",
        parent_id="bread",
    ),
    Document(
        "copy",
        "A gear pump is a machine that moves oil by two meshing wheels.",
        parent_id="copy",
        duplicate_of="pump",
    ),
)


def write_inputs(
    folder: Path,
    *,
    documents: Sequence[Document] = DOCUMENTS,
    queries: Sequence[Query] = (),
    encode: EncodeFunction | None = None,
) -> SynthesisInputs:
    """Write the corpus and the split's queries, and return them as the stage's inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / "documents.parquet", documents, Document)
    write_records(folder / "queries.parquet", queries, Query)
    return SynthesisInputs(folder / "documents.parquet", folder / "queries.parquet", encode)


def made_by_people(texts: Sequence[str], split: Split = Split.TRAIN) -> list[Query]:
    """Return texts as queries of a split."""
    return [Query(f"{split.value}-{number}", text, split) for number, text in enumerate(texts)]
