"""Notifications: what they say is stored first and acknowledged then (design 4; southbound reference 1.7, 1.8)."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest

from commandpost.domain.command import Trigger
from commandpost.domain.errors import NotFound, Overloaded, StoreUnavailable
from commandpost.domain.resource import ResourcePath
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Block, Option, encode_uint
from commandpost.services.datapoints import TooManyStreams
from commandpost.southbound.settings import CoapSettings
from tests.unit.southbound.bench import DEVICE_ID, START, TOKEN, RawDevice, piggybacked
from tests.unit.southbound.test_lwm2m_server import ServerBench

INSTANCE = ResourcePath(object_id=3306, instance_id=0)
DIMMER = ResourcePath(object_id=3306, instance_id=0, resource_id=5851)
UPLINK = (DEVICE_ID, Trigger.NOTIFY)
ON_AND_22 = bytes.fromhex("E1 16 DA 01 E1 16 DB 16")  # southbound reference 3.1: {5850: true, 5851: 22}


def notification(
    payload: bytes,
    content_format: int | None = 11542,
    *,
    number: int | None = 2,
    message_id: int = 0x3000,
    type: MessageType = MessageType.CON,
    code: int = Code.CONTENT,
    options: tuple[tuple[int, bytes], ...] = (),
) -> CoapMessage:
    """A notification of the observation TOKEN."""
    if number is not None:
        options = ((int(Option.OBSERVE), encode_uint(number)), *options)
    if content_format is not None:
        options = (*options, (int(Option.CONTENT_FORMAT), encode_uint(content_format)))
    return CoapMessage(type=type, code=code, message_id=message_id, token=TOKEN, options=options, payload=payload)


class ReportBench(ServerBench):
    """A server with one registered device, which observes one path."""

    def tell(self, *messages: CoapMessage, path: ResourcePath = INSTANCE, gap_s: float = 0.1) -> list[CoapMessage]:
        """Send messages one after another, and give whatever came back within a minute."""

        async def scenario(device: RawDevice) -> None:
            for message in messages:
                device.send(message)
                await asyncio.sleep(gap_s)
            await asyncio.sleep(60)

        return self.with_device(scenario, path=path)

    def with_device(
        self, story: Any, *, path: ResourcePath = INSTANCE
    ) -> list[CoapMessage]:  # Any: a coroutine function
        """Tell a story of the device; gives what it received."""

        async def scenario() -> list[CoapMessage]:
            device = self.device()
            self.registered(device, TOKEN, path=path)
            told: Coroutine[Any, Any, None] = story(device)  # Any: asyncio's own
            await told
            return device.received

        return self.run(scenario())

    @property
    def logged(self) -> list[str]:
        return [name for name, _ in self.events.events]


def types(replies: list[CoapMessage]) -> list[tuple[MessageType, int]]:
    """What a device sees of empty messages."""
    assert all(reply.code == 0 for reply in replies), replies
    return [(reply.type, reply.message_id) for reply in replies]


# --- what is stored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", [MessageType.CON, MessageType.NON])
@pytest.mark.parametrize(
    ("content_format", "payload", "path", "points"),
    [
        (11542, ON_AND_22, INSTANCE, [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (1542, ON_AND_22, INSTANCE, [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (None, ON_AND_22, INSTANCE, [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (11542, bytes.fromhex("E1 16 DB 16"), DIMMER, [("3306_0_5851", "22")]),
        (0, b"22", DIMMER, [("3306_0_5851", "22")]),
        (None, b"22", DIMMER, [("3306_0_5851", "22")]),
        (42, b"\x12\x1a", ResourcePath(object_id=9000, instance_id=1, resource_id=2), [("9000_1_2", "[18,26]")]),
        (60, b"\x16", DIMMER, [("3306_0_5851", "22")]),
        (110, b'[{"bn":"/3306/0/","n":"5850","vb":true},{"n":"5851","v":22}]', INSTANCE,
         [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (112, bytes.fromhex("82A321682F333330362F302F00643538353004F5A20064353835310216"), INSTANCE,
         [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (11543, b'{"bn":"/3306/0/","e":[{"n":"5850","bv":true},{"n":"5851","v":22}]}', INSTANCE,
         [("3306_0_5850", "true"), ("3306_0_5851", "22")]),
        (11542, bytes.fromhex("86 06 41 00 01 41 01 05"), ResourcePath(object_id=3, instance_id=0),
         [("3_0_6", '[{"res_inst_id":0,"val":[1]},{"res_inst_id":1,"val":[5]}]')]),
        (11542, b"", INSTANCE, []),
        (None, b"", INSTANCE, []),
    ],
)  # fmt: skip
def test_every_format_becomes_points(
    type: MessageType, content_format: int | None, payload: bytes, path: ResourcePath, points: list[tuple[str, str]]
) -> None:
    """Southbound reference 3; the uplink is told once, and CON is acknowledged."""
    bench = ReportBench()

    replies = bench.tell(notification(payload, content_format, type=type), path=path)

    assert bench.points.shown == points
    assert types(replies) == ([(MessageType.ACK, 0x3000)] if type is MessageType.CON else [])
    assert bench.uplinks.uplinks == [UPLINK]
    assert bench.logged == []


def test_points_have_the_time_of_arrival() -> None:
    """Nothing else is known of them."""
    bench = ReportBench()

    bench.tell(notification(b"22", 0), path=DIMMER)

    assert START <= bench.points.times[0] < START + 1000


@pytest.mark.parametrize(
    ("pack", "times"),
    [
        ([{"bn": "/3306/0/5851", "bt": 1_600_000_000.123, "v": 1}, {"t": -10, "v": 2}],
         [1_599_999_990_123, 1_600_000_000_123]),
        ([{"bn": "/3306/0/5851", "bt": 1e300, "v": 1}], ["arrival"]),
        ([{"bn": "/3306/0/5851", "t": -1e300, "v": 1}], ["arrival"]),
        ([{"bn": "/3306/0/5851", "t": 3600, "v": 1}], ["arrival"]),
    ],
)  # fmt: skip
def test_times_of_the_payload_stand_where_they_can_be(pack: object, times: list[object]) -> None:
    """Absolute ones as they are; what no clock shows is of now."""
    bench = ReportBench()

    bench.tell(notification(json.dumps(pack).encode(), 110), path=DIMMER)

    arrived = range(START, START + 1000)
    assert ["arrival" if at in arrived else at for at in bench.points.times] == times


def test_a_time_relative_to_now_counts_from_the_arrival() -> None:
    bench = ReportBench()

    bench.tell(notification(b'[{"n":"/3306/0/5851","v":1,"t":-60},{"n":"/3306/0/5851","v":2}]', 110), path=DIMMER)

    first, second = bench.points.times
    assert second - first == 60_000


def test_an_overtaken_notification_is_stored_behind_the_newest() -> None:
    """Its point is kept, and is never the latest (RFC 7641 section 3.4)."""
    bench = ReportBench()

    bench.tell(
        notification(b"5", 0, number=5, message_id=1),
        notification(b"4", 0, number=4, message_id=2),
        notification(b"6", 0, number=6, message_id=3),
        path=DIMMER,
    )

    newest, overtaken, latest = bench.points.times
    assert [value for _, value in bench.points.shown] == ["5", "4", "6"]
    assert overtaken == newest - 1
    assert latest > newest


# --- when it is acknowledged ------------------------------------------------------------------------------------------


def test_acknowledgement_and_uplink_follow_the_commit() -> None:
    """Duplicates meanwhile are dropped; afterwards they are acknowledged again and are no second point."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        bench.points.hold()
        for _ in range(3):
            device.send(notification(b"22", 0))
            await asyncio.sleep(2)
        assert device.received == []
        assert bench.uplinks.uplinks == []
        bench.points.release()
        await asyncio.sleep(1)
        assert len(device.received) == 1
        device.send(notification(b"22", 0))
        await asyncio.sleep(1)

    replies = bench.with_device(story, path=DIMMER)

    assert types(replies) == [(MessageType.ACK, 0x3000)] * 2
    assert bench.points.shown == [("3306_0_5851", "22")]
    assert bench.uplinks.uplinks == [UPLINK]


