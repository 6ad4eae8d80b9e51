"""Raw frames against all services over a store whose commits a test holds: nothing is acknowledged before its commit.

Source: design 4 ("Uplinks are not disk writes"); southbound reference 1.8, 2.5; frames after southbound reference 9.
"""

from collections.abc import Callable
from random import Random

from commandpost.domain.command import Trigger
from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.data_ports import PointFilter
from commandpost.domain.device import Device, Product
from commandpost.domain.facts import DeleteDevice, Priority
from commandpost.domain.object_model import ObjectDefinition, ObjectModel, ResourceDefinition
from commandpost.domain.resource import ResourcePath, ValueType
from commandpost.domain.session import Observation, Remote
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.services.datapoints import Datapoints
from commandpost.services.observations import Observations
from commandpost.southbound.coap_driver import CoapDriver
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.lwm2m_server import Lwm2mServer
from commandpost.southbound.settings import CoapSettings
from tests.event_loop import on_event_loop
from tests.unit.services.house import HERE, THERE, House, execute

ACK_7777 = "60 00 77 77"
RST_7777 = "70 00 77 77"
OBSERVED = ResourcePath(object_id=3306, instance_id=0)
ON = "E1 16 DA 01"  # southbound reference 3.1: boolean true, resource 5850
SEND = "44 02 55 55 0A 0B 0C 0D B2 64 70 11 6E FF"  # POST /dp, Content-Format 110
SENT = "64 44 55 55 0A 0B 0C 0D"
MODEL = ObjectModel(
    [
        ObjectDefinition(
            id=3306,
            name="Actuation",
            version="1.0",
            is_multiple=True,
            resources={5850: ResourceDefinition(id=5850, name="On/Off", operations="RW", type=ValueType.BOOLEAN)},
        )
    ]
)


class Wire:
    """A datagram link that keeps what the server sends."""

    def __init__(self) -> None:
        self._receiver: Callable[[Remote, bytes], object] | None = None
        self._sent: list[str] = []

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        self._receiver = receiver

    def send(self, remote: Remote, datagram: bytes) -> None:
        assert remote == HERE
        self._sent.append(datagram.hex(" ").upper())

    def hear(self, frame: str, *, remote: Remote = HERE) -> None:
        """Let a frame arrive."""
        assert self._receiver is not None
        self._receiver(remote, bytes.fromhex(frame))

    def sent(self) -> list[str]:
        """Give what the server sent since the last time."""
        sent, self._sent = self._sent, []
        return sent


class Lockstep:
    """A registered device with one observation, and the server it speaks to."""

    def __init__(self, house: House, product: Product, device: Device, observation: Observation) -> None:
        self.house = house
        self.product = product
        self.device = device
        self.wire = Wire()
        self.token = observation.coap_token.hex(" ")
        settings = CoapSettings()
        driver = CoapDriver(
            endpoint=CoapEndpoint(
                parameters=settings.transmission_parameters(), limits=settings.endpoint_limits(), random=Random(1)
            ),
            link=self.wire,
            clock=house.clock,
            scheduler=house.scheduler,
            known_peers_max=10,
            known_peer_idle_s=3600.0,
        )
        points = Datapoints(
            writer=house.writer, reader=house.store, ids=house.ids, clock=house.clock, events=house.events
        )
        self.server = Lwm2mServer(
            driver=driver,
            sessions=house.sessions,
            uplinks=house.dispatcher,
            ids=house.ids,
            before_keeping=lambda _: None,
            clock=house.clock,
            events=house.events,
            settings=settings,
            reports=Lwm2mReports(
                observations=Observations(points=points, events=house.events), model=MODEL, clock=house.clock
            ),
        )
        self.server.start()

    def notification(self, payload: str = ON, *, header: str = "48 45 77 77", number: str = "61 02") -> str:
        """A CON notification in TLV; its header may be another."""
        return f"{header} {self.token} {number} 62 2D 16 FF {payload}"

    async def hear(self, frame: str, *, remote: Remote = HERE) -> list[str]:
        """Let a frame arrive, and give what the server sent after everything that needs no time."""
        self.wire.hear(frame, remote=remote)
        await self.house.settle()
        return self.wire.sent()

    async def commit(self) -> list[str]:
        """Commit what is held; gives what the server sent then."""
        self.house.writer.commit()
        await self.house.settle()
        return self.wire.sent()

    async def stored(self) -> list[tuple[str, str]]:
        """Give stream and value of every point on disk."""
        page = await self.house.store.list_points(PointFilter(device_id=self.device.id), limit=100)
        return [(stream.stream_id, point.value) for stream in page.streams for point in stream.points]


async def lockstep() -> Lockstep:
    """Everything in place, and the writer held."""
    house = House()
    product = await house.add_product()
    device = await house.add_device(product)
    session = await house.register(device)
    observation = Observation(coap_token=house.ids.new_coap_token(device.id), path=OBSERVED, is_automatic=True)
    assert await house.do(house.sessions.add_observation(session, observation))
    house.writer.is_held = True
    return Lockstep(house, product, device, observation)


