"""A store under test, whichever it is: facts one at a time or in a batch, questions, and what tests alone may see."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from commandpost.domain.audit import AuditReader
from commandpost.domain.command import Command
from commandpost.domain.data_ports import DataReader
from commandpost.domain.device import Device
from commandpost.domain.dtls_association import AssociationReader
from commandpost.domain.errors import CommandpostError
from commandpost.domain.events import OutboxEvent
from commandpost.domain.facts import Accepted, CreateDevice, CreateProduct, Fact
from commandpost.domain.ids import ProductId
from commandpost.domain.payload_facts import StartConnection
from commandpost.domain.payload_ports import DeviceKeyReader, PayloadReader
from commandpost.domain.ports import StoreReader
from commandpost.domain.push_facts import AddSubscription
from commandpost.domain.push_ports import PushReader
from commandpost.domain.session_facts import StartSession
from commandpost.domain.topic_ports import TopicReader
from commandpost.stores.batch_store import BatchStore, FactOutcome
from commandpost.stores.memory import MemoryStore
from commandpost.stores.push_rows import event_from_row
from commandpost.stores.sqlite import Durability, SqliteStore
from commandpost.stores.sqlite.connection import Connect
from commandpost.stores.sqlite.connection import connect as connect_plainly
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build

ResultT = TypeVar("ResultT")


class AnyStore(
    BatchStore,
    StoreReader,
    PayloadReader,
    DeviceKeyReader,
    DataReader,
    TopicReader,
    PushReader,
    AuditReader,
    AssociationReader,
    Protocol,
):
    """What every store is."""

    def close(self) -> None: ...


class StoreHarness(ABC):
    """One open store and the shortcuts of its tests."""

    def __init__(self, store: AnyStore) -> None:
        self.store = store

    def apply(self, fact: Fact[ResultT]) -> ResultT:
        """Apply one fact; raises what would be its submitter's error."""
        (outcome,) = self.store.apply([fact])
        if isinstance(outcome, CommandpostError):
            raise outcome
        return outcome  # type: ignore[return-value]  # one outcome per fact, of the fact's own type

    def apply_batch(self, facts: Sequence[Fact[Any]]) -> list[FactOutcome]:
        """Apply facts in one batch."""
        return self.store.apply(facts)

    @staticmethod
    def ask(question: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Wait for a question's answer; no store needs a loop for it."""
        try:
            question.send(None)
        except StopIteration as answer:
            return answer.value  # type: ignore[no-any-return]  # what the coroutine returned
        raise AssertionError("the reader waited for something")

    @property
    def reader(self) -> AnyStore:
        """The questions."""
        return self.store

    @abstractmethod
    def subscribe(self, product_id: ProductId) -> None:
        """Let somebody want a product's events."""

    @abstractmethod
    def outbox(self) -> tuple[OutboxEvent, ...]:
        """What is to be told, in order; of a device that is gone, nothing is."""

    # --- what most tests begin with

    def make_product(self, name: str = "meters") -> ProductId:
        """A product without keys."""
        created = self.apply(CreateProduct(product=build.product(name=name), keys=()))
        assert created is not None
        return created.id

    def make_device(self, product_id: ProductId | None = None, imei: str | None = "860000000000001") -> Device:
        """A device, of a product of its own if none is given."""
        of_product = self.make_product() if product_id is None else product_id
        created = self.apply(CreateDevice(device=build.device(of_product, imei)))
        assert isinstance(created, Device)
        return created

    def make_online_device(self, product_id: ProductId | None = None, imei: str = "860000000000001") -> Device:
        """A device that has registered once."""
        device = self.make_device(product_id, imei)
        assert self.apply(StartSession(session=build.session(device))) == 1
        return device

    def make_connecting_device(self, product_id: ProductId | None = None, sn: str = "sn-1") -> Device:
        """An MQTT device, of a product of its own if none is given."""
        of_product = self.make_product() if product_id is None else product_id
        created = self.apply(CreateDevice(device=replace(build.device(of_product, None), auth_info=f'"{sn}"')))
        assert isinstance(created, Device)
        return created

    def make_connected_device(self, product_id: ProductId | None = None, sn: str = "sn-1") -> Device:
        """An MQTT device that has connected once."""
        device = self.make_connecting_device(product_id, sn)
        assert self.apply(StartConnection(connection=payloads.connection(device))) == 1
        return device

    def accept(self, device: Device, number: int, **offsets: int) -> Command:
        """A command that waits."""
        accepted = self.apply(build.accept(device, number, **offsets))
        assert isinstance(accepted, Accepted)
        return accepted.command


class MemoryHarness(StoreHarness):
    """The reference store."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        super().__init__(self.memory)

    def subscribe(self, product_id: ProductId) -> None:
        self.apply(AddSubscription(subscription=build.subscription(product_id), subscriptions_max=16))

    def outbox(self) -> tuple[OutboxEvent, ...]:
        return tuple(self.memory.state.push.events.values())


WAITING = "SELECT outbox.* FROM outbox JOIN device ON device.id = outbox.device_id ORDER BY seq"


class SqliteHarness(StoreHarness):
    """SQLite on a file."""

    def __init__(
        self, path: Path, *, durability: Durability = Durability.OFF, connect: Connect = connect_plainly
    ) -> None:
        self.path = path
        super().__init__(SqliteStore(path, durability=durability, connect=connect))

    def subscribe(self, product_id: ProductId) -> None:
        self.apply(AddSubscription(subscription=build.subscription(product_id), subscriptions_max=16))

    def outbox(self) -> tuple[OutboxEvent, ...]:
        return tuple(event_from_row(row) for row in self._execute(WAITING))

    def _execute(self, sql: str, *arguments: object) -> list[Any]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(sql, arguments).fetchall()
        finally:
            connection.close()