def test_a_non_notification_counts_as_heard_when_it_is_stored() -> None:
    """Nothing goes back; the uplink waits for the commit."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        bench.points.hold()
        device.send(notification(b"22", 0, type=MessageType.NON))
        await asyncio.sleep(2)
        assert bench.uplinks.uplinks == []
        bench.points.release()
        await asyncio.sleep(1)

    assert bench.with_device(story, path=DIMMER) == []
    assert bench.uplinks.uplinks == [UPLINK]


@pytest.mark.parametrize("error", [Overloaded(), StoreUnavailable()])
def test_what_cannot_be_stored_now_is_not_answered_and_comes_again(error: Exception) -> None:
    """The repetition is no duplicate: it is stored and acknowledged."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        bench.points.error = error
        for _ in range(2):
            device.send(notification(b"22", 0))
            await asyncio.sleep(2)
        assert device.received == []
        assert bench.uplinks.uplinks == []
        bench.points.error = None
        device.send(notification(b"22", 0))
        await asyncio.sleep(1)

    replies = bench.with_device(story, path=DIMMER)

    assert types(replies) == [(MessageType.ACK, 0x3000)]
    assert bench.points.shown == [("3306_0_5851", "22")]
    assert bench.uplinks.uplinks == [UPLINK]
    assert bench.logged == ["notification_declined"] * 2