@on_event_loop
async def test_a_con_notification_is_acknowledged_after_its_commit() -> None:
    """Repetitions meanwhile get nothing; later ones get the ACK again, and make no new point."""
    world = await lockstep()

    assert await world.hear(world.notification()) == []
    assert await world.hear(world.notification()) == []
    assert await world.stored() == []
    assert await world.commit() == [ACK_7777]
    assert await world.hear(world.notification()) == [ACK_7777]
    assert await world.commit() == []

    assert await world.stored() == [("3306_0_5850", "true")]


@on_event_loop
async def test_what_the_store_cannot_write_is_not_acknowledged_and_its_repetition_is_new() -> None:
    """A failing write first, a full queue then; at the third time it is stored and acknowledged."""
    world = await lockstep()
    writer = world.house.writer
    writer.failing.add(AddDatapoints)

    assert await world.hear(world.notification()) == []
    assert await world.commit() == []
    writer.failing.clear()
    writer.overloaded.add(Priority.GATE)
    assert await world.hear(world.notification()) == []
    writer.overloaded.clear()
    assert await world.hear(world.notification()) == []
    assert await world.commit() == [ACK_7777]

    assert await world.stored() == [("3306_0_5850", "true")]


@on_event_loop
async def test_a_crash_between_commit_and_acknowledgement_stores_one_more_point() -> None:
    """The device cannot know; its repetition is new to the next run. At least once, never lost."""
    world = await lockstep()
    await world.hear(world.notification())
    await world.commit()  # what was sent then is lost with the process
    session = world.house.sessions.find(world.device.id)
    assert session is not None

    again = Lockstep(world.house.restarted(), world.product, world.device, session.observations[0])
    again.house.writer.is_held = True
    assert await again.hear(again.notification()) == []
    assert await again.commit() == [ACK_7777]

    assert await again.stored() == [("3306_0_5850", "true")] * 2


@on_event_loop
async def test_the_uplink_releases_commands_after_the_acknowledgement() -> None:
    """CON: the command leaves behind the ACK. NON: behind the commit."""
    world = await lockstep()
    world.house.writer.is_held = False
    for number in (1, 2):
        await world.house.submit(world.product, world.device, execute(number), triggers=Trigger.NOTIFY)
    world.house.writer.is_held = True

    await world.hear(world.notification())
    assert world.house.downlink.sent == []
    world.house.writer.release()
    await world.house.settle()
    assert world.wire.sent() == [ACK_7777]
    assert len(world.house.downlink.sent) == 1


@on_event_loop
async def test_a_non_notification_releases_commands_after_its_commit() -> None:
    """Nothing goes back."""
    world = await lockstep()
    world.house.writer.is_held = False
    await world.house.submit(world.product, world.device, execute(1), triggers=Trigger.NOTIFY)
    world.house.writer.is_held = True

    assert await world.hear(world.notification(header="58 45 77 77")) == []
    assert world.house.downlink.sent == []
    world.house.writer.release()
    await world.house.settle()

    assert world.wire.sent() == []
    assert len(world.house.downlink.sent) == 1


@on_event_loop
async def test_an_unreadable_notification_is_acknowledged_without_a_commit() -> None:
    """There is nothing to wait for."""
    world = await lockstep()

    assert await world.hear(world.notification("E1 16 DA")) == [ACK_7777]
    assert world.house.events.count("notification_undecodable") == 1


@on_event_loop
async def test_a_notification_of_a_device_that_was_deleted_meanwhile_is_reset() -> None:
    """Its points are refused by the store."""
    world = await lockstep()
    await world.hear(world.notification())
    world.house.store.apply([DeleteDevice(product_id=world.product.id, device_id=world.device.id)])

    assert await world.commit() == [RST_7777]


@on_event_loop
async def test_an_overtaken_notification_is_stored_and_is_not_the_latest() -> None:
    """RFC 7641 section 3.4: 5, then 4."""
    world = await lockstep()
    await world.hear(world.notification("E1 16 DA 01", number="61 05"))
    world.house.clock.advance(1.0)
    await world.hear(world.notification("E1 16 DA 00", header="48 45 77 78", number="61 04"))
    assert await world.commit() == [ACK_7777, "60 00 77 78"]

    (stream,) = await world.house.store.list_datastreams(world.device.id)
    assert await world.stored() == [("3306_0_5850", "false"), ("3306_0_5850", "true")]
    assert stream.current_value == "true"


@on_event_loop
async def test_a_send_is_answered_after_its_commit() -> None:
    """2.04, and the same again for its repetition."""
    world = await lockstep()
    frame = SEND + b'[{"n":"/3306/0/5850","vb":true}]'.hex(" ")

    assert await world.hear(frame) == []
    assert await world.commit() == [SENT]
    assert await world.hear(frame) == [SENT]

    assert await world.stored() == [("3306_0_5850", "true")]


@on_event_loop
async def test_a_notification_from_elsewhere_is_stored_too() -> None:
    """The token says whose it is; the acknowledgement goes where it came from."""
    world = await lockstep()
    session = world.house.sessions.find(world.device.id)
    assert session is not None
    world.wire.hear(world.notification(header="58 45 77 77"), remote=THERE)
    await world.house.settle()
    await world.commit()

    assert session.remote == THERE
    assert await world.stored() == [("3306_0_5850", "true")]
