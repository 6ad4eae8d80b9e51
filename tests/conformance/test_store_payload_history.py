"""What every store answers about payloads of `/cmds`: histories, and how each stands at an instant."""

from dataclasses import replace

import pytest

from commandpost.domain.command import (
    Command,
    CommandMode,
    CommandState,
    Outcome,
)
from commandpost.domain.delivery import after_attempt, as_seen_at
from commandpost.domain.device import Device
from commandpost.domain.facts import FinishAndClaim, RecordInstant
from commandpost.domain.payload_ports import PayloadFilter
from commandpost.domain.ports import Page
from tests.conformance import payload_builders as payloads
from tests.conformance import store_builders as build
from tests.conformance.payload_steps import accept, claim, stored
from tests.conformance.store_harness import StoreHarness

ALL = Page(number=1, size=100)
END_OF_TIME = 10**12


@pytest.fixture
def device(store: StoreHarness) -> Device:
    """A device that is connected, of a product somebody listens to."""
    connected = store.make_connected_device()
    store.subscribe(connected.product_id)
    return connected


class TestHistory:
    def listed(
        self,
        store: StoreHarness,
        device: Device,
        page: Page = ALL,
        *,
        start: int = 0,
        end: int = 9_000,
        is_ascending: bool = False,
    ) -> tuple[int, list[int]]:
        """The total, and the seqs of a page."""
        which = PayloadFilter(
            device_id=device.id, start=build.at(start), end=build.at(end), now=build.at(0), is_ascending=is_ascending
        )
        total, commands = store.ask(store.reader.list_payloads(which, page))
        return total, [command.seq for command in commands]

    @pytest.fixture
    def chatty(self, store: StoreHarness, device: Device) -> Device:
        """The device with four payloads, one of them instant; a neighbour has one."""
        for number, created in enumerate((1_000, 3_000, 2_000), start=1):
            accept(store, device, number, created=created)
        ended = replace(
            payloads.payload(device, 4, created=2_000),
            mode=CommandMode.INSTANT,
            state=CommandState.FAILED,
            outcome=Outcome.OFFLINE,
            finished_at=build.at(2_001),
        )
        store.apply(RecordInstant(command=ended, attempts=()))
        accept(store, store.make_connecting_device(device.product_id, "sn-2"), 5)
        return device

    def test_newest_first_and_as_accepted_within_an_instant(self, store: StoreHarness, chatty: Device) -> None:
        assert self.listed(store, chatty) == (4, [2, 4, 3, 1])
        assert self.listed(store, chatty, is_ascending=True) == (4, [1, 3, 4, 2])

    def test_both_ends_belong_to_the_span(self, store: StoreHarness, chatty: Device) -> None:
        assert self.listed(store, chatty, start=1_000, end=2_000) == (3, [4, 3, 1])
        assert self.listed(store, chatty, start=3_001) == (0, [])

    def test_pages_cut_and_the_total_counts_all(self, store: StoreHarness, chatty: Device) -> None:
        pages = [self.listed(store, chatty, Page(number=number, size=3)) for number in (1, 2, 3)]

        assert pages == [(4, [2, 4, 3]), (4, [1]), (4, [])]

    def test_an_lwm2m_command_is_no_payload(self, store: StoreHarness) -> None:
        lwm2m = store.make_device()
        store.accept(lwm2m, 1)

        assert self.listed(store, lwm2m) == (0, [])


class TestStands:
    @pytest.fixture
    def zoo(self, store: StoreHarness, device: Device) -> list[Command]:
        """A payload in every condition there is, all with a window to 60 s."""
        waiting = accept(store, device, 1)
        again = claim(store, accept(store, device, 2), 1)
        end = build.silence(1, when=3_000)
        store.apply(FinishAndClaim(command_id=again.id, event=after_attempt(again, end)))
        sent = claim(store, accept(store, device, 3, qos=0), 2)
        sent_again = claim(store, accept(store, device, 4, qos=1), 3)
        delivered = claim(store, accept(store, device, 5, qos=0), 4)
        delivered_again = claim(store, accept(store, device, 6, qos=1), 5)
        for command, attempt in ((delivered, 4), (delivered_again, 5)):
            store.apply(payloads.confirm(command, attempt))
        answered = claim(store, accept(store, device, 7), 6)
        store.apply(payloads.reply(answered))
        made = (waiting, again, sent, sent_again, delivered, delivered_again, answered)
        return [stored(store, command)[0] for command in made]

    @pytest.mark.parametrize("now", [2_000, 59_999, 60_000, 90_000])
    def test_a_stand_is_what_a_reader_would_see_then(
        self, store: StoreHarness, device: Device, zoo: list[Command], now: int
    ) -> None:
        """The oracle is the domain's own word, not the store's."""
        seen = [as_seen_at(command, now=build.at(now)) for command in zoo]
        stands = {(command.state, command.outcome) for command in seen}

        for stand in stands:
            which = PayloadFilter(
                device_id=device.id,
                start=build.at(0),
                end=build.at(9_000),
                stands=(stand,),
                now=build.at(now),
                is_ascending=True,
            )
            expected = [command.id for command in seen if (command.state, command.outcome) == stand]
            total, commands = store.ask(store.reader.list_payloads(which, ALL))
            assert (total, [command.id for command in commands]) == (len(expected), expected)

    def test_several_stands_and_none(self, store: StoreHarness, device: Device, zoo: list[Command]) -> None:
        which = PayloadFilter(device_id=device.id, start=build.at(0), end=build.at(END_OF_TIME), now=build.at(0))
        both = (CommandState.WAITING, None), (CommandState.SUCCEEDED, Outcome.SUCCESS)

        listed = [
            store.ask(store.reader.list_payloads(replace(which, stands=stands), ALL))[0]
            for stands in (None, (), both, ((CommandState.CANCELLED, None),))
        ]

        assert listed == [len(zoo), 0, 2, 0]

    def test_what_is_found_comes_as_stored(self, store: StoreHarness, device: Device, zoo: list[Command]) -> None:
        which = PayloadFilter(
            device_id=device.id,
            start=build.at(0),
            end=build.at(9_000),
            stands=((CommandState.EXPIRED, None),),
            now=build.at(60_000),
        )

        assert store.ask(store.reader.list_payloads(which, ALL)) == (1, (zoo[0],))
