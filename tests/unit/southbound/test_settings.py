"""What an operator may say."""

from typing import Any

import pytest

from commandpost.southbound.settings import CoapSettings


def test_defaults_are_onenets_timing() -> None:
    """First retransmission after 5 to 7.5 s, blocks of 512 bytes."""
    parameters = CoapSettings().transmission_parameters()

    assert (parameters.ack_timeout_s, parameters.ack_random_factor) == (5.0, 1.5)
    assert (parameters.block_szx, parameters.block1_threshold_bytes) == (5, 512)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("block_bytes", 500),
        ("block_bytes", 2048),
        ("tlv_number", 42),
        ("ack_timeout_s", 0.0),
        ("ack_random_factor", 0.9),
        ("open_exchanges_max", 0),
        ("known_peers_max", 0),
        ("requests_open_max", 0),
        ("late_answers_max", 0),
    ],
)
def test_a_bad_value_names_its_field(field: str, value: Any) -> None:  # Any: the type depends on the field
    """An operator must see which one it was."""
    with pytest.raises(ValueError, match=field):
        CoapSettings(**{field: value})