def test_what_cannot_be_read_is_acknowledged_and_logged() -> None:
    """Repeating it would change nothing. The log has no payload."""
    bench = ReportBench()

    replies = bench.tell(notification(b"secret!", 0), path=DIMMER)

    assert types(replies) == [(MessageType.ACK, 0x3000)]
    assert bench.points.asked == 0
    assert bench.uplinks.uplinks == [UPLINK]
    ((name, fields),) = bench.events.events
    assert name == "notification_undecodable"
    assert (fields["device_id"], fields["path"], fields["content_format"]) == (DEVICE_ID, "/3306/0/5851", 0)
    assert "secret" not in repr(fields)


def test_what_can_never_be_stored_is_acknowledged_and_logged() -> None:
    """The device has its full number of streams."""
    bench = ReportBench()
    bench.points.error = TooManyStreams(1000)

    replies = bench.tell(notification(b"22", 0), path=DIMMER)

    assert types(replies) == [(MessageType.ACK, 0x3000)]
    assert bench.logged == ["notification_refused"]


def test_a_value_longer_than_a_point_is_logged_and_the_rest_is_stored() -> None:
    """20,000 opaque bytes are 80,000 characters of JSON; the dimmer beside them has its point."""
    bench = ReportBench()
    payload = bytes.fromhex("D0 09 4E 20") + b"\xff" * 20_000 + bytes.fromhex("E1 16 DB 16")

    replies = bench.tell(notification(payload))

    assert types(replies) == [(MessageType.ACK, 0x3000)]
    assert bench.points.shown == [("3306_0_5851", "22")]
    assert bench.logged == ["values_left_out"]


def test_rubbish_of_a_fleet_does_not_fill_the_log() -> None:
    """The first hundred say who."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        for number in range(300):
            device.send(notification(b"no number", 0, message_id=number))
        await asyncio.sleep(1)

    replies = bench.with_device(story, path=DIMMER)

    assert len(replies) == 300
    assert bench.logged == ["notification_undecodable"] * 100


def test_a_device_that_was_deleted_meanwhile_is_reset() -> None:
    """As one that never was (southbound reference 1.8)."""
    bench = ReportBench()
    bench.points.error = NotFound("device", "7")

    replies = bench.tell(notification(b"22", 0), path=DIMMER)

    assert types(replies) == [(MessageType.RST, 0x3000)]
    assert bench.uplinks.uplinks == []


def test_notifications_at_work_are_bounded() -> None:
    """One more is not answered, and its repetition is welcome."""
    bench = ReportBench(settings=CoapSettings(reports_open_max=2))

    async def story(device: RawDevice) -> None:
        bench.points.hold()
        for message_id in (1, 2, 3, 4):
            device.send(notification(b"22", 0, message_id=message_id))
        await asyncio.sleep(1)
        assert bench.points.asked == 2
        bench.points.release()
        await asyncio.sleep(1)
        for message_id in (3, 4):
            device.send(notification(b"23", 0, message_id=message_id))
            await asyncio.sleep(1)

    replies = bench.with_device(story, path=DIMMER)

    assert [reply.message_id for reply in replies] == [1, 2, 3, 4]
    assert [value for _, value in bench.points.shown] == ["22", "22", "23", "23"]


def test_a_session_that_cannot_be_read_now_leaves_the_repetition_its_chance() -> None:
    """After a restart the store may be too busy to say whose notification it is."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        bench.sessions.cannot_tell = True
        device.send(notification(b"22", 0))
        await asyncio.sleep(2)
        assert device.received == []
        bench.sessions.cannot_tell = False
        device.send(notification(b"22", 0))
        await asyncio.sleep(1)

    replies = bench.with_device(story, path=DIMMER)

    assert types(replies) == [(MessageType.ACK, 0x3000)]
    assert bench.points.shown == [("3306_0_5851", "22")]


def test_a_stop_waits_for_what_is_being_stored() -> None:
    """It is acknowledged; what comes later is left to the next run of the server."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        bench.points.hold()
        device.send(notification(b"22", 0, message_id=1))
        await asyncio.sleep(1)
        draining = asyncio.ensure_future(bench.server.drain(5.0))
        await asyncio.sleep(1)
        device.send(notification(b"23", 0, message_id=2))
        await asyncio.sleep(1)
        bench.points.release()
        await draining
        await asyncio.sleep(1)

    replies = bench.with_device(story, path=DIMMER)

    assert types(replies) == [(MessageType.ACK, 1)]
    assert bench.points.shown == [("3306_0_5851", "22")]


def test_a_stop_that_takes_too_long_acknowledges_nothing() -> None:
    """The device repeats it to the next run."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        bench.points.hold()
        device.send(notification(b"22", 0))
        await asyncio.sleep(1)
        await bench.server.drain(0.5)
        bench.points.release()
        await asyncio.sleep(1)

    assert bench.with_device(story, path=DIMMER) == []


