"""Subscriptions and failures as `/v1` and the admin door show them: plain JSON values; never a token, never a key."""

from commandpost.domain.ids import format_command_id
from commandpost.domain.push import PushFailure, Subscription
from commandpost.northbound.admin_records import format_instant

JsonObject = dict[str, object]


def subscription_to_json(subscription: Subscription) -> JsonObject:
    """Give a subscription as it is stored."""
    batch = subscription.batch
    return {
        "id": str(subscription.id),
        "url": subscription.url,
        "kinds": [kind.value for kind in subscription.kinds],
        "encrypted": subscription.sealed_aes_key is not None,
        "batch": None if batch is None else {"count": batch.count, "interval_ms": batch.interval_ms},
        "created_at": format_instant(subscription.created_at),
    }


def failure_to_json(failure: PushFailure) -> JsonObject:
    """Give an event of the list of failures."""
    command_id = failure.command_id
    return {
        "id": str(failure.id),
        "device_id": str(failure.device_id),
        "kind": failure.kind.value,
        "at": format_instant(failure.at),
        "command_id": None if command_id is None else format_command_id(command_id),
        "online": failure.is_online,
        "stream_id": failure.stream_id,
        "failures": failure.failures,
        "failing_since": format_instant(failure.failing_since),
        "given_up_at": format_instant(failure.given_up_at),
        "reason": failure.reason,
    }
