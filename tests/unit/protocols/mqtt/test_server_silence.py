"""Silence: the keepalive, packets that are not completed, and time the owner takes."""

import pytest

from commandpost.protocols.mqtt.codec import encode
from commandpost.protocols.mqtt.connection import SILENT_PACKETS_MAX
from commandpost.protocols.mqtt.events import CloseReason, PublishReceived
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import Disconnect, Pingreq, Pingresp, Puback
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from tests.unit.protocols.mqtt.conversation import BOTH_VERSIONS, KEEPALIVE_S, LIMITS, message, opened

ALLOWED_S = KEEPALIVE_S * 1.5


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_one_and_a_half_keepalive_times_of_silence_end_the_connection(version: Version) -> None:
    """MQTT 3.1.1 section 3.1.2.10."""
    conversation = opened(version)
    assert conversation.connection.next_deadline() == conversation.now + ALLOWED_S

    assert conversation.pass_time(ALLOWED_S - 0.1) == []
    conversation.pass_time(0.1)

    told = [Disconnect(reason=ReasonCode.KEEP_ALIVE_TIMEOUT)] if version is Version.V5 else []
    assert conversation.answers() == told
    assert conversation.closed.reason is CloseReason.KEEPALIVE_TIMED_OUT


@pytest.mark.parametrize("packet", [Pingreq(), message(), Puback(packet_id=9)], ids=["ping", "publish", "puback"])
def test_any_whole_packet_keeps_the_connection(packet: Pingreq) -> None:
    """Not only PINGREQ."""
    conversation = opened()
    conversation.now += ALLOWED_S - 1
    conversation.send(packet)

    assert conversation.pass_time(ALLOWED_S - 1) == []
    assert conversation.connection.next_deadline() == conversation.now + 1


def test_what_the_server_sends_keeps_nothing_alive() -> None:
    """A half-open socket takes bytes for a long time."""
    conversation = opened()
    conversation.now += ALLOWED_S - 1
    conversation.connection.bytes_to_send()

    conversation.pass_time(1)

    assert conversation.closed.reason is CloseReason.KEEPALIVE_TIMED_OUT


def test_the_keepalive_is_the_one_the_owner_accepted_with() -> None:
    """OneNET has its own for a device that names none."""
    conversation = opened(keepalive_s=1_200)

    assert conversation.connection.next_deadline() == conversation.now + 1_800


def test_without_a_keepalive_silence_is_allowed_for_ever() -> None:
    """There is nothing to wait for."""
    conversation = opened(keepalive_s=0)

    assert conversation.connection.next_deadline() is None
    assert conversation.pass_time(1_000_000) == []


def test_a_packet_begun_and_not_completed_keeps_nothing_alive() -> None:
    """A byte every minute is silence too."""
    conversation = opened()
    data = encode(message(bytes(100)), Version.V3_1_1)
    for position in range(2):
        conversation.now += ALLOWED_S / 2
        conversation.send_bytes(data[position : position + 1])

    conversation.pass_time(0)

    assert conversation.closed.reason is CloseReason.KEEPALIVE_TIMED_OUT


@pytest.mark.parametrize("version", BOTH_VERSIONS)
def test_a_packet_takes_no_longer_than_its_time(version: Version) -> None:
    """Also where the keepalive is longer, or there is none."""
    conversation = opened(version, keepalive_s=0)
    data = encode(message(bytes(100)), version)
    conversation.send_bytes(data[:10])
    begun_at = conversation.now
    conversation.pass_time(LIMITS.packet_s / 2)
    conversation.send_bytes(data[10:20])
    assert conversation.connection.next_deadline() == begun_at + LIMITS.packet_s

    conversation.pass_time(LIMITS.packet_s / 2)

    assert conversation.closed.reason is CloseReason.PACKET_TIMED_OUT


def test_a_packet_completed_in_time_starts_no_other_clock() -> None:
    """The next one has its own time."""
    conversation = opened(keepalive_s=0)
    data = encode(message(bytes(100)), Version.V3_1_1)
    conversation.send_bytes(data[:10])
    conversation.pass_time(1)

    assert len(conversation.send_bytes(data[10:])) == 1
    assert conversation.connection.next_deadline() is None


def test_time_the_owner_takes_is_not_the_silence_of_the_device() -> None:
    """While nothing is read nothing can be heard; afterwards the device has its time again."""
    conversation = opened(limits=MqttLimits(inbound_unacknowledged_max=1))
    (event,) = conversation.send(message(qos=1), Pingreq())
    assert isinstance(event, PublishReceived)
    assert event.handle is not None
    assert conversation.connection.next_deadline() is None
    assert conversation.pass_time(10 * ALLOWED_S) == []

    conversation.connection.acknowledge(event.handle)
    conversation.drain()
    assert conversation.pass_time(0) == []

    assert conversation.answers() == [Puback(packet_id=1), Pingresp()]
    assert conversation.connection.next_deadline() == conversation.now + ALLOWED_S


def test_a_device_heard_late_has_its_time_from_then_on() -> None:
    """Nothing was called while the owner took its time, so the engine's clock stood still; once, not for ever."""
    conversation = opened(limits=MqttLimits(inbound_unacknowledged_max=1))
    (event,) = conversation.send(message(qos=1))
    assert isinstance(event, PublishReceived)
    assert event.handle is not None
    conversation.send_bytes(encode(message(bytes(100)), Version.V3_1_1)[:-1])
    conversation.now += 10 * ALLOWED_S
    conversation.connection.acknowledge(event.handle)
    conversation.drain()

    assert conversation.pass_time(0) == []
    assert conversation.connection.next_deadline() == conversation.now + ALLOWED_S
    conversation.pass_time(ALLOWED_S)

    assert conversation.closed.reason is CloseReason.KEEPALIVE_TIMED_OUT


def test_a_flood_of_packets_without_events_is_read_in_pieces() -> None:
    """One read of a quarter of a megabyte does not stop the loop for a tenth of a second."""
    conversation = opened()
    data = encode(Pingreq(), Version.V3_1_1) * (SILENT_PACKETS_MAX + 5)

    conversation.send_bytes(data)
    first = conversation.answers()
    assert conversation.connection.next_deadline() == conversation.now
    conversation.pass_time(0)
    second = conversation.answers()

    assert (len(first), len(second)) == (SILENT_PACKETS_MAX, 5)
    assert conversation.connection.next_deadline() == conversation.now + ALLOWED_S
