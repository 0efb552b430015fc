"""A shop for all tests that want a real database under load; healthy before and after each."""

from collections.abc import Iterator

import pytest

from runbook_lib import sandbox
from runbook_lib.sandbox import Status


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Status]:
    """A sandbox of this test process; it dies with it. Whoever breaks it heals it."""
    status = sandbox.up(tmp_path_factory.mktemp("shop") / "state", seed=5, owner=True)
    yield status
    sandbox.down(status.state)
