"""What tests ask of a store's data, in short."""

from commandpost.domain.data_ports import PointFilter, PointPage, PointPosition
from commandpost.domain.datapoint import Datastream
from commandpost.domain.device import Device
from tests.conformance import store_builders as build
from tests.conformance.store_harness import StoreHarness


def streams(store: StoreHarness, device: Device) -> dict[str, Datastream]:
    """A device's streams, by id."""
    return {each.id: each for each in store.ask(store.reader.list_datastreams(device.id))}


def current(store: StoreHarness, device: Device, stream_id: str = "t") -> tuple[str | None, int | None]:
    """A stream's latest value and its time."""
    stream = streams(store, device)[stream_id]
    return stream.current_value, None if stream.updated_at is None else stream.updated_at - build.T0


def page_of(
    store: StoreHarness,
    device: Device,
    *stream_ids: str,
    limit: int = 100,
    start: int | None = None,
    end: int | None = None,
    is_ascending: bool = True,
    beyond: PointPosition | None = None,
) -> PointPage:
    """A page of a device's points."""
    which = PointFilter(
        device_id=device.id,
        stream_ids=stream_ids or None,
        start=None if start is None else build.at(start),
        end=None if end is None else build.at(end),
        is_ascending=is_ascending,
        beyond=beyond,
    )
    return store.ask(store.reader.list_points(which, limit=limit))


def values(page: PointPage) -> dict[str, list[str]]:
    """What stands in a page."""
    return {each.stream_id: [stored.value for stored in each.points] for each in page.streams}