def test_a_valid_notification_without_content_is_acknowledged() -> None:
    """2.03: the value is what it was (RFC 7641 section 4.3.2)."""
    bench = ReportBench()

    replies = bench.tell(notification(b"", None, code=Code.VALID))

    assert types(replies) == [(MessageType.ACK, 0x3000)]
    assert bench.points.asked == 0


# --- in blocks (RFC 7959 section 3.4) ---------------------------------------------------------------------------------

TEXT = ResourcePath(object_id=3306, instance_id=0, resource_id=5750)
WHOLE = b"0123456789abcdef" * 3 + b"end"


def block(number: int, *, szx: int = 0) -> tuple[tuple[int, bytes], bytes]:
    """One block of WHOLE with its option."""
    size = 16 << szx
    piece = WHOLE[number * size : (number + 1) * size]
    more = (number + 1) * size < len(WHOLE)
    return (int(Option.BLOCK2), Block(number=number, more=more, szx=szx).encode()), piece


def first_block(message_id: int = 0x3000) -> CoapMessage:
    option, piece = block(0)
    return notification(piece, 0, message_id=message_id, options=(option,))


def test_the_rest_of_a_notification_is_fetched_before_it_is_acknowledged() -> None:
    """One point of the whole value; the requests are for the observed path, without Observe."""
    bench = ReportBench()
    asked: list[CoapMessage] = []

    async def story(device: RawDevice) -> None:
        def serve(request: CoapMessage) -> CoapMessage | None:
            if request.code != Code.GET:
                return None
            asked.append(request)
            wanted = request.block2
            assert wanted is not None
            option, piece = block(wanted.number)
            return piggybacked(request, Code.CONTENT, options=(option,), payload=piece)

        device.answer_with = serve
        device.send(first_block())
        await asyncio.sleep(5)

    replies = bench.with_device(story, path=TEXT)

    assert bench.points.shown == [("3306_0_5750", f'"{WHOLE.decode()}"')]
    assert [request.uri_path for request in asked] == [("3306", "0", "5750")] * 3
    assert [(request.observe, request.accept) for request in asked] == [(None, 0)] * 3
    assert len({request.token for request in asked}) == 1
    assert asked[0].token[:4] == TOKEN[:4] != asked[0].token
    assert types([reply for reply in replies if reply.code == 0]) == [(MessageType.ACK, 0x3000)]
    assert bench.uplinks.uplinks == [UPLINK]


def test_a_fetch_has_a_token_of_the_source_of_tokens() -> None:
    """It is the only proof that a block is the device's, so it is no number that can be counted."""
    bench = ReportBench()
    for _ in range(0x4142):
        bench.ids.new_secret()  # the next number is far from where anybody would begin

    async def story(device: RawDevice) -> None:
        device.send(first_block())
        await asyncio.sleep(1)

    (asked, *_) = bench.with_device(story, path=TEXT)

    assert asked.token == DEVICE_ID.to_bytes(4, "big") + b"\0\0\x41\x43"


def test_a_device_that_does_not_serve_the_rest_is_not_acknowledged() -> None:
    """It repeats the notification, and that is a new try."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        device.send(first_block())
        await asyncio.sleep(45)
        assert all(reply.code == Code.GET for reply in device.received)
        device.send(first_block())
        await asyncio.sleep(1)

    received = bench.with_device(story, path=TEXT)

    assert len({request.token for request in received}) == 2
    assert bench.points.asked == 0
    assert bench.logged == ["notification_declined"]


def test_blocks_that_do_not_fit_together_are_acknowledged_and_logged() -> None:
    """As everything that cannot be read."""
    bench = ReportBench()

    async def story(device: RawDevice) -> None:
        device.answer_with = lambda request: piggybacked(request, Code.NOT_FOUND) if request.code == Code.GET else None
        device.send(first_block())
        await asyncio.sleep(1)

    received = bench.with_device(story, path=TEXT)

    assert types([reply for reply in received if reply.code == 0]) == [(MessageType.ACK, 0x3000)]
    assert bench.logged == ["notification_undecodable"]
    assert bench.points.asked == 0


def test_notifications_whose_rest_is_awaited_are_bounded_too() -> None:
    """A fleet cannot make us ask for ever more."""
    bench = ReportBench(settings=CoapSettings(reports_open_max=2))

    async def story(device: RawDevice) -> None:
        for message_id in range(10):
            device.send(first_block(message_id))
        await asyncio.sleep(1)

    received = bench.with_device(story, path=TEXT)

    assert len(received) == 2
