"""Every store there is, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.store_harness import MemoryHarness, SqliteHarness, StoreHarness


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreHarness]:
    """An empty store."""
    harness = MemoryHarness() if request.param == "memory" else SqliteHarness(tmp_path / "commandpost.db")
    yield harness
    harness.store.close()
