"""What devices begin: southbound reference 1.4, 1.5 and every row of 1.8."""

import asyncio
from collections.abc import Callable

import pytest

from commandpost.domain.command import Trigger
from commandpost.domain.errors import Overloaded, StoreUnavailable
from commandpost.domain.ids import DeviceId
from commandpost.domain.operation import Read
from commandpost.domain.resource import ResourcePath
from commandpost.domain.session import Observation, Remote, Session
from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.services.sessions import Registration, RegistrationUpdate, SessionRefusal
from commandpost.southbound.lwm2m_server import Lwm2mServer, SessionOutcome
from commandpost.southbound.settings import CoapSettings
from tests.fakes.ids import CountingIds
from tests.unit.southbound.bench import DEVICE_ID, TOKEN, Bench, RawDevice, RecordingUplinks, empty, make_session

LOCATION = "865820031234567"
OBSERVED = ResourcePath(object_id=3303, instance_id=0)
REGISTER_FRAME = bytes.fromhex(
    "44 02 12 34 34 12 8F 1A B2 72 64 11 28"
    "3D 15 65 70 3D 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37 3B 34 36 30 30 34 30 34 32 37 30 30 31 32 33 34"
    "03 62 3D 55 06 6C 74 3D 33 30 30 D6 23 61 62 63 31 32 33 FF"
    "3C 2F 3E 3B 72 74 3D 22 6F 6D 61 2E 6C 77 6D 32 6D 22 2C 3C 2F 33 32 30 30 2F 30 3E"
)


