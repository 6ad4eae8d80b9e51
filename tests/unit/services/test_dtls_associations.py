"""DTLS associations over a restart: sealed, given back in pages, forgotten when they are of no use."""

import pytest

from commandpost.domain.dtls_association import KeepAssociation, KeptAssociation, NoteRead, SettleRead
from commandpost.domain.facts import Priority
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Remote
from commandpost.services.dtls_associations import PAGE_ASSOCIATIONS, DtlsAssociations, OpenedAssociation
from commandpost.stores.memory import MemoryStore
from tests.conformance import store_builders as build
from tests.event_loop import on_event_loop
from tests.fakes.clock import ManualClock
from tests.fakes.ids import ReversingBox, TellTale
from tests.fakes.scheduler import ManualScheduler
from tests.fakes.writer import ManualWriter

IDLE_S = 3_600
NAME = Remote(b"\x80name0001")


class House:
    """The service over a store in memory that has one device."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.scheduler = ManualScheduler(self.clock)
        self.store = MemoryStore()
        self.writer = ManualWriter(self.store, self.scheduler)
        self.events = TellTale()
        self.device = build.device(build.product().id)
        self.store.state.devices[self.device.id] = self.device
        self.associations = DtlsAssociations(
            writer=self.writer,
            reader=self.store,
            secrets=ReversingBox(),
            clock=self.clock,
            events=self.events,
            idle_timeout_s=IDLE_S,
        )
        self.heard: list[str] = []

    def keep(self, state: bytes = b"the state", *, remote: Remote = NAME, device_id: DeviceId | None = None) -> None:
        self.associations.keep(
            remote,
            self.device.id if device_id is None else device_id,
            state,
            then=lambda: self.heard.append("then"),
            otherwise=lambda: self.heard.append("otherwise"),
        )

    def note(self, read_next: int) -> None:
        self.associations.note_read(
            NAME,
            read_next,
            then=lambda: self.heard.append("then"),
            otherwise=lambda: self.heard.append("otherwise"),
        )

    def commit(self) -> None:
        self.writer.commit()

    @property
    def rows(self) -> list[KeptAssociation]:
        return list(self.store.state.associations.values())

    async def restored(self) -> list[OpenedAssociation]:
        return [each async for page in self.associations.pages() for each in page]


@on_event_loop
async def test_what_is_kept_is_sealed_and_comes_back() -> None:
    """`then` is called only when it is on disk."""
    house = House()
    house.writer.is_held = True
    house.keep()
    assert house.heard == []
    house.commit()

    assert house.heard == ["then"]
    assert b"the state" not in house.rows[0].sealed_state
    assert await house.restored() == [
        OpenedAssociation(remote=NAME, device_id=house.device.id, state=b"the state", read_next=0)
    ]


@on_event_loop
async def test_of_a_device_that_is_gone_nothing_is_kept() -> None:
    """Nor is it said to be."""
    house = House()
    house.writer.is_held = True
    house.keep(device_id=DeviceId(99))
    house.commit()

    assert house.heard == []
    assert house.rows == []


@on_event_loop
async def test_a_store_that_takes_nothing_is_told_and_tried_again() -> None:
    """By whoever asked."""
    house = House()
    house.writer.overloaded = set(Priority)
    house.keep()
    house.writer.overloaded = set()
    house.writer.failing = {KeepAssociation}
    house.writer.is_held = True
    house.keep()
    house.commit()

    assert house.heard == ["otherwise", "otherwise"]
    assert house.events.count("dtls_not_saved") == 2


@on_event_loop
async def test_an_association_that_was_silent_too_long_is_forgotten_instead() -> None:
    """As it would have been, had the server run."""
    house = House()
    house.writer.is_held = True
    house.keep()
    house.commit()
    house.clock.advance(IDLE_S + 1)
    house.keep(remote=Remote(b"\x80name0002"))
    house.commit()

    restored = await house.restored()
    house.commit()

    assert [each.remote for each in restored] == [Remote(b"\x80name0002")]
    assert len(house.rows) == 1


@on_event_loop
async def test_all_of_them_come_however_many_there_are() -> None:
    """In pages."""
    house = House()
    house.writer.is_held = True
    names = [Remote(b"\x80%08d" % number) for number in range(2 * PAGE_ASSOCIATIONS + 1)]
    for name in names:
        house.keep(remote=name)
    house.commit()

    assert [each.remote for each in await house.restored()] == names


@on_event_loop
async def test_where_none_is_kept_any_more_those_of_earlier_runs_are_forgotten() -> None:
    """So that none of them comes back later, with numbers that were used since."""
    house = House()
    house.writer.is_held = True
    for number in range(PAGE_ASSOCIATIONS + 1):
        house.keep(remote=Remote(b"\x80%08d" % number))
    house.commit()

    await house.associations.forget_all()
    house.commit()

    assert house.rows == []


@on_event_loop
async def test_a_mark_comes_back_beside_the_state() -> None:
    """Noted behind, or settled."""
    house = House()
    house.keep()
    house.scheduler.run_soon()
    house.note(4)
    house.scheduler.run_soon()
    (noted,) = await house.restored()
    house.associations.settle_read(NAME, 9, then=lambda: house.heard.append("settled"))
    house.scheduler.run_soon()
    (settled,) = await house.restored()

    assert (noted.read_next, settled.read_next) == (4, 9)
    assert house.heard == ["then", "then", "settled"]


@pytest.mark.parametrize("fault", ["not kept", "overloaded", "failing"])
@on_event_loop
async def test_a_mark_that_is_not_on_disk_is_said_to_be_none(fault: str) -> None:
    """Whoever noted it tries again; settling says nothing, because what comes after it fails likewise."""
    house = House()
    if fault == "overloaded":
        house.writer.overloaded = set(Priority)
    elif fault == "failing":
        house.writer.failing = {NoteRead, SettleRead}

    house.note(4)
    house.associations.settle_read(NAME, 4, then=lambda: house.heard.append("settled"))
    house.scheduler.run_soon()

    assert house.heard == ["otherwise"]


def test_marks_are_written_behind_and_settled_ones_before_what_they_gate() -> None:
    """A fleet's Updates do not compete with its commands."""
    assert NoteRead.priority is Priority.BEHIND
    assert SettleRead.priority is KeepAssociation.priority is Priority.GATE
