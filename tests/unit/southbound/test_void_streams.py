"""What a device hears when what it logged in with is void. Source: southbound reference 5.1, 6.4."""

import pytest

from commandpost.domain.device import Device
from commandpost.domain.payload_facts import EndConnection
from commandpost.domain.proof import AuthInfoChanged, ProofKind, fingerprint_auth_info
from tests.event_loop import on_event_loop
from tests.unit.southbound.mqtt.test_peer import connect, logged_in
from tests.unit.southbound.stream_house import Streams


def change_auth_info(streams: Streams, device: Device) -> None:
    change = AuthInfoChanged(only_device=device.id, fingerprint=fingerprint_auth_info('"another"'))
    streams.house.connections.credential_changed(change)


@on_event_loop
async def test_mqtt_3_is_closed_and_what_it_publishes_in_the_same_moment_is_not_acknowledged() -> None:
    """The connection is gone before the next byte is read."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = await logged_in(streams, device)
    change_auth_info(streams, device)
    await streams.say(peer, "32 0A 00 05 70 6C 61 69 6E 00 07 78")

    assert (transport.take(), transport.is_closing()) == (b"", True)
    assert len(streams.house.writer.of(EndConnection)) == 1


@on_event_loop
async def test_a_login_whose_session_is_still_being_written_is_not_let_in() -> None:
    """No CONNACK 0: what it was proved by is void before it could be said."""
    streams = Streams()
    _, device = await streams.furnish()
    peer, transport = streams.mqtt_stream()
    streams.house.writer.is_held = True
    peer.data_received(connect(device, is_clean=False))
    await streams.house.settle()
    streams.house.writer.release()
    streams.house.writer.is_held = True
    await streams.house.settle()
    is_open = streams.house.connections.find(device.id) is not None
    change_auth_info(streams, device)
    streams.house.writer.release()
    await streams.house.settle()

    assert is_open, "the change came between the login's fact and its session's"
    assert (transport.take(), transport.is_closing()) == (b"", True)
    assert streams.house.connections.find(device.id) is None


@pytest.mark.parametrize(("kind", "said"), [(ProofKind.AUTH_INFO, "40 01 23"), (ProofKind.DEVICE_KEY, "40 01 20")])
@on_event_loop
async def test_edp_is_told_what_its_login_would_be_told(kind: ProofKind, said: str) -> None:
    """Code 35 for a wrong auth_info, 32 for a wrong key."""
    streams = Streams()
    product, _ = await streams.furnish("EDP")
    peer, transport = streams.edp_stream()
    secret, number = b"secret-of-m", str(product.id).encode()
    body = b"\x00\x03EDP\x01\xc0\x01\x00\x00\x00" + len(number).to_bytes(2, "big") + number
    body += len(secret).to_bytes(2, "big") + secret
    await streams.say(peer, bytes((0x10, len(body))) + body)
    assert transport.take() == bytes.fromhex("20 02 00 00")
    peer.revoke(kind)

    assert transport.take() == bytes.fromhex(said)
    assert transport.is_closing()
