"""What the reference store remembers of device keys, data and topics: plain dictionaries, in the order of arrival."""

from dataclasses import dataclass, field

from commandpost.domain.data_ports import Binary, StoredPoint
from commandpost.domain.datapoint import Datastream
from commandpost.domain.device_key import DeviceKey
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.topic import QueuedMessage, TopicMessage, TopicSession, TopicSubscription


@dataclass(slots=True)
class KeyRing:
    """Device-level keys of all products."""

    keys: dict[bytes, DeviceKey] = field(default_factory=dict)
    """By index."""


@dataclass(slots=True)
class KeptStream:
    """A stream; its number is what points know it by, and is never given twice."""

    number: int
    stream: Datastream


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPoint:
    """A point of a stream, or of one that was deleted."""

    stream: int
    received_at: Instant
    point: StoredPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBinary:
    """A binary of a stream, or of one that was deleted."""

    number: int
    stream: int
    received_at: Instant
    binary: Binary
    payload: bytes


@dataclass(slots=True)
class DataState:
    """Streams, points and binaries."""

    streams: dict[tuple[DeviceId, str], KeptStream] = field(default_factory=dict)
    names: dict[DeviceId, set[str]] = field(default_factory=dict)
    """The ids of each device's streams, so that one device's are found among those of ten thousand."""
    points: dict[int, KeptPoint] = field(default_factory=dict)
    binaries: dict[str, KeptBinary] = field(default_factory=dict)
    orphans: set[int] = field(default_factory=set)
    """Numbers of deleted streams whose points or binaries are not swept yet."""
    last_stream: int = 0
    last_point: int = 0
    last_binary: int = 0

    def streams_of(self, device_id: DeviceId) -> list[KeptStream]:
        """A device's streams, by id."""
        return [self.streams[device_id, stream_id] for stream_id in sorted(self.names.get(device_id, ()))]


@dataclass(slots=True)
class KeptTopicSession:
    """A topic session and what waits for its device; its subscriptions are kept apart from the record."""

    session: TopicSession
    subscriptions: dict[str, TopicSubscription] = field(default_factory=dict)
    queue: dict[int, QueuedMessage] = field(default_factory=dict)


@dataclass(slots=True)
class TopicState:
    """Topic sessions, and the retained messages."""

    sessions: dict[DeviceId, KeptTopicSession] = field(default_factory=dict)
    retained: dict[tuple[ProductId, str], TopicMessage] = field(default_factory=dict)
    last_number: int = 0
