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
from commandpost.domain.push_facts import AddTrigger, NotTriggered, RemoveTrigger, TellSilences, UpdateTrigger
from commandpost.domain.push_ports import PushReader, PushSender
from commandpost.domain.trigger import (
    DEVICES_MAX,
    STREAMS_MAX,
    TITLE_CHARACTERS_MAX,
    TRIGGERS_MAX,
    TRIGGERS_PER_STREAM_MAX,
    Condition,
    Trigger,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerChange:
    """What is to be different; None stays. An empty tuple of devices or streams means all."""

    title: str | None = None
    stream_id: str | None = None
    device_ids: tuple[DeviceId, ...] | None = None
    stream_uuids: tuple[str, ...] | None = None
    url: str | None = None
    condition: Condition | None = None


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
            raise self._refusal(added, trigger)
        self._on_change()
        return added

    async def change(self, product: Product, trigger_id: int, change: TriggerChange) -> Trigger:
        """Change what the caller gave.

        Raises:
            NotFound: the product has no such trigger, or a device that is named is not the product's.
            Invalid: names the field, what was found and what is allowed.
        """
        before = await self.get(product, trigger_id)
        trigger = Trigger(
            id=before.id,
            product_id=before.product_id,
            title=before.title if change.title is None else change.title,
            stream_id=before.stream_id if change.stream_id is None else change.stream_id,
            device_ids=before.device_ids if change.device_ids is None else change.device_ids or None,
            stream_uuids=before.stream_uuids if change.stream_uuids is None else change.stream_uuids or None,
            url=before.url if change.url is None else change.url,
            condition=before.condition if change.condition is None else change.condition,
            created_at=before.created_at,
        )
        self._check(trigger)
        # Only what the caller names now: a device that went since must not keep its trigger from being changed.
        await check_named_devices(self._devices, product.id, change.device_ids or ())
        changed = await self._writer.perform(UpdateTrigger(trigger=trigger, of_stream_max=TRIGGERS_PER_STREAM_MAX))
        if changed is None:
            raise NotFound("trigger", str(trigger_id))
        if isinstance(changed, NotTriggered):
            raise self._refusal(changed, trigger)
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

    def _check(self, trigger: Trigger) -> None:
        if not 1 <= len(trigger.title) <= TITLE_CHARACTERS_MAX:
            raise Invalid("title", trigger.title[:TITLE_CHARACTERS_MAX], f"1 to {TITLE_CHARACTERS_MAX} characters")
        try:
            check_stream_id(trigger.stream_id)
        except Invalid as error:
            raise Invalid("ds_id", error.found, error.allowed) from None
        if len(trigger.device_ids or ()) > DEVICES_MAX:
            raise Invalid("dev_ids", f"{len(trigger.device_ids or ())} devices", f"at most {DEVICES_MAX}")
        if len(trigger.stream_uuids or ()) > STREAMS_MAX:
            raise Invalid("ds_uuids", f"{len(trigger.stream_uuids or ())} streams", f"at most {STREAMS_MAX}")
        self._sender.check_url(check_url(trigger.url))

    def _refusal(self, reason: NotTriggered, trigger: Trigger) -> Invalid | NotFound:
        match reason:
            case NotTriggered.PRODUCT_GONE:
                return NotFound("product", str(trigger.product_id))
            case NotTriggered.TOO_MANY:
                return Invalid("triggers", f"{self._triggers_max} already", f"at most {self._triggers_max}")
            case NotTriggered.TOO_MANY_OF_STREAM:
                count = TRIGGERS_PER_STREAM_MAX
                return Invalid("ds_id", f"{count} triggers look at {trigger.stream_id}", f"at most {count}")


class SilenceWatch:
    """A duty: gives the alarms of silences that have become long enough."""

    def __init__(self, *, writer: StoreWriter, clock: Clock, slice_max: int = 200, interval_s: float = 1.0) -> None:
        self._writer = writer
        self._clock = clock
        self.slice_max = slice_max
        self.interval_s = interval_s

    async def tick(self) -> int:
        """Tell one slice."""
        return await self._writer.perform(TellSilences(now=self._clock.wall_ms(), limit=self.slice_max))
