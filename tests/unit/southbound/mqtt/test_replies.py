"""Replies of devices to `/cmds` payloads, on the wire. Source: southbound reference 5.2; design 10.2."""

from commandpost.domain.command import PAYLOAD_WINDOW_MAX, CommandState
from tests.event_loop import on_event_loop
from tests.unit.southbound.mqtt.test_peer import HOUR_S, PINGREQ, logged_in, text
from tests.unit.southbound.stream_house import Streams


def reply(command_id: str) -> bytes:
    """A PUBLISH of QoS 0 to `$crsp/{uuid}`."""
    body = text(f"$crsp/{command_id}") + b"ok"
    return bytes((0x30, len(body))) + body


def command_ids(data: bytes) -> list[str]:
    """Give what was published to `$creq/{uuid}`."""
    return [piece[:36].decode() for piece in data.split(b"$creq/")[1:]]


@on_event_loop
async def test_a_device_that_replies_and_sends_no_puback_gets_its_next_payloads() -> None:
    """Its reply implies the confirmation; without one the window is held."""
    streams = Streams()
    product, device = await streams.furnish()
    peer, transport = await logged_in(streams, device)
    await streams.say(peer, PINGREQ)
    commands = [
        await streams.house.send(product, device, b"x", qos=1, timeout_s=HOUR_S) for _ in range(PAYLOAD_WINDOW_MAX + 2)
    ]
    first = command_ids(transport.take())

    await streams.say(peer, reply(first[0]))
    second = command_ids(transport.take())
    await streams.say(peer, reply(first[0]))
    again = command_ids(transport.take())

    assert (len(first), len(second), again) == (PAYLOAD_WINDOW_MAX, 1, [])
    assert await streams.house.state(product, commands[0]) is CommandState.SUCCEEDED
