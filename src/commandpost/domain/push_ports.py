"""What pushing needs of the world: questions to the store, and somebody who makes the requests.

Source: design 2 (P10), 4 (outbox); northbound reference 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from commandpost.domain.events import OutboxEvent
from commandpost.domain.ids import CommandId, DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import CommandRecord, Page
from commandpost.domain.push import Feedback, PushFailure, Subscription
from commandpost.domain.trigger import Condition, Trigger

# --- the store -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEvent:
    """That something was told, to whom, and how its queue stands: what a sender needs to line that up."""

    seq: int
    subscription_id: int
    device_id: DeviceId
    failures: int
    """Of the queue, in a row."""
    due_at: Instant
    """When the queue's rest is over; 0 without failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingQueue:
    """A queue that has events, how often it failed in a row, and when its rest is over (0 without failures)."""

    device_id: DeviceId
    failures: int
    due_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvent:
    """An event of the outbox, with what its message says of the device."""

    event: OutboxEvent
    imei: str | None
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPage:
    """The first events of a queue."""

    events: tuple[WaitingEvent, ...]
    left_since: Instant | None
    """When the first one was told that is not in the page; None: these are all there are."""


class PushReader(Protocol):
    """Questions about subscriptions, the outbox and triggers, answered from what is committed; each by index."""

    async def find_subscription(self, subscription_id: int) -> Subscription | None:
        """Give a subscription of any product and role."""
        ...

    async def list_subscriptions(self, product_id: ProductId | None) -> tuple[Subscription, ...]:
        """Those of a product that somebody added; with None, all there are, those of triggers too. By id."""
        ...

    async def last_told(self) -> int:
        """The seq of the newest event there is or was; 0 before the first."""
        ...

    async def told_after(self, seq: int, limit: int) -> tuple[ToldEvent, ...]:
        """What was told after an event, in order."""
        ...

    async def waiting_queues(self, subscription_id: int, after: DeviceId, limit: int) -> tuple[WaitingQueue, ...]:
        """Queues of a subscription that have events, with a device id above `after`, by device id."""
        ...

    async def waiting_events(
        self, subscription_id: int, device_id: DeviceId, *, limit: int, bytes_max: int
    ) -> WaitingPage:
        """The first events of a queue, in order: at most so many, and of so many bytes of values; but one at least."""
        ...

    async def list_failures(
        self, subscription_id: int, *, before_id: int | None, limit: int
    ) -> tuple[PushFailure, ...]:
        """The list of failures, newest first, with an id below `before_id` (keyset)."""
        ...

    async def list_feedback(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, tuple[Feedback, ...]]:
        """The newest push attempts of these commands, oldest first; commands without any are left out."""
        ...

    async def find_trigger(self, product_id: ProductId, trigger_id: int) -> Trigger | None:
        """Give a trigger of a product."""
        ...

    async def find_trigger_of(self, subscription_id: int) -> Trigger | None:
        """Give the trigger that a subscription belongs to."""
        ...

    async def list_triggers(self, product_id: ProductId, title: str, page: Page) -> tuple[int, tuple[Trigger, ...]]:
        """How many triggers of a product have `title` in their title, and one page of them by id."""
        ...


# --- the messages ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMessage:
    """A datapoint; `value` is JSON text."""

    device_id: DeviceId
    imei: str | None
    stream_id: str
    at: Instant
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineMessage:
    """A device came or went."""

    device_id: DeviceId
    imei: str | None
    protocol: str
    at: Instant
    is_online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandMessage:
    """A cached command ended."""

    record: CommandRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmMessage:
    """A trigger went off."""

    trigger_id: int
    condition: Condition
    device_id: DeviceId
    stream_id: str
    stream_uuid: str
    at: Instant
    value: str


PushMessage: TypeAlias = DataMessage | OnlineMessage | CommandMessage | AlarmMessage


# --- who makes the requests ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PushTarget:
    """Where messages go, with its secrets in the clear; never logged."""

    url: str
    token: str | None = field(repr=False)
    """None: nothing is signed (the url of a trigger)."""
    aes_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOutcome:
    """How a request ended; `reason` is short, says what came instead of 200, and holds no secrets."""

    is_accepted: bool
    reason: str = ""


class PushSender(Protocol):
    """Makes requests to receivers. Never raises for what a receiver or the network does."""

    def check_url(self, url: str) -> None:
        """Refuse what can be seen to be no allowed address without asking anybody.

        Raises:
            Invalid: names `url`.
        """
        ...

    async def verify(self, target: PushTarget) -> PushOutcome:
        """Ask a receiver to show that it is one (northbound reference 8.1)."""
        ...

    async def push(self, target: PushTarget, messages: Sequence[PushMessage], *, is_array: bool) -> PushOutcome:
        """Hand messages over in one request: a single one as it is, or an array of them."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
