"""The engine of a test of the congruence suite."""

import pytest
from tests.index.engines import FILE_ENGINES, EngineCase


@pytest.fixture(params=[*FILE_ENGINES])
def case(request: pytest.FixtureRequest) -> EngineCase:
    """Every engine in turn."""
    return FILE_ENGINES[request.param]
