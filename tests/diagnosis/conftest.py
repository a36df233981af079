"""The small world on disk that the tests of this folder share."""

from tests.world import world

__all__ = ["world"]
