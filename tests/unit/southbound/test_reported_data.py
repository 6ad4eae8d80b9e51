"""Reports of devices on their way to the disk: when a device may be told that they are there."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from commandpost.domain.command import Transport
from commandpost.domain.connection import Connection
from commandpost.domain.errors import NotFound, StoreUnavailable
from commandpost.domain.ids import DeviceId, ProductId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote
from commandpost.protocols.data_report import BinaryReport, DataReport, FloatReport, LocalTime, TextReport
from commandpost.services.datapoints import Datapoints, NewBinary
from commandpost.southbound import reported_data
from commandpost.southbound.memory_budget import MemoryBudget
from commandpost.southbound.reported_data import POINT_BYTES, REPORT_BYTES, ReportedData, Stored
from tests.event_loop import on_event_loop
from tests.fakes.clock import NOW, ManualClock
from tests.fakes.ids import TellTale
from tests.fakes.points import HeldPoints

HOURS_8_MS = 8 * 3_600_000
APRIL_8 = Instant(1_460_097_028_000)  # 2016-04-08 14:30:28 in Beijing
CONNECTION = Connection(
    device_id=DeviceId(7),
    product_id=ProductId(1),
    transport=Transport.MQTT,
    start_id=StartId(1),
    remote=Remote(b"here"),
    keepalive_s=120,
    connected_at=NOW,
)


class HeldData(HeldPoints):
    """Binaries too."""

    def __init__(self) -> None:
        super().__init__()
        self.binaries: list[NewBinary] = []

    async def add_binary(self, device_id: DeviceId, product_id: ProductId, new: NewBinary) -> str:
        await self.wait()
        self.binaries.append(new)
        return "index"


@dataclass
class DataBench:
    """Reported data, and what its devices are told."""

    points: HeldData = field(default_factory=HeldData)
    told: list[Stored] = field(default_factory=list)
    events: TellTale = field(default_factory=TellTale)
    budget: MemoryBudget = field(default_factory=lambda: MemoryBudget(bytes_max=1_000_000))

    def __post_init__(self) -> None:
        self.data = ReportedData(
            points=cast(Datapoints, self.points),  # a stand-in with the two methods that are used
            budget=self.budget,
            clock=ManualClock(),
            utc_offset_ms=HOURS_8_MS,
            events=self.events,
        )

    async def take(self, report: DataReport) -> None:
        self.data.take(CONNECTION, report, self.told.append)
        assert self.told == [] or len(self.told) < 100, "told from inside the call"
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@on_event_loop
async def test_a_device_is_told_when_its_points_are_on_disk() -> None:
    """Not before."""
    bench = DataBench()
    bench.points.hold()
    await bench.take(TextReport(form=3, text=b'{"t":22.5}'))
    before, open_before = list(bench.told), bench.data.reports_open
    bench.points.release()
    await bench.settle()

    assert (before, open_before) == ([], 1)
    assert (bench.told, bench.data.reports_open) == ([Stored.YES], 0)
    assert (bench.points.shown, bench.points.times) == ([("t", "22.5")], [NOW])


@on_event_loop
async def test_the_time_of_a_report_is_beijing_time() -> None:
    """Southbound reference 5.3: the vector's 2016-04-08 14:30:28."""
    bench = DataBench()
    await bench.take(FloatReport(at=LocalTime(2016, 4, 8, 14, 30, 28), points=((1, 22.5),)))

    assert (bench.points.shown, bench.points.times) == ([("1", "22.5")], [APRIL_8])


@on_event_loop
async def test_a_binary_goes_its_own_way() -> None:
    bench = DataBench()
    await bench.take(BinaryReport(header=b'{"ds_id":"img","desc":"a picture"}', payload=b"\x00\xff"))
    (binary,) = bench.points.binaries

    assert bench.told == [Stored.YES]
    assert (binary.stream_id, binary.payload, binary.at) == ("img", b"\x00\xff", NOW)


