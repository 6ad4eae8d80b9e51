"""Row <-> record for topic sessions and messages."""

from commandpost.domain.topic import QueuedMessage, TopicMessage, TopicSession, TopicSubscription
from commandpost.stores.record_texts import NUMBERS
from commandpost.stores.rows import Row
from commandpost.stores.topic_rules import message_bytes, session_expires_at


def topic_session_to_row(session: TopicSession) -> dict[str, object]:
    """Give the columns of a session's row, by name, without the sums of its queue."""
    return {
        "device_id": session.device_id,
        "product_id": session.product_id,
        "expiry_s": session.expiry_s,
        "left_at": session.left_at,
        "expires_at": session_expires_at(session),
    }


def topic_session_from_row(row: Row, subscriptions: tuple[TopicSubscription, ...]) -> TopicSession:
    """Read a session: device, product, expiry, when it left, and its subscriptions."""
    return TopicSession(
        device_id=row[0],
        product_id=row[1],
        expiry_s=row[2],
        left_at=row[3],
        subscriptions=subscriptions,
    )


def topic_subscription_to_row(subscription: TopicSubscription) -> Row:
    """Give the columns of a subscription, after its device."""
    return subscription.topic_filter, subscription.options, subscription.identifier


def topic_subscription_from_row(row: Row) -> TopicSubscription:
    """Read a subscription."""
    return TopicSubscription(topic_filter=row[0], options=row[1], identifier=row[2])


def topic_message_to_row(message: TopicMessage) -> Row:
    """Give the columns of what stands once for all its receivers."""
    return message.topic, message_bytes(message), message.properties, message.expires_at, message.payload


def identifiers_to_column(identifiers: tuple[int, ...]) -> str | None:
    """Give the column of a copy's subscription identifiers."""
    return NUMBERS.encode(identifiers) if identifiers else None


def queued_message_from_row(row: Row) -> QueuedMessage:
    """Read a copy: number, identifiers, then its message."""
    identifiers = () if row[1] is None else NUMBERS.decode(row[1])
    return QueuedMessage(number=row[0], identifiers=identifiers, message=_message(row[2:]))


def retained_message_from_row(row: Row) -> TopicMessage:
    """Read a retained message."""
    return _message(row)


def _message(row: Row) -> TopicMessage:
    return TopicMessage(
        topic=row[0],
        payload=row[1],
        qos=row[2],
        is_retained=bool(row[3]),
        properties=row[4],
        expires_at=row[5],
    )
