"""Timing and limits that make no sense are refused when they are made."""

import pytest

from commandpost.protocols.coap.endpoint import EndpointLimits, TransmissionParameters


def test_the_defaults_are_onenets() -> None:
    """5 s, factor 1.5, 247 s, blocks of 512."""
    parameters = TransmissionParameters()

    assert (parameters.ack_timeout_s, parameters.ack_random_factor) == (5.0, 1.5)
    assert (parameters.exchange_lifetime_s, 16 << parameters.block_szx) == (247.0, 512)


@pytest.mark.parametrize(
    ("ack_timeout_s", "ack_random_factor", "block_szx"), [(0.0, 1.5, 5), (5.0, 0.9, 5), (5.0, 1.5, 7), (5.0, 1.5, -1)]
)
def test_impossible_timing_is_refused(ack_timeout_s: float, ack_random_factor: float, block_szx: int) -> None:
    """It would retransmit without a pause, or cut no block."""
    with pytest.raises(ValueError, match="is"):
        TransmissionParameters(ack_timeout_s=ack_timeout_s, ack_random_factor=ack_random_factor, block_szx=block_szx)


def test_a_negative_limit_is_refused() -> None:
    """By its name."""
    with pytest.raises(ValueError, match="answers_per_peer_max"):
        EndpointLimits(answers_per_peer_max=-1)
