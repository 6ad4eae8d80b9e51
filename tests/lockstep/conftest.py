"""One server process for all lockstep tests of a run; each test has devices of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data_dir: Path = tmp_path_factory.mktemp("lockstep") / "data"
    with ServerProcess(data_dir=data_dir) as process:
        yield process
