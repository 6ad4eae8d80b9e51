"""A DTLS listener on a virtual loop and a network in memory, and simulated devices' sessions with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar

from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Remote
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.simulation.device_settings import DeviceCounters
from commandpost.simulation.dtls_device_link import DtlsCredential, DtlsDeviceLink
from commandpost.simulation.memory_network import MemoryLink, MemoryNetwork, memory_remote
from commandpost.simulation.virtual_loop import VirtualClock, VirtualLoop, run_virtually
from commandpost.southbound.coap_dtls import CoapDtlsLink
from commandpost.southbound.dtls_peers import DtlsPeers
from tests.fakes.ids import TellTale
from tests.unit.southbound.bench import START

ResultT = TypeVar("ResultT")
SERVER = memory_remote("192.0.2.1", 5684)
KEY = b"Abcdefgh12345678"
KEPT = DtlsParameters(candidates=2, reservation_block=16, reservation_read_step=1)
FORGOTTEN = DtlsParameters(candidates=2)


class KnownKeys:
    """Whose identities there are; it answers when it is let."""

    def __init__(self) -> None:
        self.devices: dict[bytes, DeviceId] = {}
        self.key = KEY
        self.asked: list[bytes] = []
        self.open_now = self.open_max = 0
        self.is_broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def keys_for(self, identity: bytes) -> tuple[DeviceId | None, tuple[tuple[str, bytes], ...]]:
        self.asked.append(identity)
        device_id, key = self.devices.get(identity), self.key
        self.open_now += 1
        self.open_max = max(self.open_max, self.open_now)
        await self.gate.wait()
        self.open_now -= 1
        if self.is_broken:
            raise StoreUnavailable("the store is gone")
        return device_id, () if device_id is None else (("access", key),)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A row."""

    remote: Remote
    device_id: DeviceId
    state: bytes
    read_next: int = 0


class HeldStore:
    """Keeps states and marks; it commits at once, or when it is told to, or fails."""

    def __init__(self) -> None:
        self.rows: dict[Remote, State] = {}
        self.saves = 0
        self.notes = 0
        self.settled = 0
        self.is_behind = False
        """Nothing that is noted behind is written any more."""
        self.is_broken = False
        self.is_slow = False
        self.waiting: list[Callable[[], object]] = []

    def keep(
        self,
        remote: Remote,
        device_id: DeviceId,
        state: bytes,
        *,
        then: Callable[[], object],
        otherwise: Callable[[], object],
    ) -> None:
        self.saves += 1
        if self.is_broken:
            otherwise()
            return

        def commit() -> None:
            before = self.rows.get(remote)
            read_next = 0 if before is None else before.read_next
            self.rows[remote] = State(remote=remote, device_id=device_id, state=state, read_next=read_next)
            then()

        if self.is_slow:
            self.waiting.append(commit)
        else:
            asyncio.get_running_loop().call_soon(commit)

    def note_read(
        self, remote: Remote, read_next: int, *, then: Callable[[], object], otherwise: Callable[[], object]
    ) -> None:
        self.notes += 1
        if not self.is_behind:
            asyncio.get_running_loop().call_soon(self._raise_mark, remote, read_next, then, otherwise)

    def settle_read(self, remote: Remote, read_next: int, *, then: Callable[[], object]) -> None:
        self.settled += 1
        self._raise_mark(remote, read_next, then, lambda: None)

    def _raise_mark(
        self, remote: Remote, read_next: int, then: Callable[[], object], otherwise: Callable[[], object]
    ) -> None:
        row = self.rows.get(remote)
        if row is None:
            otherwise()
            return
        self.rows[remote] = replace(row, read_next=max(row.read_next, read_next))
        then()

    def commit(self) -> None:
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()

    def drop(self, remote: Remote) -> None:
        self.rows.pop(remote, None)

    async def pages(self) -> AsyncIterator[list[State]]:
        for row in list(self.rows.values()):
            yield [row]


class Tap:
    """A device's link on which somebody listens in."""

    def __init__(self, link: MemoryLink) -> None:
        self._link = link
        self.last = b""

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        self._link.listen(receiver)

    def send(self, remote: Remote, datagram: bytes) -> None:
        self.last = datagram
        self._link.send(remote, datagram)

    def rebind(self, address: Remote | None = None) -> Remote:
        return self._link.rebind(address)

    def close(self) -> None:
        self._link.close()


class Device:
    """One simulated device's DTLS session, and what it heard through it."""

    def __init__(self, house: "House", identity: bytes, key: bytes, *, has_connection_id: bool) -> None:
        self.link: MemoryLink = house.network.bind()
        self.heard: list[bytes] = []
        self.counters = DeviceCounters()
        self.tap = Tap(self.link)
        self.session = DtlsDeviceLink(
            link=self.tap,
            server=SERVER,
            credential=DtlsCredential(identity=identity, key=key, has_connection_id=has_connection_id),
            scheduler=house.loop,
            clock=house.clock,
            random_bytes=house.random.randbytes,
            counters=self.counters,
        )
        self.session.listen(lambda _remote, payload: self.heard.append(payload))

    def say(self, payload: bytes) -> None:
        self.session.send(SERVER, payload)


class House:
    """The listener; `heard` is what its receiver got, by name."""

    def __init__(self, *, parameters: DtlsParameters = FORGOTTEN, seed: int = 1) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, start=START)
        self.random = Random(seed)
        self.network = MemoryNetwork(scheduler=self.loop, clock=self.clock, random=Random(seed + 1))
        self.events = TellTale()
        self.keys = KnownKeys()
        self.store = HeldStore() if parameters.reservation_block is not None else None
        self.heard: list[tuple[Remote, bytes]] = []
        self.below = self.network.bind(SERVER)
        self.sent: list[bytes] = []
        self.peers: DtlsPeers
        self.link: CoapDtlsLink
        self.open(parameters)

    def open(self, parameters: DtlsParameters) -> None:
        """Begin a run of the listener."""
        self.peers = DtlsPeers()
        self.link = CoapDtlsLink(
            link=self.below,
            listener=0,
            parameters=parameters,
            limits=DtlsLimits(),
            peers=self.peers,
            clock=self.clock,
            scheduler=self.loop,
            events=self.events,
            random_bytes=self.random.randbytes,
        )
        self.link.prepare(keys_for=self.keys.keys_for, store=self.store)

    def listen(self) -> None:
        self.link.listen(lambda remote, payload: self.heard.append((remote, payload)))

    def reopen(self, parameters: DtlsParameters) -> None:
        """The run ends without a word, and another begins at the same address."""
        self.link.close()
        self.below.close()
        self.below = self.network.bind(SERVER)
        self.open(parameters)

    def device(self, number: int = 1, *, key: bytes = KEY, has_connection_id: bool = True) -> Device:
        identity = f"86{number:013d}".encode()
        self.keys.devices[identity] = DeviceId(number)
        return Device(self, identity, key, has_connection_id=has_connection_id)

    def capture(self, device: Device, payload: bytes) -> bytes:
        """Let the listener hear a payload of a device at once, and give the record it came in."""
        device.say(payload)
        receiver = self.below.receiver
        assert receiver is not None
        receiver(device.link.address, device.tap.last)
        return device.tap.last

    def run(self, scenario: Coroutine[Any, Any, ResultT]) -> ResultT:  # Any: asyncio's own
        return run_virtually(scenario, loop=self.loop)
