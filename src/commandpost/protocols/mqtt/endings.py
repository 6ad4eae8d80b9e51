"""Why a server ended a connection, in words for a log: which rule, and what its bound was."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.limits import MqttLimits
    from commandpost.protocols.mqtt.reason_codes import ReasonCode


def no_connect(limits: MqttLimits) -> str:
    """Say that no CONNECT came."""
    return f"no whole CONNECT within {limits.login_s:g} s of the connection"


def no_decision(limits: MqttLimits) -> str:
    """Say that the owner did not answer."""
    return f"the login was not decided within {limits.decision_s:g} s of the CONNECT"


def no_packet(silence_s: float, limits: MqttLimits) -> str:
    """Say that the keepalive is over."""
    return f"no whole packet for {silence_s:g} s, {limits.keepalive_factor:g} times the keepalive"


def half_a_packet(limits: MqttLimits) -> str:
    """Say that a packet was begun and not completed."""
    return f"a packet was not whole {limits.packet_s:g} s after its first byte"


def spelled(reason: ReasonCode) -> str:
    """Give a reason code as number and name."""
    return f"{reason:#04x} {reason.name.lower()}"