@on_event_loop
async def test_what_can_never_be_stored_is_refused_and_told() -> None:
    """Wrong text, no text, a day that is none, a device that is gone."""
    bench = DataBench()
    for report in (
        TextReport(form=3, text=b"{"),
        TextReport(form=3, text=b"\xff"),
        TextReport(form=1, text=b"[]"),
        FloatReport(at=LocalTime(2016, 2, 31, 0, 0, 0), points=((1, 1.0),)),
        BinaryReport(header=b"{}", payload=b"x"),
    ):
        await bench.take(report)
    bench.points.error = NotFound("device", "7")
    await bench.take(TextReport(form=3, text=b'{"t":1}'))

    assert bench.told == [Stored.REFUSED] * 6
    assert bench.events.count("report_refused") == 6


@on_event_loop
async def test_a_store_that_cannot_write_is_no_fault_of_the_device() -> None:
    """It has to send again."""
    bench = DataBench()
    bench.points.error = StoreUnavailable("the disk is gone")
    await bench.take(TextReport(form=3, text=b'{"t":1}'))

    assert bench.told == [Stored.UNAVAILABLE]


@on_event_loop
async def test_more_than_may_be_open_is_sent_back() -> None:
    """Memory has an end; nobody is told from inside the call."""
    bench = DataBench()
    bench.points.hold()
    kept, reported_data.REPORTS_OPEN_MAX = reported_data.REPORTS_OPEN_MAX, 3  # type: ignore[misc]  # smaller, for once
    try:
        for _ in range(4):
            bench.data.take(CONNECTION, TextReport(form=3, text=b'{"t":1}'), bench.told.append)
        at_once = list(bench.told)
        await bench.settle()
    finally:
        reported_data.REPORTS_OPEN_MAX = kept  # type: ignore[misc]  # as it was

    assert (at_once, bench.told) == ([], [Stored.UNAVAILABLE])
    bench.points.release()
    await bench.data.drain(1.0)
    assert bench.told == [Stored.UNAVAILABLE, *[Stored.YES] * 3]


@on_event_loop
async def test_reports_hold_no_more_memory_than_there_is_for_all_connections() -> None:
    """A store that stalls must not let images heap up until the process is killed: they are sent back."""
    bench = DataBench(budget=MemoryBudget(bytes_max=1_000_000))
    bench.points.hold()
    image = BinaryReport(header=b'{"ds_id":"img"}', payload=bytes(200_000))
    for _ in range(5):
        await bench.take(image)
    before, held_bytes = list(bench.told), bench.budget.held_bytes
    bench.points.release()
    await bench.settle()

    assert before == [Stored.UNAVAILABLE] * 2
    assert held_bytes == 3 * (200_000 + len(image.header) + REPORT_BYTES)
    assert bench.told == [Stored.UNAVAILABLE] * 2 + [Stored.YES] * 3
    assert (bench.budget.held_bytes, len(bench.points.binaries)) == (0, 3)


@on_event_loop
async def test_a_short_text_of_many_points_counts_for_what_its_points_take() -> None:
    """Eighty times its length."""
    bench = DataBench(budget=MemoryBudget(bytes_max=1_000_000))
    bench.points.hold()
    text = b",;" + b"1;" * 4_000
    await bench.take(TextReport(form=5, text=text))
    held_bytes = bench.budget.held_bytes
    await bench.take(TextReport(form=5, text=text))
    before = list(bench.told)
    bench.points.release()
    await bench.settle()

    assert held_bytes == REPORT_BYTES + len(text) + 4_000 * POINT_BYTES
    assert (before, bench.told) == ([Stored.UNAVAILABLE], [Stored.UNAVAILABLE, Stored.YES])
    assert bench.budget.held_bytes == 0
    assert bench.events.count("report_not_stored") == 1


@on_event_loop
async def test_what_cannot_be_stored_holds_no_memory_afterwards() -> None:
    """Refused, or unavailable."""
    bench = DataBench()
    await bench.take(TextReport(form=3, text=b"{"))
    bench.points.error = StoreUnavailable("the disk is gone")
    await bench.take(FloatReport(at=None, points=((1, 1.0),)))

    assert bench.told == [Stored.REFUSED, Stored.UNAVAILABLE]
    assert bench.budget.held_bytes == 0
