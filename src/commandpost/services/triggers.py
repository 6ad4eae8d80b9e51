"""Triggers: taking them in and letting them go, and the silences that some of them wait for.

Points are looked at where they are stored, in the same transaction (stores); what goes off is told like any other event
(services/push). Source: northbound reference 9.2.
"""

from collections.abc import Callable
from dataclasses import dataclass

from commandpost.domain.datapoint import check_stream_id
from commandpost.domain.device import Product
from commandpost.domain.errors import Invalid, NotFound
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, Page, StoreReader, StoreWriter
from commandpost.domain.push import check_url
from commandpost.domain.push_facts import AddTrigger, NotTriggered, RemoveTrigger, UpdateTrigger
from commandpost.domain.push_ports import PushReader, PushSender
from commandpost.domain.trigger import (
    DEVICES_MAX,
    STREAMS_MAX,
    TITLE_CHARACTERS_MAX,
    TRIGGERS_MAX,
    TRIGGERS_PER_STREAM_MAX,
    Condition,
    Trigger,
    TriggerChange,
)
from commandpost.services.named_devices import check_named_devices


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """A trigger as its owner describes it."""

    title: str
    stream_id: str
    device_ids: tuple[DeviceId, ...] | None = None
    stream_uuids: tuple[str, ...] | None = None
    url: str
    condition: Condition


class Triggers:
    """See the module. Every call is about the triggers of one product; another's look as if there were none."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: PushReader,
        devices: StoreReader,
        sender: PushSender,
        clock: Clock,
        on_change: Callable[[], object],
        triggers_max: int = TRIGGERS_MAX,
    ) -> None:
        """Connect.

        Args:
            devices: where the devices that a trigger names are looked up.
            on_change: told that the urls of triggers have changed: Deliveries.refresh.
        """
        self._writer = writer
        self._reader = reader
        self._devices = devices
        self._sender = sender
        self._clock = clock
        self._on_change = on_change
        self._triggers_max = triggers_max

    async def create(self, product: Product, new: NewTrigger) -> Trigger:
        """Take a trigger in; it looks at the points that come from now on.

        Raises:
            Invalid: names the field, what was found and what is allowed.
            NotFound: the product is gone, or a device that is named is not the product's.
        """
        trigger = Trigger(
            product_id=product.id,
            title=new.title,
            stream_id=new.stream_id,
            device_ids=new.device_ids or None,
            stream_uuids=new.stream_uuids or None,
            url=new.url,
            condition=new.condition,
            created_at=self._clock.wall_ms(),
        )
        self._check(trigger)
        await check_named_devices(self._devices, product.id, trigger.device_ids or ())
        fact = AddTrigger(trigger=trigger, triggers_max=self._triggers_max, of_stream_max=TRIGGERS_PER_STREAM_MAX)
        added = await self._writer.perform(fact)
        if isinstance(added, NotTriggered):
            raise self._refusal(added, product, trigger.stream_id)
        self._on_change()
        return added

    async def change(self, product: Product, trigger_id: int, change: TriggerChange) -> Trigger:
        """Change what the caller gave.

        Raises:
            NotFound: the product has no such trigger, or a device that is named is not the product's.
            Invalid: names the field, what was found and what is allowed.
        """
        before = await self.get(product, trigger_id)
        self._check(change)
        # Only what the caller names now: a device that went since must not keep its trigger from being changed.
        await check_named_devices(self._devices, product.id, change.device_ids or ())
        fact = UpdateTrigger(
            product_id=product.id, trigger_id=trigger_id, change=change, of_stream_max=TRIGGERS_PER_STREAM_MAX
        )
        changed = await self._writer.perform(fact)
        if changed is None:
            raise NotFound("trigger", str(trigger_id))
        if isinstance(changed, NotTriggered):
            raise self._refusal(changed, product, change.stream_id or before.stream_id)
        self._on_change()
        return changed

    async def get(self, product: Product, trigger_id: int) -> Trigger:
        """Give a trigger.

        Raises:
            NotFound: the product has none with this id.
        """
        trigger = await self._reader.find_trigger(product.id, trigger_id)
        if trigger is None:
            raise NotFound("trigger", str(trigger_id))
        return trigger

    async def list(self, product: Product, title: str, page: Page) -> tuple[int, tuple[Trigger, ...]]:
        """Give how many triggers of a product have `title` in their title, and one page of them by id."""
        return await self._reader.list_triggers(product.id, title, page)

    async def remove(self, product: Product, trigger_id: int) -> None:
        """Forget a trigger, and the alarms of it that wait.

        Raises:
            NotFound: the product has none with this id.
        """
        if not await self._writer.perform(RemoveTrigger(product_id=product.id, trigger_id=trigger_id)):
            raise NotFound("trigger", str(trigger_id))
        self._on_change()

    def _check(self, given: Trigger | TriggerChange) -> None:
        """Look at what is given; what a change leaves as it is was looked at before."""
        if given.title is not None and not 1 <= len(given.title) <= TITLE_CHARACTERS_MAX:
            raise Invalid("title", given.title[:TITLE_CHARACTERS_MAX], f"1 to {TITLE_CHARACTERS_MAX} characters")
        if given.stream_id is not None:
            try:
                check_stream_id(given.stream_id)
            except Invalid as error:
                raise Invalid("ds_id", error.found, error.allowed) from None
        if len(given.device_ids or ()) > DEVICES_MAX:
            raise Invalid("dev_ids", f"{len(given.device_ids or ())} devices", f"at most {DEVICES_MAX}")
        if len(given.stream_uuids or ()) > STREAMS_MAX:
            raise Invalid("ds_uuids", f"{len(given.stream_uuids or ())} streams", f"at most {STREAMS_MAX}")
        if given.url is not None:
            self._sender.check_url(check_url(given.url))

    def _refusal(self, reason: NotTriggered, product: Product, stream_id: str) -> Invalid | NotFound:
        match reason:
            case NotTriggered.PRODUCT_GONE:
                return NotFound("product", str(product.id))
            case NotTriggered.TOO_MANY:
                return Invalid("triggers", f"{self._triggers_max} already", f"at most {self._triggers_max}")
            case NotTriggered.TOO_MANY_OF_STREAM:
                count = TRIGGERS_PER_STREAM_MAX
                return Invalid("ds_id", f"{count} triggers look at {stream_id}", f"at most {count}")
