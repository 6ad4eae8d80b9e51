"""The stream of a device that logs in: what MQTT and EDP have in common from a login to the end of its connection.

Here: what a connection stands on, and when its payloads may follow. Not here: the stream itself (stream_peer), what
lets a device in (mqtt/entrance, edp/peer), and what it says then.
"""

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

from commandpost.domain.command import Transport
from commandpost.domain.connection import Connection
from commandpost.domain.ids import AttemptId, DeviceId
from commandpost.domain.payload_ports import PayloadTransmission
from commandpost.domain.ports import Clock, EventSink, Scheduler, Timer
from commandpost.domain.proof import ProofKind
from commandpost.services.connections import Connections
from commandpost.services.logins import Login, Logins
from commandpost.services.payload_dispatcher import PayloadDispatcher
from commandpost.southbound.memory_budget import MemoryBudget
from commandpost.southbound.remote import encode_remote
from commandpost.southbound.reported_data import ReportedData
from commandpost.southbound.stream_peer import StreamPeer
from commandpost.southbound.stream_server import StreamRegistry

BEGIN_AFTER_S: Final = 0.1  # southbound reference 5.2: payloads follow a login after a moment, or its first message


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHouse:
    """What every connection of a device stands on."""

    clock: Clock
    scheduler: Scheduler
    events: EventSink
    logins: Logins
    connections: Connections
    dispatcher: PayloadDispatcher
    data: ReportedData
    registry: StreamRegistry
    budget: MemoryBudget


class DevicePeer(StreamPeer):
    """See the module. A subclass is the device's PayloadChannel."""

    __slots__ = ("_begin_timer", "_house", "_login", "connection")

    def __init__(self, house: DeviceHouse) -> None:
        super().__init__(clock=house.clock, scheduler=house.scheduler, budget=house.budget, events=house.events)
        self._house = house
        self.connection: Connection | None = None
        self._login: asyncio.Task[None] | None = None
        self._begin_timer: Timer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in, if there is room."""
        super().connection_made(transport)
        self._house.registry.opened(self)

    def connection_over(self) -> None:
        """The stream has ended."""
        self._house.registry.closed(self)
        # A login that is being written is let go on: it finds the stream closed, and takes back what it wrote.
        if self._begin_timer is not None:
            self._begin_timer.cancel()
        connection, self.connection = self.connection, None
        if connection is not None:
            self._house.connections.close(connection)

    def heard(self) -> None:
        """Note that the device is there; its first message after the login lets its payloads follow."""
        if self.connection is not None:
            self._house.connections.heard(self.connection)
            if self._begin_timer is not None:
                self._begin()

    async def open_connection(
        self, transport: Transport, login: Login, *, changes_seen: int, keepalive_s: int
    ) -> Connection | None:
        """Put the device's connection on record; None: that cannot be now, or its socket is gone."""
        address = self.peer_address()
        if address is None:
            return None
        return await self._house.connections.open(
            login.device,
            transport,
            self,
            proof=login.proof,
            changes_seen=changes_seen,
            remote=encode_remote(address),
            keepalive_s=keepalive_s,
        )

    def begin_soon(self) -> None:
        """Let the payloads follow: the device has been told that it is in."""
        self._begin_timer = self._house.scheduler.call_later(BEGIN_AFTER_S, self._begin)

    def _begin(self) -> None:
        timer, self._begin_timer = self._begin_timer, None
        if timer is not None:
            timer.cancel()
        if self.connection is not None:
            self._house.connections.begin(self.connection)

    @property
    def _device_id(self) -> DeviceId | None:
        return None if self.connection is None else self.connection.device_id

    # --- what a subclass does -----------------------------------------------------------------------------------

    @abstractmethod
    def transmit(self, transmission: PayloadTransmission) -> bool:
        """See PayloadChannel."""

    @abstractmethod
    def settle(self, attempt_id: AttemptId) -> None:
        """See PayloadChannel."""

    @abstractmethod
    def take_over(self) -> None:
        """See PayloadChannel."""

    @abstractmethod
    def remove(self) -> None:
        """See PayloadChannel."""

    @abstractmethod
    def revoke(self, kind: ProofKind) -> None:
        """See PayloadChannel."""
