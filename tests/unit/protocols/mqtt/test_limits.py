"""The limits check themselves."""

import pytest

from commandpost.protocols.mqtt.limits import MqttLimits


@pytest.mark.parametrize(
    "values",
    [
        {"login_s": 0},
        {"inflight_max": 0},
        {"packet_bytes_max": -1},
        {"packet_bytes_max": 268_435_456},
        {"inbound_unacknowledged_max": 65_536},
        {"topic_aliases_max": 65_536},
    ],
)
def test_a_limit_that_lets_nothing_through_or_has_no_form_is_refused(values: dict[str, int]) -> None:
    """Zero is no bound but a wall; counts of the wire have 16 bits."""
    with pytest.raises(ValueError, match=r"above 0|16 bits|at most"):
        MqttLimits(**values)
