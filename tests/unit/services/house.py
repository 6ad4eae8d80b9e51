"""All services over the memory store, a driver that does as it is told, and time that stands still."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from commandpost.domain.command import Command, DeliveryPolicy, Trigger
from commandpost.domain.device import Device, Product
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import HOUR_MS, Instant
from commandpost.domain.operation import Execute, Lwm2mOperation
from commandpost.domain.ports import CommandRecord
from commandpost.domain.resource import ObjectLinkEntry, ResourcePath
from commandpost.domain.session import PeerIdentity, Remote, Session
from commandpost.domain.session_facts import KeepSetup
from commandpost.services.commands import CachedRequest, Commands, CommandSettings, InstantRequest, InstantResult
from commandpost.services.devices import Devices, NewDevice
from commandpost.services.dispatcher import Dispatcher, DispatcherSettings
from commandpost.services.identities import Identities
from commandpost.services.products import Products, ProductSettings
from commandpost.services.sessions import Registration, RegistrationUpdate, SessionRefusal, Sessions, SessionSettings
from commandpost.stores.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.downlink import FakeDownlink
from tests.fakes.ids import CountingIds, ReversingBox, TellTale
from tests.fakes.scheduler import ManualScheduler
from tests.fakes.writer import ManualWriter

ResultT = TypeVar("ResultT")

HERE = Remote(b"here")
THERE = Remote(b"there")
IMEI = "860000000000001"
IMSI = "460000000000001"
LIFETIME_S = 86_400
BARE = DispatcherSettings(setup_delay_ms=0)
"""No pause after the 2.01, so that tests about other things need not wait for it."""


def execute(resource_id: int, *, arguments: str = "") -> Execute:
    """Give an operation that is told from others by its resource."""
    path = ResourcePath(object_id=3306, instance_id=0, resource_id=resource_id)
    return Execute(path=path, arguments=arguments)


class House:
    """The services of one server, and what surrounds them."""

    def __init__(
        self,
        *,
        dispatcher_settings: DispatcherSettings = BARE,
        session_settings: SessionSettings | None = None,
        before: "House | None" = None,
    ) -> None:
        self.clock: ManualClock = ManualClock() if before is None else before.clock
        self.scheduler = ManualScheduler(self.clock)
        self.store: MemoryStore = MemoryStore() if before is None else before.store
        self.ids: CountingIds = CountingIds() if before is None else before.ids
        self.start_id: StartId = StartId(1) if before is None else StartId(before.start_id + 1)
        self.box = ReversingBox()
        self.events = TellTale()
        self.writer = ManualWriter(self.store, self.scheduler)
        self.downlink = FakeDownlink(self.clock)
        self.proven: dict[Remote, PeerIdentity] = {}
        """Who has proved to be where; an address is `host:port`."""
        self.sessions = Sessions(
            writer=self.writer,
            reader=self.store,
            secrets=self.box,
            ids=self.ids,
            clock=self.clock,
            start_id=self.start_id,
            settings=session_settings or SessionSettings(),
            events=self.events,
            identify=self.proven.get,
            host_of=lambda remote: remote.partition(b":")[0],
        )
        self.dispatcher = Dispatcher(
            writer=self.writer,
            reader=self.store,
            downlink=self.downlink,
            sessions=self.sessions,
            ids=self.ids,
            clock=self.clock,
            scheduler=self.scheduler,
            start_id=self.start_id,
            settings=dispatcher_settings,
            events=self.events,
        )
        self.products = Products(
            writer=self.writer,
            reader=self.store,
            secrets=self.box,
            ids=self.ids,
            clock=self.clock,
            on_changed=(self.sessions.product_changed,),
        )
        self.identities = Identities(writer=self.writer, reader=self.store, secrets=self.box, ids=self.ids)
        self.identities.listen_for_auth_codes(self.sessions.auth_code_changed)
        self.devices = Devices(
            writer=self.writer,
            reader=self.store,
            sessions=self.sessions,
            dispatcher=self.dispatcher,
            identities=self.identities,
            secrets=self.box,
            clock=self.clock,
        )
        self.commands = Commands(
            writer=self.writer,
            reader=self.store,
            dispatcher=self.dispatcher,
            ids=self.ids,
            clock=self.clock,
            settings=CommandSettings(),
        )

    # --- time ---------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        quiet = 0
        while quiet < 5:
            quiet = 0 if self.scheduler.run_soon() else quiet + 1
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.clock.monotonic() + seconds
        await self.settle()
        while (due := self.scheduler.next_due()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            await self.settle()
        self.clock.advance(end - self.clock.monotonic())
        await self.settle()

    async def do(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """Wait for something that needs no time."""
        task = asyncio.ensure_future(work)
        await self.settle()
        assert task.done(), "it waits for something else"
        return task.result()

    def restarted(self) -> "House":
        """Give a new server over what this one has on disk; this one is dead."""
        return House(before=self)

    # --- things -------------------------------------------------------------------------------------------------

    async def add_product(self, name: str = "p", settings: ProductSettings | None = None) -> Product:
        created = await self.do(self.products.create(name=name, settings=settings))
        return created.product

    async def add_device(
        self,
        product: Product,
        *,
        imei: str = IMEI,
        imsi: str = IMSI,
        auth_code: str | None = None,
        is_auto_observed: bool = False,
    ) -> Device:
        new = NewDevice(
            protocol="LWM2M",
            title="d",
            auth_info=f'{{"{imei}":"{imsi}"}}',
            imei=imei,
            imsi=imsi,
            auth_code=auth_code,
            is_auto_observed=is_auto_observed,
        )
        return await self.do(self.devices.create(product, new))

    async def register(
        self,
        device: Device,
        *,
        remote: Remote = HERE,
        links: tuple[ObjectLinkEntry, ...] = (),
        lifetime_s: int = LIFETIME_S,
        is_set_up: bool = True,
    ) -> Session:
        """Have a device register; unless told otherwise the steps afterwards are over too."""
        endpoint_name = f"{device.imei};{device.imsi}"
        registration = Registration(endpoint_name=endpoint_name, lifetime_s=lifetime_s, links=links)
        session = await self.do(self.sessions.register(registration, remote))
        assert isinstance(session, Session)
        if is_set_up:
            session.pending_setup = ()
            self.writer.submit(KeepSetup(device_id=device.id, epoch=session.epoch, pending=()))
        self.dispatcher.uplink(session, Trigger.REGISTER)
        await self.settle()
        return session

    async def update(self, device: Device, *, remote: Remote = HERE) -> Session | SessionRefusal:
        """Have a device update, and be heard."""
        answers: list[Session | SessionRefusal] = []
        assert device.imei is not None
        self.sessions.update(RegistrationUpdate(location=device.imei), remote, answers.append)
        await self.settle()
        (answer,) = answers
        if isinstance(answer, Session):
            self.dispatcher.uplink(answer, Trigger.UPDATE)
            await self.settle()
        return answer

    async def notify(self, device: Device) -> None:
        """Have a device notify (as if it had an observation)."""
        session = self.sessions.find(device.id)
        assert session is not None
        self.dispatcher.uplink(session, Trigger.NOTIFY)
        await self.settle()

    async def submit(
        self,
        product: Product,
        device: Device,
        operation: Lwm2mOperation,
        *,
        retry: int = 3,
        triggers: Trigger = Trigger.REGISTER | Trigger.UPDATE | Trigger.NOTIFY,
        delivery: DeliveryPolicy | None = None,
        valid_in_ms: int = 0,
        expires_in_ms: int = HOUR_MS,
        answer_timeout_ms: int = 25_000,
    ) -> Command:
        now = self.clock.wall_ms()
        request = CachedRequest(
            operation=operation,
            valid_from=Instant(now + valid_in_ms),
            expires_at=Instant(now + expires_in_ms),
            retry=retry,
            answer_timeout_ms=answer_timeout_ms,
            triggers=triggers,
            delivery=delivery,
        )
        return await self.do(self.commands.submit(product, device, request))

    async def begin_instant(
        self,
        product: Product,
        device: Device,
        operation: Lwm2mOperation,
        *,
        timeout_ms: int = 25_000,
        delivery: DeliveryPolicy | None = None,
    ) -> "asyncio.Task[InstantResult]":
        request = InstantRequest(operation=operation, timeout_ms=timeout_ms, delivery=delivery)
        task = asyncio.ensure_future(self.commands.run(product, device, request))
        await self.settle()
        return task

    async def look(self, product: Product, command: Command) -> CommandRecord:
        """Give a command as its owner sees it now."""
        return await self.do(self.commands.find(product, command.id))

    def is_quiet(self, device_id: DeviceId) -> bool:
        """Tell whether nothing of a device is on the wire."""
        return device_id not in self.downlink.open


async def house_with_device(
    *, settings: DispatcherSettings = BARE, is_registered: bool = True
) -> tuple[House, Product, Device]:
    """Give a house with a product and a device."""
    house = House(dispatcher_settings=settings)
    product = await house.add_product()
    device = await house.add_device(product)
    if is_registered:
        await house.register(device)
    return house, product, device
