"""Reason codes and the return codes of 3.1.1."""

import pytest

from commandpost.protocols.mqtt.reason_codes import (
    CONNACK_CODES_3_1_1,
    CONNACK_REASONS,
    DISCONNECT_REASONS,
    ReasonCode,
    connack_number_3_1_1,
    suback_number_3_1_1,
)


def test_return_codes_map_to_reasons_and_back() -> None:
    """MQTT 3.1.1 table 3.1: six of them."""
    assert [connack_number_3_1_1(reason) for reason in CONNACK_CODES_3_1_1] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("reason", "number"),
    [
        (ReasonCode.SERVER_BUSY, 3),
        (ReasonCode.UNSPECIFIED_ERROR, 3),
        (ReasonCode.BANNED, 5),
        (ReasonCode.QUOTA_EXCEEDED, 5),
        (ReasonCode.BAD_AUTHENTICATION_METHOD, 5),
    ],
)
def test_a_reason_3_1_1_does_not_have_is_said_as_nearly_as_possible(reason: ReasonCode, number: int) -> None:
    """ "Server unavailable" for what may pass, "not authorized" for what will not."""
    assert connack_number_3_1_1(reason) == number


def test_every_refusal_has_a_return_code_that_refuses() -> None:
    """No reason of MQTT 5 becomes a success."""
    assert all(connack_number_3_1_1(reason) in range(1, 6) for reason in CONNACK_REASONS if reason.is_failure)
    assert all(suback_number_3_1_1(reason) == 0x80 for reason in ReasonCode if reason.is_failure)


def test_a_disconnect_has_the_reasons_of_its_table() -> None:
    """MQTT 5.0 table 3-10, and Bad Authentication Method, which table 2-6 gives it too."""
    table = "00 04 80 81 82 83 87 89 8B 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2"

    assert sorted(DISCONNECT_REASONS) == sorted([*bytes.fromhex(table), 0x8C])


def test_a_connack_has_the_reasons_of_its_table() -> None:
    """MQTT 5.0 table 3-1."""
    table = "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"

    assert sorted(CONNACK_REASONS) == list(bytes.fromhex(table))
