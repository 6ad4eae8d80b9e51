"""What is written of topic messages and sessions: facts like those of `domain.facts`, with the same promises.

A message is acknowledged to its sender after it is on disk for every receiver whose session outlives the connection.
"""

from dataclasses import dataclass
from typing import ClassVar

from commandpost.domain.fact import Fact, Priority, Sweep, units_of_rows
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.topic import TopicMessage, TopicSession, TopicSubscription


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTopicSession(Fact[bool]):
    """A session begins or goes on. `starts_clean`: what the device had before goes; else only expiry_s and left_at are
    written. False when the device is gone."""

    session: TopicSession
    starts_clean: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTopicSession(Fact[None]):
    """A session ends with everything it holds."""

    device_id: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSubscriptions(Fact[bool]):
    """Put subscriptions into a session, each in place of one with the same filter; False when there is no session."""

    device_id: DeviceId
    subscriptions: tuple[TopicSubscription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropSubscriptions(Fact[bool]):
    """Take subscriptions out of a session; False when there is no session."""

    device_id: DeviceId
    topic_filters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicReceiver:
    """A device whose session keeps a message until it has acknowledged it."""

    device_id: DeviceId
    qos: int
    identifiers: tuple[int, ...] = ()
    is_retained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTopicMessage(Fact[tuple[int | None, ...]]):
    """Keep a message: for each receiver, as the retained one of its topic, or both.

    Gives the number under which each receiver's copy is queued, in the order of `receivers`; None where its session is
    gone or its queue is full (nothing is evicted: the newest is dropped, which MQTT allows a server).
    """

    product_id: ProductId
    message: TopicMessage
    retains: bool
    """Put it in place of the topic's retained message; an empty payload removes that."""
    receivers: tuple[TopicReceiver, ...]
    at: Instant

    @property
    def units(self) -> int:
        """By its receivers."""
        return units_of_rows(len(self.receivers))


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTopicMessages(Fact[None]):
    """Messages a device has acknowledged."""

    priority: ClassVar[Priority] = Priority.BEHIND
    device_id: DeviceId
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneTopics(Sweep):
    """Remove up to `limit` of each: sessions that have expired, and messages, queued or retained, that have."""

    now: Instant
