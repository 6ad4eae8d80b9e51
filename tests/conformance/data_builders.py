"""Keys, points and topic messages for tests of stores; every field has a default, tests show only what matters."""

from commandpost.domain.data_facts import AddBinary, AddDatapoints
from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device
from commandpost.domain.device_key import ACCESS_METHODS, DeviceKey, KeyPermission, KeyResource
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.topic import TopicMessage, TopicSession, TopicSubscription
from commandpost.domain.topic_facts import KeepTopicMessage, TopicReceiver
from tests.conformance import store_builders as build

STREAMS_MAX = 10


def device_key(product_id: ProductId, number: int, *names: DeviceId) -> DeviceKey:
    """The n-th key: everything on the devices it names."""
    resources = tuple(KeyResource(device_id=device_id) for device_id in names)
    return DeviceKey(
        product_id=product_id,
        title=f"key {number}",
        sealed=b"sealed",
        index=number.to_bytes(32, "big"),
        permissions=(KeyPermission(resources=resources, methods=ACCESS_METHODS),),
        created_at=build.at(number),
    )


def point(stream_id: str, at: int, value: str | None = None) -> Datapoint:
    """A point; its value is its time, if none is given."""
    return Datapoint(stream_id=stream_id, at=build.at(at), value=str(at) if value is None else value)


def add(
    of: Device,
    *points: Datapoint,
    received: int = 0,
    product_id: ProductId | None = None,
    streams_max: int = STREAMS_MAX,
) -> AddDatapoints:
    """Points of a device."""
    return AddDatapoints(
        device_id=of.id,
        product_id=of.product_id if product_id is None else product_id,
        points=points,
        received_at=build.at(received),
        streams_max=streams_max,
    )


def binary(of: Device, number: int, *, stream_id: str = "photo", at: int = 0, received: int = 0) -> AddBinary:
    """The n-th binary of a device."""
    return AddBinary(
        device_id=of.id,
        product_id=of.product_id,
        stream_id=stream_id,
        index=f"{of.id}_{number}_{stream_id}",
        description=f"photo {number}",
        payload=b"\x00jpeg" * number,
        at=build.at(at),
        received_at=build.at(received),
        streams_max=STREAMS_MAX,
    )


def topic_session(of: Device, *filters: str, expiry_s: int = 3_600, left: int | None = None) -> TopicSession:
    """A session with some subscriptions."""
    return TopicSession(
        device_id=of.id,
        product_id=of.product_id,
        expiry_s=expiry_s,
        left_at=None if left is None else build.at(left),
        subscriptions=tuple(TopicSubscription(topic_filter=each, options=1) for each in filters),
    )


def message(topic: str = "a/b", payload: bytes = b"on", *, expires: int | None = None) -> TopicMessage:
    """A message of QoS 1."""
    return TopicMessage(
        topic=topic,
        payload=payload,
        qos=1,
        properties=b"\x01\x01",
        expires_at=None if expires is None else build.at(expires),
    )


def keep(product_id: ProductId, what: TopicMessage, *receivers: Device, retains: bool = False) -> KeepTopicMessage:
    """A message for some devices, at QoS 1."""
    return KeepTopicMessage(
        product_id=product_id,
        message=what,
        retains=retains,
        receivers=tuple(TopicReceiver(device_id=device.id, qos=1) for device in receivers),
        at=build.at(0),
    )