class FakeSessions:
    """Sessions by location, without a store; what it answers can be set, and how long it takes."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.registrations: list[Registration] = []
        self.updates: list[RegistrationUpdate] = []
        self.dropped: list[bytes] = []
        self.heard: list[DeviceId] = []
        self.refusal: SessionRefusal | None = None
        self.error: Exception | None = None
        self.register_s = 0.0
        self.cannot_tell = False

    async def register(self, registration: Registration, remote: Remote) -> SessionOutcome:
        self.registrations.append(registration)
        await asyncio.sleep(self.register_s)
        if self.error is not None:
            raise self.error
        if self.refusal is not None:
            return self.refusal
        session = make_session(remote=remote, location=(registration.endpoint_name or "").partition(";")[0])
        self.sessions[session.location] = session
        return session

    def update(self, update: RegistrationUpdate, remote: Remote, then: Callable[[SessionOutcome], object]) -> None:
        self.updates.append(update)
        session = self.sessions.get(update.location)
        if session is not None:
            session.remote = remote
        then(self.refusal or session or SessionRefusal.NOT_FOUND)

    async def deregister(self, location: str, auth_code: bytes | None, remote: Remote) -> SessionOutcome:
        return self.sessions.pop(location, None) or SessionRefusal.NOT_FOUND

    def hear_notification(
        self,
        coap_token: bytes,
        remote: Remote,
        then: Callable[[tuple[Session, Observation] | None], object],
        otherwise: Callable[[], object],
    ) -> None:
        if self.cannot_tell:
            otherwise()
            return
        for session in self.sessions.values():
            observation = session.find_observation(coap_token)
            if observation is not None:
                session.remote = remote
                then((session, observation))
                return
        then(None)

    def hear_sender(
        self, remote: Remote, then: Callable[[Session | None], object], otherwise: Callable[[], object]
    ) -> None:
        if self.cannot_tell:
            otherwise()
        else:
            then(next((session for session in self.sessions.values() if session.remote == remote), None))

    def find(self, device_id: DeviceId) -> Session | None:
        return next((session for session in self.sessions.values() if session.device_id == device_id), None)

    def hear_answer(self, device_id: DeviceId) -> None:
        self.heard.append(device_id)

    async def drop_observation(self, session: Session, coap_token: bytes) -> None:
        self.dropped.append(coap_token)


class ServerBench(Bench):
    """A bench with the server on it."""

    def __init__(self, *, settings: CoapSettings | None = None) -> None:
        super().__init__(settings=settings)
        self.sessions = FakeSessions()
        self.uplinks = RecordingUplinks()
        self.ids = CountingIds()
        self.about_to_keep: list[Remote] = []
        self.server = Lwm2mServer(
            driver=self.driver,
            sessions=self.sessions,
            uplinks=self.uplinks,
            ids=self.ids,
            before_keeping=self.about_to_keep.append,
            clock=self.clock,
            events=self.events,
            settings=self.settings,
            reports=self.reports,
        )
        self.server.start()

    def registered(self, device: RawDevice, *tokens: bytes, path: ResourcePath = OBSERVED) -> Session:
        session = make_session(remote=device.remote, location=LOCATION)
        session.observations = tuple(Observation(coap_token=token, path=path, is_automatic=True) for token in tokens)
        self.sessions.sessions[LOCATION] = session
        return session


def request(
    code: int,
    *path: str,
    queries: tuple[str, ...] = (),
    payload: bytes = b"",
    options: tuple[tuple[int, bytes], ...] = (),
    message_id: int = 0x2000,
    type: MessageType = MessageType.CON,
) -> CoapMessage:
    return CoapMessage(
        type=type,
        code=code,
        message_id=message_id,
        token=b"tokn",
        options=(
            *((int(Option.URI_PATH), segment.encode()) for segment in path),
            *((int(Option.URI_QUERY), query.encode()) for query in queries),
            *options,
        ),
        payload=payload,
    )


def notification(
    token: bytes, *, message_id: int = 0x3000, type: MessageType = MessageType.CON, code: int = Code.CONTENT
) -> CoapMessage:
    options = ((int(Option.OBSERVE), encode_uint(2)), (int(Option.CONTENT_FORMAT), encode_uint(11542)))
    return CoapMessage(
        type=type,
        code=code,
        message_id=message_id,
        token=token,
        options=options if code == Code.CONTENT else (),
        payload=b"\xe1\x16\xda\x01" if code == Code.CONTENT else b"",
    )


def exchange(bench: ServerBench, message: CoapMessage | bytes) -> CoapMessage:
    """Send one message from a device and give the reply."""

    async def scenario() -> CoapMessage:
        device = bench.device()
        device.send(message)
        return await device.receive()

    return bench.run(scenario())


def silence_after(bench: ServerBench, *messages: CoapMessage) -> list[CoapMessage]:
    """Send messages from a device that holds a registration, and give whatever came back within a minute."""

    async def scenario() -> list[CoapMessage]:
        device = bench.device()
        bench.registered(device, TOKEN)
        for message in messages:
            device.send(message)
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        return device.received

    return bench.run(scenario())


# --- register, update, de-register ------------------------------------------------------------------------------------


def test_register_is_answered_with_its_location() -> None:
    """The frame and the reply of southbound reference 9, byte for byte."""
    bench = ServerBench()

    reply = exchange(bench, REGISTER_FRAME)

    assert encode(reply) == bytes.fromhex(
        "64 41 12 34 34 12 8F 1A 82 72 64 0D 02 38 36 35 38 32 30 30 33 31 32 33 34 35 36 37"
    )
    (registration,) = bench.sessions.registrations
    assert registration.endpoint_name == "865820031234567;460040427001234"
    assert (registration.lifetime_s, registration.binding, registration.lwm2m_version) == (300, "U", "1.0")
    assert registration.auth_code == b"abc123"
    assert bench.uplinks.uplinks == [(DEVICE_ID, Trigger.REGISTER)]


def test_register_twice_with_one_message_id_is_one_registration() -> None:
    """While it is at work a duplicate is dropped, afterwards it gets the same answer; one uplink."""
    bench = ServerBench()
    bench.sessions.register_s = 1.0

    async def scenario() -> list[CoapMessage]:
        device = bench.device()
        for _ in range(3):
            device.send(REGISTER_FRAME)
            await asyncio.sleep(0.8)
        return device.received

    replies = bench.run(scenario())
    assert len(bench.sessions.registrations) == 1
    assert [reply.code for reply in replies] == [Code.CREATED, Code.CREATED]
    assert bench.uplinks.uplinks == [(DEVICE_ID, Trigger.REGISTER)]


def test_a_reboot_that_starts_with_the_same_message_ids_registers_anew() -> None:
    """The token tells them apart (southbound reference 1.8)."""
    bench = ServerBench()

    async def scenario() -> None:
        device = bench.device()
        device.send(REGISTER_FRAME)
        await device.receive()
        device.send(REGISTER_FRAME[:7] + b"\x1b" + REGISTER_FRAME[8:])
        await device.receive()

    bench.run(scenario())
    assert len(bench.sessions.registrations) == 2


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (SessionRefusal.FORBIDDEN, Code.FORBIDDEN),
        (SessionRefusal.NOT_FOUND, Code.NOT_FOUND),
        (SessionRefusal.UNAVAILABLE, Code.SERVICE_UNAVAILABLE),
    ],
)
def test_refused_registration_carries_no_payload(refusal: SessionRefusal, code: int) -> None:
    """Never 4.01, nothing to amplify, and nothing is released."""
    bench = ServerBench()
    bench.sessions.refusal = refusal

    reply = exchange(bench, REGISTER_FRAME)

    assert (reply.type, reply.code, reply.payload) == (MessageType.ACK, code, b"")
    assert bench.uplinks.uplinks == []
    max_age = reply.find_option(Option.MAX_AGE)
    assert max_age == (encode_uint(60) if refusal is SessionRefusal.UNAVAILABLE else None)


@pytest.mark.parametrize("error", [StoreUnavailable(), Overloaded()])
def test_a_store_that_is_gone_is_unavailable(error: Exception) -> None:
    """5.03 with Max-Age: come again."""
    bench = ServerBench()
    bench.sessions.error = error

    assert exchange(bench, REGISTER_FRAME).code == Code.SERVICE_UNAVAILABLE


def test_registrations_at_work_are_bounded() -> None:
    """One more than allowed is told to come again; the others are not disturbed."""
    bench = ServerBench(settings=CoapSettings(requests_open_max=2))
    bench.sessions.register_s = 1.0

    async def scenario() -> list[int]:
        devices = [bench.device() for _ in range(4)]
        for device in devices:
            device.send(REGISTER_FRAME)
        return [(await device.receive()).code for device in devices]

    assert bench.run(scenario()) == [Code.CREATED] * 2 + [Code.SERVICE_UNAVAILABLE] * 2


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (request(Code.POST, "rd", queries=("lt=300",)), Code.BAD_REQUEST),
        (request(Code.POST, "rd", queries=("ep=a", "ep=b")), Code.BAD_REQUEST),
        (request(Code.POST, "rd", queries=("ep=a", "lt=abc")), Code.BAD_REQUEST),
        (request(Code.POST, "rd", queries=("ep=a",), payload=b"no links"), Code.BAD_REQUEST),
        (request(Code.POST, "rd", "unknown"), Code.NOT_FOUND),
        (request(Code.DELETE, "rd", "unknown"), Code.NOT_FOUND),
        (request(Code.GET, "rd"), Code.METHOD_NOT_ALLOWED),
        (request(Code.PUT, "rd", "unknown"), Code.METHOD_NOT_ALLOWED),
        (request(Code.POST, "bs", queries=("ep=a;b",)), Code.NOT_FOUND),
        (request(Code.GET, ".well-known", "core"), Code.NOT_FOUND),
        (request(Code.GET), Code.NOT_FOUND),
        (request(Code.POST, "rd", queries=("ep=a",), options=((9, b""),)), Code.BAD_OPTION),
    ],
)
def test_what_is_no_registration_is_refused_without_a_payload(message: CoapMessage, code: int) -> None:
    """A CON from whomever is never met with silence (southbound reference 1.8)."""
    bench = ServerBench()

    reply = exchange(bench, message)

    assert (reply.type, reply.code, reply.token, reply.payload) == (MessageType.ACK, code, b"tokn", b"")
    assert bench.sessions.registrations == []


def test_update_from_a_new_address_is_the_devices_new_address() -> None:
    """The location says who it is (southbound reference 2.2); no query, no Content-Format needed."""
    bench = ServerBench()

    async def scenario() -> tuple[CoapMessage, Session, Remote]:
        device = bench.device()
        session = bench.registered(device)
        device.link.rebind()
        device.send(request(Code.POST, "rd", LOCATION))
        return await device.receive(), session, device.remote

    reply, session, remote = bench.run(scenario())
    assert (reply.code, reply.payload) == (Code.CHANGED, b"")
    assert session.remote == remote
    assert bench.uplinks.uplinks == [(DEVICE_ID, Trigger.UPDATE)]
    assert bench.sessions.updates[0].links is None


def test_the_first_command_follows_the_reply() -> None:
    """What an uplink releases leaves after the 2.04 (southbound reference 2.5)."""
    bench = ServerBench()
    read = Read(path=ResourcePath(object_id=3306, instance_id=0, resource_id=5851))

    def release(session: Session, _trigger: Trigger) -> None:
        assert session.remote is not None
        bench.transmit(read, session.remote)

    bench.uplinks.on_uplink = release

    async def scenario() -> list[int]:
        device = bench.device()
        bench.registered(device)
        device.send(request(Code.POST, "rd", LOCATION))
        return [(await device.receive()).code, (await device.receive()).code]

    assert bench.run(scenario()) == [Code.CHANGED, Code.GET]


def test_deregister_is_answered_and_its_duplicate_gets_the_same_answer() -> None:
    """2.02 twice, though the session is gone by then; no uplink."""
    bench = ServerBench()

    async def scenario() -> list[int]:
        device = bench.device()
        bench.registered(device)
        device.send(request(Code.POST, "rd", LOCATION, message_id=1))
        await device.receive()
        codes = []
        for _ in range(2):
            device.send(request(Code.DELETE, "rd", LOCATION, message_id=2))
            codes.append((await device.receive()).code)
        return codes

    assert bench.run(scenario()) == [Code.DELETED, Code.DELETED]
    assert bench.uplinks.uplinks == [(DEVICE_ID, Trigger.UPDATE)]


def test_refusals_are_bounded_per_host_and_accepted_uplinks_are_not() -> None:
    """A storm of made-up identities is met with silence in the end; a device at the same address is still served."""
    bench = ServerBench(settings=CoapSettings(host_refusals_burst=5, host_refusals_per_s=0.001))

    async def scenario() -> tuple[int, int]:
        device = bench.device()
        bench.registered(device)
        for number in range(50):
            device.send(request(Code.POST, "rd", "unknown", message_id=number))
        await asyncio.sleep(1)
        refused = len(device.received)
        device.send(request(Code.POST, "rd", LOCATION, message_id=100))
        await asyncio.sleep(1)
        return refused, device.received[-1].code

    assert bench.run(scenario()) == (5, Code.CHANGED)
    assert bench.server.refusals_suppressed == 45


def test_a_storm_of_refusals_does_not_fill_the_log() -> None:
    """The first hundred say who and why."""
    bench = ServerBench(settings=CoapSettings(host_refusals_burst=500))

    async def scenario() -> int:
        device = bench.device()
        for number in range(300):
            device.send(request(Code.POST, "rd", "unknown", message_id=number))
        await asyncio.sleep(1)
        return len(device.received)

    assert bench.run(scenario()) == 300
    assert [name for name, _ in bench.events.events] == ["coap_request_refused"] * 100
    assert bench.events.events[0][1]["code"] == "4.04"


def test_strangers_leave_nothing_behind() -> None:
    """No session, no exchange, no known peer; and no more replies than the budget of the house allows."""
    bench = ServerBench(settings=CoapSettings(refusals_burst=100, refusals_per_s=0.001))
    bench.sessions.refusal = SessionRefusal.FORBIDDEN

    async def scenario() -> int:
        replies = 0
        for _ in range(1000):
            device = bench.device()
            device.send(request(Code.POST, "rd", queries=("ep=stranger",)))
            await asyncio.sleep(0.01)
            replies += len(device.received)
            device.link.close()
        return replies

    assert bench.run(scenario()) == 100
    assert (bench.driver.known_peers, bench.driver.exchanges_open) == (0, 0)


def test_draining_waits_for_what_is_at_work_and_takes_nothing_new() -> None:
    """A stop answers the registration that has been taken; what comes later is left to the next run of the server."""
    bench = ServerBench()
    bench.sessions.register_s = 2.0

    async def scenario() -> list[CoapMessage]:
        device = bench.device()
        device.send(REGISTER_FRAME)
        await asyncio.sleep(0.1)
        draining = asyncio.ensure_future(bench.server.drain(5.0))
        await asyncio.sleep(0.1)
        device.send(request(Code.POST, "rd", LOCATION, message_id=1))
        device.send(notification(TOKEN))
        await draining
        await asyncio.sleep(0.1)
        return device.received

    assert [reply.code for reply in bench.run(scenario())] == [Code.CREATED]


# --- the message layer: southbound reference 1.8 ----------------------------------------------------------------------


def test_con_notification_is_acknowledged_empty() -> None:
    """CON notify, known token: empty ACK with its message id; the uplink follows."""
    bench = ServerBench()

    (reply,) = silence_after(bench, notification(TOKEN))

    assert (reply.type, reply.code, reply.message_id) == (MessageType.ACK, 0, 0x3000)
    assert bench.uplinks.uplinks == [(DEVICE_ID, Trigger.NOTIFY)]


def test_non_notification_is_not_answered() -> None:
    """NON notify, known token: nothing goes back; the uplink is told all the same."""
    bench = ServerBench()

    assert silence_after(bench, notification(TOKEN, type=MessageType.NON)) == []
    assert bench.uplinks.uplinks == [(DEVICE_ID, Trigger.NOTIFY)]


def test_notification_from_a_new_address_moves_the_device() -> None:
    """The token is the proof (southbound reference 2.2)."""
    bench = ServerBench()

    async def scenario() -> tuple[Session, Remote]:
        device = bench.device()
        session = bench.registered(device, TOKEN)
        device.link.rebind()
        device.send(notification(TOKEN))
        await device.receive()
        return session, device.remote

    session, remote = bench.run(scenario())
    assert session.remote == remote


@pytest.mark.parametrize("type", [MessageType.CON, MessageType.NON])
@pytest.mark.parametrize("token", [b"", b"\x01", TOKEN[:4] + b"old!", bytes.fromhex("0000ffff01020304")])
def test_notification_nobody_wants_is_reset(type: MessageType, token: bytes) -> None:
    """Unknown token, a stale one of a known device, or a device that is not registered: RST stops the sender."""
    bench = ServerBench()

    (reply,) = silence_after(bench, notification(token, type=type))

    assert (reply.type, reply.code, reply.message_id) == (MessageType.RST, 0, 0x3000)
    assert bench.uplinks.uplinks == []


def test_duplicate_notification_is_acknowledged_again_and_is_no_second_uplink() -> None:
    """Same source, message id and token within 247 s; with another message id it is a new one."""
    bench = ServerBench()

    replies = silence_after(bench, notification(TOKEN), notification(TOKEN), notification(TOKEN, message_id=0x3001))

    assert [reply.message_id for reply in replies] == [0x3000, 0x3000, 0x3001]
    assert len(bench.uplinks.uplinks) == 2


def test_notification_with_an_error_is_the_last_of_its_observation() -> None:
    """RFC 7641 section 4.2: acknowledged, and the observation is dropped."""
    bench = ServerBench()

    (reply,) = silence_after(bench, notification(TOKEN, code=Code.NOT_FOUND))

    assert reply.type is MessageType.ACK
    assert bench.sessions.dropped == [TOKEN]


def test_answer_of_a_known_device_to_nothing_open_is_acknowledged() -> None:
    """From another address than the one asked: it does not count, but a RST would restart the device."""
    bench = ServerBench()
    answer = CoapMessage(type=MessageType.CON, code=Code.CHANGED, message_id=9, token=TOKEN[:4] + b"else")

    (reply,) = silence_after(bench, answer)

    assert (reply.type, reply.code, reply.message_id) == (MessageType.ACK, 0, 9)
    assert bench.server.answers_from_elsewhere == 1
    assert bench.uplinks.uplinks == []


def test_answer_with_a_token_of_nobody_is_reset() -> None:
    """No device of ours: RST."""
    bench = ServerBench()
    answer = CoapMessage(type=MessageType.CON, code=Code.CHANGED, message_id=9, token=b"\xff" * 8)

    (reply,) = silence_after(bench, answer)

    assert (reply.type, reply.message_id) == (MessageType.RST, 9)


def test_resets_are_bounded_too() -> None:
    """A forged address must not be shot at with resets."""
    bench = ServerBench(settings=CoapSettings(host_refusals_burst=3, host_refusals_per_s=0.001))

    replies = silence_after(bench, *(notification(b"\xff" * 8, message_id=number) for number in range(20)))

    assert len(replies) == 3


def test_ping_is_answered_and_strays_are_ignored() -> None:
    """Empty CON: RST. ACK and RST for nothing open: nothing."""
    bench = ServerBench()

    replies = silence_after(bench, empty(MessageType.CON, 1), empty(MessageType.ACK, 2), empty(MessageType.RST, 3))

    assert [(reply.type, reply.message_id) for reply in replies] == [(MessageType.RST, 1)]


def test_non_request_is_answered_with_non() -> None:
    """A generic client may register without asking for an ACK."""
    bench = ServerBench()

    reply = exchange(bench, request(Code.POST, "rd", queries=("ep=865820031234567;1",), type=MessageType.NON))

    assert (reply.type, reply.code, reply.token) == (MessageType.NON, Code.CREATED, b"tokn")
