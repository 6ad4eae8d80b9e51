"""What several tests of this folder need."""

import pytest

from tests.unit.southbound.tls_bench import TlsContexts


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> TlsContexts:
    """One certificate for all of them."""
    return TlsContexts.write(tmp_path_factory.mktemp("tls"))
