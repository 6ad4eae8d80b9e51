"""Deliveries over a real store and a real writer, on virtual time, with receivers that do as a test says."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from commandpost.domain.data_facts import AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device, Product
from commandpost.domain.facts import CreateDevice, CreateProduct, Fact
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import DAY_MS, HOUR_MS, Instant
from commandpost.domain.push import Batch
from commandpost.domain.push_ports import DataMessage, PushMessage, PushOutcome, PushTarget
from commandpost.services.push.deliveries import Deliveries
from commandpost.services.push.settings import PushSettings
from commandpost.services.push.subscriptions import NewSubscription, Subscriptions
from commandpost.services.triggers import Triggers
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually
from commandpost.stores.commit_drivers import InlineDriver
from commandpost.stores.group_commit import GroupCommit
from commandpost.stores.memory import MemoryStore
from commandpost.stores.sqlite import SqliteStore
from tests.conformance import store_builders as build
from tests.fakes.ids import CountingIds, ReversingBox, TellTale

ResultT = TypeVar("ResultT")

ACCEPTED = PushOutcome(is_accepted=True)
REFUSED = PushOutcome(is_accepted=False, reason="http 500")
GOOD = "http://good.example/in"
BAD = "http://bad.example/in"

SELDOM = PushSettings(poll_s=1.0)
"""For hours of virtual time: nobody looks for what is due ten times a second."""
HOUR_S = HOUR_MS / 1000
DAY_S = DAY_MS / 1000

Behaviour = Callable[[Sequence[PushMessage]], Awaitable[PushOutcome]]


async def accept(_messages: Sequence[PushMessage]) -> PushOutcome:
    """A receiver that works."""
    return ACCEPTED


async def refuse(_messages: Sequence[PushMessage]) -> PushOutcome:
    """A receiver that answers 500."""
    return REFUSED


async def hang(_messages: Sequence[PushMessage]) -> PushOutcome:
    """A receiver that never answers."""
    await asyncio.Event().wait()
    raise AssertionError("it never ends")


@dataclass
class Request:
    """One request as a receiver got it."""

    at: float
    url: str
    messages: tuple[PushMessage, ...]
    is_array: bool
    is_accepted: bool = False


@dataclass
class Receivers:
    """A PushSender: everybody's server."""

    loop: VirtualLoop
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    open_max: dict[str, int] = field(default_factory=dict)
    most_open: int = 0
    is_verified: bool = True

    def check_url(self, url: str) -> None:
        pass

    async def verify(self, target: PushTarget) -> PushOutcome:
        return PushOutcome(is_accepted=self.is_verified, reason="" if self.is_verified else "http 404")

    async def push(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> PushOutcome:
        request = Request(at=self.loop.time(), url=target.url, messages=tuple(messages), is_array=is_array)
        self.requests.append(request)
        self.open[target.url] = self.open.get(target.url, 0) + 1
        self.open_max[target.url] = max(self.open_max.get(target.url, 0), self.open[target.url])
        self.most_open = max(self.most_open, sum(self.open.values()))
        try:
            outcome = await self.behaviours.get(target.url, accept)(messages)
        finally:
            self.open[target.url] -= 1
        request.is_accepted = outcome.is_accepted
        return outcome

    async def close(self) -> None:
        pass

    def accepted(self, url: str = GOOD) -> list[DataMessage]:
        """The datapoints a receiver accepted, in order of arrival."""
        return [
            message
            for request in self.requests
            if request.url == url and request.is_accepted
            for message in request.messages
            if isinstance(message, DataMessage)
        ]

    def values(self, device: Device, url: str = GOOD) -> list[int]:
        """What a receiver accepted of one device."""
        return [int(message.value) for message in self.accepted(url) if message.device_id == device.id]


class PushHouse:
    """See the module. `run` takes the story."""

    def __init__(
        self,
        *,
        store: MemoryStore | SqliteStore | None = None,
        settings: PushSettings | None = None,
    ) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, start=build.T0)
        self.store = MemoryStore() if store is None else store
        self.settings = settings or PushSettings()
        self.events = TellTale()
        self.receivers = Receivers(self.loop)
        self.counters: dict[int, int] = {}

    def run(self, story: Callable[["PushHouse"], Awaitable[None]]) -> "PushHouse":
        """Tell the story on a running house."""
        run_virtually(self._main(story), loop=self.loop)
        return self

    async def _main(self, story: Callable[["PushHouse"], Awaitable[None]]) -> None:
        self.open()
        try:
            await story(self)
        finally:
            await self.deliveries.stop()

    def open(self) -> None:
        """Start a server over the store."""
        self.writer = GroupCommit(
            InlineDriver(self.store, monotonic=self.clock.monotonic),
            clock=self.clock,
            scheduler=self.loop,
            events=self.events,
            on_broken=lambda error: None,
        )
        box = ReversingBox()
        self.deliveries = Deliveries(
            writer=self.writer,
            reader=self.store,
            commands=self.store,
            sender=self.receivers,
            secrets=box,
            ids=CountingIds(),
            clock=self.clock,
            events=self.events,
            settings=self.settings,
        )
        self.subscriptions = Subscriptions(
            writer=self.writer,
            reader=self.store,
            sender=self.receivers,
            secrets=box,
            clock=self.clock,
            settings=self.settings,
            on_change=self.deliveries.refresh,
        )
        self.triggers = Triggers(
            writer=self.writer,
            reader=self.store,
            devices=self.store,
            sender=self.receivers,
            clock=self.clock,
            on_change=self.deliveries.refresh,
        )
        self.deliveries.start()

    async def restart(self) -> None:
        """Kill the server in the middle of whatever it does, and start another over the same rows."""
        self.writer.abandon()
        await self.deliveries.stop()
        self.open()

    async def do(self, fact: Fact[ResultT]) -> ResultT:
        """Write a fact."""
        return await self.writer.perform(fact)

    async def product(self, name: str = "meters") -> Product:
        """A product."""
        created = await self.do(CreateProduct(product=build.product(name=name), keys=()))
        assert created is not None
        return created

    async def device(self, product: Product, imei: str = "860000000000001") -> Device:
        """A device."""
        created = await self.do(CreateDevice(device=build.device(product.id, imei)))
        assert isinstance(created, Device)
        return created

    async def devices(self, product: Product, count: int) -> list[Device]:
        """Some devices."""
        return [await self.device(product, f"{product.id:03}{number:012}") for number in range(count)]

    async def subscribe(self, product: Product, url: str = GOOD, *, batch: Batch | None = None) -> int:
        """Let a receiver hear of a product."""
        added = await self.subscriptions.add(product, NewSubscription(url=url, token="demoToken01", batch=batch))
        return added.id

    async def report(self, device: Device, count: int = 1) -> None:
        """A device reports its next numbers: 1, 2, 3, ..."""
        for _ in range(count):
            number = self.counters[device.id] = self.counters.get(device.id, 0) + 1
            await self.do(point(device, str(number), at=self.clock.wall_ms()))


def point(device: Device, value: str, *, at: Instant, stream_id: str = "t") -> AddDatapoints:
    """A device reports one value."""
    return AddDatapoints(
        device_id=device.id,
        product_id=ProductId(device.product_id),
        points=(Datapoint(stream_id=stream_id, at=at, value=value),),
        received_at=at,
        streams_max=10,
    )


def distinct(values: Sequence[int]) -> list[int]:
    """Values without what was repeated, in order of the first arrival."""
    return list(dict.fromkeys(values))


def until(moment: float, before: Behaviour, house: PushHouse) -> Behaviour:
    """Behave like this up to a moment of the loop's time, then well."""

    async def behave(messages: Sequence[PushMessage]) -> PushOutcome:
        return await (before if house.loop.time() < moment else accept)(messages)

    return behave
