"""Values that make no server are refused when they are given."""

from typing import Any

import pytest

from commandpost.protocols.dtls.association import SavedAssociation
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.record_protection import Protection, WriteKeys
from commandpost.protocols.dtls.registries import CipherSuite

KEYS = WriteKeys(key=bytes(16), salt=bytes(4))


@pytest.mark.parametrize(
    "change",
    [
        {"cipher_suites": ()},
        {"cipher_suites": (CipherSuite.PSK_AES_128_CCM_8,) * 2},
        {"connection_id_bytes": 21},
        {"connection_id_bytes": -1},
        {"candidates": 0},
        {"flight_transmissions_max": 0},
        {"reservation_block": 1},
        {"handshake_timeout_s": 0.0},
        {"idle_timeout_s": -1.0},
    ],
)
def test_parameters_that_agree_to_nothing_or_never_end_are_refused(change: dict[str, Any]) -> None:
    """Any: one field of several types."""
    with pytest.raises(ValueError, match=r"."):
        DtlsParameters(**change)


@pytest.mark.parametrize("change", [{"associations_max": 0}, {"half_open_max": 0}, {"alerts_burst": -1}])
def test_limits_that_admit_nobody_are_refused(change: dict[str, int]) -> None:
    """A bound is a number, and there is room for one."""
    with pytest.raises(ValueError, match=r"."):
        DtlsLimits(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 2},
        {"write_sequence": (1 << 48) + 1},
        {"read_sequence": -2},
        {"protection": Protection.CBC_ENCRYPT_THEN_MAC},  # the keys are those of CCM
    ],
)
def test_a_saved_association_that_was_none_is_refused(change: dict[str, Any]) -> None:
    """What is on disk may be damaged. Any: one field of several types."""
    fields: dict[str, Any] = {
        "remote": 1,
        "identity": b"dev",
        "label": "access",
        "protection": Protection.CCM_8,
        "read_keys": KEYS,
        "write_keys": KEYS,
        "write_sequence": 0,
        "read_sequence": -1,
    }
    SavedAssociation(**fields)

    with pytest.raises(ValueError, match=r"."):
        SavedAssociation(**fields | change)
