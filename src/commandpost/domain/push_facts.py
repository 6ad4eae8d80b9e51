"""What is written about subscriptions, deliveries and triggers: facts like those of `domain.facts`, same promises.

Events get into the outbox by the facts that make them true (a command that ends, a session that starts or ends, points
that are stored), in the same transaction; here is how they leave it. All deliveries are class BEHIND: nobody's push may
slow a command. Source: design 4 (outbox), 10.9; northbound reference 8.6, 9.2.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from commandpost.domain.facts import Fact, Priority
from commandpost.domain.ids import ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.push import GiveUpRule, QueueTrouble, Subscription
from commandpost.domain.trigger import Trigger

# --- subscriptions ---------------------------------------------------------------------------------------------------


class NotSubscribed(Enum):
    """Why a subscription was not added."""

    PRODUCT_GONE = "product_gone"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddSubscription(Fact[Subscription | NotSubscribed]):
    """Take a subscription in; it hears of what becomes true from now on. Those of triggers do not count."""

    subscription: Subscription
    subscriptions_max: int
    """Of the product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSubscription(Fact[bool]):
    """Forget a subscription and all that was to be told; from the disk in slices (PrunePushes).

    False when the product has no such subscription; that of a trigger goes with its trigger only.
    """

    product_id: ProductId
    subscription_id: int


# --- deliveries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleEvents(Fact[None]):
    """The receiver has accepted these events: they leave the outbox, and their queues are well again.

    Each command among them gets a feedback `accepted`.
    """

    priority: ClassVar[Priority] = Priority.BEHIND
    subscription_id: int
    seqs: tuple[int, ...]
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedQueue:
    """How a queue stands after a failure."""

    trouble: QueueTrouble
    given_up: int
    """Events that have just gone into the list of failures: its head at least, or none."""

    @property
    def is_next_due(self) -> bool:
        """Whether the next event is tried without a rest: the fault may have been that of the one given up."""
        return self.given_up > 0 and self.trouble.given_up == self.given_up


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPushFailure(Fact[tuple[FailedQueue, ...]]):
    """One request with these events failed; gives how their queues stand, in the order of the events.

    The first event of each device among them is that queue's head. When `rule` gives it up it goes into the list of
    failures. When the queue gave up another one since its last success, its receiver is taken for dead rather than the
    event for bad: all that has waited the full time goes with it, up to `give_up_max`. Each command among the events
    gets a feedback `failed`. Events that are gone meanwhile are passed over.
    """

    priority: ClassVar[Priority] = Priority.BEHIND
    subscription_id: int
    seqs: tuple[int, ...]
    at: Instant
    reason: str
    rule: GiveUpRule
    give_up_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropEvents(Fact[None]):
    """Take events out that cannot be told any more, because what they told of is gone."""

    priority: ClassVar[Priority] = Priority.BEHIND
    subscription_id: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFailures(Fact[int]):
    """Move up to `limit` failures back into the outbox, oldest first, behind what waits there; gives how many."""

    product_id: ProductId
    subscription_id: int
    last_id: int
    """Only those up to here, so that what fails again is not replayed again."""
    at: Instant
    limit: int
    only_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePushes(Fact[int]):
    """Remove up to `limit` failures older than an instant, and rows of subscriptions that are gone; gives how many."""

    priority: ClassVar[Priority] = Priority.BEHIND
    given_up_before: Instant
    limit: int


# --- triggers --------------------------------------------------------------------------------------------------------


class NotTriggered(Enum):
    """Why a trigger was not added."""

    PRODUCT_GONE = "product_gone"
    TOO_MANY = "too_many"
    TOO_MANY_OF_STREAM = "too_many_of_stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTrigger(Fact[Trigger | NotTriggered]):
    """Take a trigger in, with a subscription of its own for its url; it looks at points that come from now on."""

    trigger: Trigger
    triggers_max: int
    """Of the product."""
    of_stream_max: int
    """Of the product's streams of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateTrigger(Fact[Trigger | NotTriggered | None]):
    """Put the trigger as given in place of the one with its id and product; None when there is none.

    What it remembers is forgotten when its condition or its stream is another. Alarms that wait go to the new url.
    """

    trigger: Trigger
    of_stream_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTrigger(Fact[bool]):
    """Forget a trigger with its memory and its alarms that wait; False when the product has none such."""

    product_id: ProductId
    trigger_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSilences(Fact[int]):
    """Give the alarms of up to `limit` silences that are long enough by `now`; gives how many."""

    priority: ClassVar[Priority] = Priority.BEHIND
    now: Instant
    limit: int
