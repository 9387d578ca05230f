"""Each test of the contract is asked of every door."""

import pytest

from tests.contract.doors import DOORS, Door


@pytest.fixture(params=DOORS, ids=lambda door: door.name)
def door(request: pytest.FixtureRequest) -> Door:
    """A framework; `async with door.serve(...) as client`."""
    found: Door = request.param
    return found
