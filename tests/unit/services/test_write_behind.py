"""Facts nobody waits for: tried again in order, within limits."""

from commandpost.domain.facts import Fact, Priority
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.payload_facts import EndConnection, NoteHeard
from commandpost.services.write_behind import AFTER_FAILURE_S, AGAIN_S, FAILURES_MAX, WriteBehind
from tests.event_loop import on_event_loop
from tests.unit.services.house import House


def end(number: int) -> Fact[object]:
    """The end of the n-th device's connection."""
    return EndConnection(device_id=DeviceId(number), epoch=1, at=Instant(0), last_heard_at=Instant(0))


def build(kept_max: int = 100) -> tuple[House, WriteBehind]:
    house = House()
    behind = WriteBehind(writer=house.writer, scheduler=house.scheduler, events=house.events, kept_max=kept_max)
    return house, behind


@on_event_loop
async def test_what_could_not_be_written_is_tried_until_it_is() -> None:
    """Told once, however often it is tried; what comes meanwhile follows it."""
    house, behind = build()
    house.writer.failing.add(EndConnection)
    behind.write(end(1))
    await house.advance(10 * AFTER_FAILURE_S)
    heard = NoteHeard(device_id=DeviceId(2), epoch=1, last_heard_at=Instant(0))
    behind.write(heard)
    assert not behind.is_empty

    house.writer.failing.clear()
    await house.advance(AFTER_FAILURE_S)

    assert house.writer.facts == [end(1), heard]
    assert (house.events.count("write_behind_failed"), behind.is_empty) == (1, True)


@on_event_loop
async def test_what_can_never_be_written_is_given_up() -> None:
    """And that is told."""
    house, behind = build()
    house.writer.failing.add(EndConnection)

    behind.write(end(1))
    await house.advance(FAILURES_MAX * AFTER_FAILURE_S)

    assert (house.events.count("write_behind_lost"), behind.is_empty) == (1, True)


@on_event_loop
async def test_what_the_writer_has_no_room_for_is_kept_in_order_up_to_a_limit() -> None:
    """Beyond it the newest is lost, and that is told."""
    house, behind = build(kept_max=2)
    house.writer.overloaded = {Priority.GATE}
    for number in (1, 2, 3):
        behind.write(end(number))
    await house.advance(5 * AGAIN_S)
    assert house.writer.facts == []

    house.writer.overloaded = set()
    await house.advance(AGAIN_S)

    assert house.writer.facts == [end(1), end(2)]
    assert house.events.count("write_behind_lost") == 1
