"""Who is told of a product's events: taking receivers in, once they have shown that they are some, and letting them go.

Not here: the telling (deliveries). Source: northbound reference 8.1, 8.6.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from commandpost.domain.device import Product
from commandpost.domain.errors import Invalid, NotFound
from commandpost.domain.events import EventKind
from commandpost.domain.ids import CommandId, ProductId
from commandpost.domain.ports import Clock, SecretBox, StoreWriter
from commandpost.domain.push import (
    KINDS_DEFAULT,
    Batch,
    Feedback,
    NotVerified,
    PushFailure,
    Subscription,
    check_aes_key,
    check_token,
    check_url,
)
from commandpost.domain.push_facts import AddSubscription, NotSubscribed, RemoveSubscription, ReplayFailures
from commandpost.domain.push_ports import PushReader, PushSender, PushTarget
from commandpost.services.push.outbox_watch import open_target
from commandpost.services.push.settings import GIVE_UP_SLICE, REPLAY_PAUSE_S, PushSettings
from commandpost.services.rate_limits import TooFrequent

VERIFICATIONS_MAX: Final = 2  # of a product at one time: an owner adds one after another, and each may take 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A receiver as its owner describes it."""

    url: str
    token: str = field(repr=False)
    aes_key: str | None = field(default=None, repr=False)
    kinds: tuple[EventKind, ...] = KINDS_DEFAULT
    batch: Batch | None = None


class Subscriptions:
    """See the module. Every call is about the subscriptions of one product; another's look as if there were none."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: PushReader,
        sender: PushSender,
        secrets: SecretBox,
        clock: Clock,
        settings: PushSettings,
        on_change: Callable[[], object],
    ) -> None:
        """Connect.

        Args:
            on_change: told that subscriptions have changed: Deliveries.refresh.
        """
        self._writer = writer
        self._reader = reader
        self._sender = sender
        self._secrets = secrets
        self._clock = clock
        self._settings = settings
        self._on_change = on_change
        self._verifying: Counter[ProductId] = Counter()

    async def add(self, product: Product, new: NewSubscription) -> Subscription:
        """Take a receiver in that answers the verification of its url; it hears of what happens from now on.

        Raises:
            Invalid: names the field, what was found and what is allowed.
            TooFrequent: others of the product are being verified.
            NotVerified: the receiver did not show that it is one.
            NotFound: the product is gone.
        """
        target = PushTarget(
            url=check_url(new.url),
            token=check_token(new.token),
            aes_key=None if new.aes_key is None else check_aes_key(new.aes_key),
        )
        self._sender.check_url(new.url)
        if len(await self._reader.list_subscriptions(product.id)) >= self._settings.subscriptions_max:
            raise self._too_many()
        await self._verify(product.id, target)
        subscription = Subscription(
            product_id=product.id,
            url=new.url,
            sealed_token=self._secrets.seal(new.token.encode()),
            sealed_aes_key=None if new.aes_key is None else self._secrets.seal(new.aes_key.encode()),
            kinds=new.kinds,
            batch=new.batch,
            created_at=self._clock.wall_ms(),
        )
        fact = AddSubscription(subscription=subscription, subscriptions_max=self._settings.subscriptions_max)
        match await self._writer.perform(fact):
            case NotSubscribed.PRODUCT_GONE:
                raise NotFound("product", str(product.id))
            case NotSubscribed.TOO_MANY:
                raise self._too_many()
            case Subscription() as added:
                self._on_change()
                return added

    async def list(self, product: Product) -> tuple[Subscription, ...]:
        """Give the subscriptions of a product, by id."""
        return await self._reader.list_subscriptions(product.id)

    async def has_any(self, product_id: ProductId) -> bool:
        """Tell whether anybody is told of a product's events."""
        return bool(await self._reader.list_subscriptions(product_id))

    async def get(self, product: Product, subscription_id: int) -> Subscription:
        """Give a subscription.

        Raises:
            NotFound: the product has none with this id.
        """
        found = await self._reader.find_subscription(subscription_id)
        if found is None or found.product_id != product.id or not found.kinds:
            raise NotFound("subscription", str(subscription_id))
        return found

    async def remove(self, product: Product, subscription_id: int) -> None:
        """Forget a subscription, and all that was to be told to it.

        Raises:
            NotFound: the product has none with this id.
        """
        fact = RemoveSubscription(product_id=product.id, subscription_id=subscription_id)
        if not await self._writer.perform(fact):
            raise NotFound("subscription", str(subscription_id))
        self._on_change()

    async def verify(self, product: Product, subscription_id: int) -> None:
        """Ask a receiver again to show that it is one; nothing changes.

        Raises:
            NotFound: the product has no such subscription.
            TooFrequent: others of the product are being verified.
            NotVerified: it did not.
        """
        await self._verify(product.id, open_target(await self.get(product, subscription_id), self._secrets))

    async def failures(
        self, product: Product, subscription_id: int, *, before_id: int | None, limit: int
    ) -> tuple[PushFailure, ...]:
        """Give the list of failures, newest first, with an id below `before_id`.

        Raises:
            NotFound: the product has no such subscription.
        """
        await self.get(product, subscription_id)
        return await self._reader.list_failures(subscription_id, before_id=before_id, limit=limit)

    async def replay(self, product: Product, subscription_id: int, *, only_id: int | None = None) -> int:
        """Tell what is on the list of failures again, or one of it, behind what waits; gives how many.

        Raises:
            NotFound: the product has no such subscription, or that no such failure.
            Overloaded: the writer has better things to do; what is still on the list can be replayed later.
        """
        await self.get(product, subscription_id)
        newest = await self._reader.list_failures(subscription_id, before_id=None, limit=1)
        if not newest:
            if only_id is not None:
                raise NotFound("failure", str(only_id))
            return 0
        total = 0
        while True:
            fact = ReplayFailures(
                product_id=product.id,
                subscription_id=subscription_id,
                last_id=newest[0].id,
                at=self._clock.wall_ms(),
                limit=GIVE_UP_SLICE,
                only_id=only_id,
            )
            count = await self._writer.perform(fact)
            total += count
            if count < GIVE_UP_SLICE:
                break
            await asyncio.sleep(REPLAY_PAUSE_S)
        if only_id is not None and not total:
            raise NotFound("failure", str(only_id))
        return total

    async def feedback(self, command_ids: Sequence[CommandId]) -> Mapping[CommandId, tuple[Feedback, ...]]:
        """Give the newest attempts to push the results of commands; those without any are left out."""
        return await self._reader.list_feedback(command_ids)

    async def _verify(self, product_id: ProductId, target: PushTarget) -> None:
        if self._verifying[product_id] >= VERIFICATIONS_MAX:
            raise TooFrequent(f"{VERIFICATIONS_MAX} verifications at one time", self._settings.timeout_s)
        self._verifying[product_id] += 1
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                outcome = await self._sender.verify(target)
        except TimeoutError:
            raise NotVerified(f"no answer within {self._settings.timeout_s:g} s") from None
        finally:
            self._verifying -= Counter((product_id,))  # which keeps none that has come down to nothing
        if not outcome.is_accepted:
            raise NotVerified(outcome.reason)

    def _too_many(self) -> Invalid:
        count = self._settings.subscriptions_max
        return Invalid("subscriptions", f"{count} of this product already", f"at most {count}")
