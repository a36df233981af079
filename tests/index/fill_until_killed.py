"""Fills an index version chunk by chunk and says so, until somebody kills the process."""

import sys
from pathlib import Path

from tests.index.texts import embed

from dialekt.index.building import fill
from dialekt.index.opened import OpenIndex
from dialekt.types import Progress


def main() -> None:
    """Fill version i1 of the index in the folder that the command names, 10 units at a time."""
    opened = OpenIndex.open(Path(sys.argv[1]))

    def report(step: Progress) -> None:
        sys.stdout.write(f"{step.done}\n")
        sys.stdout.flush()

    fill(opened, "i1", embed, chunk_documents=10, progress=report)


if __name__ == "__main__":
    main()
