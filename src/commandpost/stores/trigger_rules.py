"""What a trigger makes, and what a change of it leaves: one rule for every store."""

from dataclasses import replace

from commandpost.domain.push import Subscription, SubscriptionRole
from commandpost.domain.trigger import Trigger, TriggerChange


def receiver_of(trigger: Trigger) -> Subscription:
    """Give the receiver of a new trigger's alarms: it hears of nothing else."""
    return Subscription(
        product_id=trigger.product_id,
        role=SubscriptionRole.ALARM,
        url=trigger.url,
        kinds=(),
        created_at=trigger.created_at,
    )


def change_trigger(before: Trigger, change: TriggerChange) -> Trigger:
    """Give the trigger after a change; no devices or streams named are all of them."""
    return replace(
        before,
        title=before.title if change.title is None else change.title,
        stream_id=before.stream_id if change.stream_id is None else change.stream_id,
        device_ids=before.device_ids if change.device_ids is None else change.device_ids or None,
        stream_uuids=before.stream_uuids if change.stream_uuids is None else change.stream_uuids or None,
        url=before.url if change.url is None else change.url,
        condition=before.condition if change.condition is None else change.condition,
    )
