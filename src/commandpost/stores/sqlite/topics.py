"""Facts and questions about topic sessions and messages, on SQLite."""

import sqlite3
from collections.abc import Iterable

from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.topic import (
    QUEUED_BYTES_MAX,
    QUEUED_MESSAGES_MAX,
    RETAINED_MAX,
    QueuedMessage,
    TopicMessage,
    TopicSession,
    TopicSubscription,
)
from commandpost.domain.topic_facts import (
    DropSubscriptions,
    DropTopicMessages,
    DropTopicSession,
    KeepSubscriptions,
    KeepTopicMessage,
    KeepTopicSession,
    PruneTopics,
)
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.rows import Row
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions
from commandpost.stores.topic_rows import (
    identifiers_to_column,
    queued_message_from_row,
    retained_message_from_row,
    topic_message_to_row,
    topic_session_from_row,
    topic_session_to_row,
    topic_subscription_from_row,
    topic_subscription_to_row,
)
from commandpost.stores.topic_rules import SWEPT_MESSAGES, message_bytes


class TopicFacts:
    """Applies the facts about topics, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._sql = load_queries("topics.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            KeepTopicSession: self._keep_session,
            DropTopicSession: self._drop_session,
            KeepSubscriptions: self._keep_subscriptions,
            DropSubscriptions: self._drop_subscriptions,
            KeepTopicMessage: self._keep_message,
            DropTopicMessages: self._drop_messages,
            PruneTopics: self._prune,
        }

    def forget_device(self, device_id: DeviceId) -> None:
        """Remove a device's session with all it holds."""
        self._forget(device_id)

    def _forget(self, device_id: DeviceId) -> int:
        """The same; gives how many messages that were."""
        self._execute(self._sql["delete_session"], (device_id,))
        self._execute(self._sql["delete_subscriptions"], (device_id,))
        copies = self._execute(self._sql["delete_copies"], (device_id,)).fetchall()
        self._delete_unqueued(message_id for (message_id,) in copies)
        return len(copies)

    def _keep_session(self, fact: KeepTopicSession) -> bool:
        session = fact.session
        (is_device,) = self._execute(self._sql["is_device"], (session.device_id, session.product_id)).fetchone()
        if not is_device:
            return False
        row = topic_session_to_row(session)
        if not fact.starts_clean and self._execute(self._sql["update_session"], row).rowcount:
            return True
        self.forget_device(session.device_id)
        self._execute(self._sql["insert_session"], row)
        self._put_subscriptions(session.device_id, session.subscriptions)
        return True

    def _drop_session(self, fact: DropTopicSession) -> None:
        self.forget_device(fact.device_id)

    def _keep_subscriptions(self, fact: KeepSubscriptions) -> bool:
        is_session = self._is_session(fact.device_id)
        if is_session:
            self._put_subscriptions(fact.device_id, fact.subscriptions)
        return is_session

    def _drop_subscriptions(self, fact: DropSubscriptions) -> bool:
        for topic_filter in fact.topic_filters:
            self._execute(self._sql["delete_subscription"], (fact.device_id, topic_filter))
        return self._is_session(fact.device_id)

    def _is_session(self, device_id: DeviceId) -> bool:
        (is_session,) = self._execute(self._sql["is_session"], (device_id,)).fetchone()
        return bool(is_session)

    def _keep_message(self, fact: KeepTopicMessage) -> tuple[int | None, ...]:
        if fact.retains:
            self._retain(fact.product_id, fact.message)
        return self._queue(fact)

    def _queue(self, fact: KeepTopicMessage) -> tuple[int | None, ...]:
        bounds = {
            "size_bytes": message_bytes(fact.message),
            "messages_max": QUEUED_MESSAGES_MAX,
            "bytes_max": QUEUED_BYTES_MAX,
        }
        message_id: int | None = None
        numbers: list[int | None] = []
        for receiver in fact.receivers:
            if not self._execute(self._sql["take_room"], {**bounds, "device_id": receiver.device_id}).rowcount:
                numbers.append(None)
                continue
            if message_id is None:
                message_id = self._execute(self._sql["insert_message"], topic_message_to_row(fact.message)).lastrowid
            identifiers = identifiers_to_column(receiver.identifiers)
            copy = receiver.device_id, message_id, receiver.qos, receiver.is_retained, identifiers
            numbers.append(self._execute(self._sql["insert_copy"], copy).lastrowid)
        return tuple(numbers)

    def _retain(self, product_id: ProductId, message: TopicMessage) -> None:
        if not message.payload:
            self._delete_retained(product_id, message.topic)
            return
        row = {
            "product_id": product_id,
            "topic": message.topic,
            "qos": message.qos,
            "properties": message.properties,
            "expires_at": message.expires_at,
            "payload": message.payload,
        }
        if self._execute(self._sql["update_retained"], row).rowcount:
            return
        room = {"product_id": product_id, "retained_max": RETAINED_MAX}
        if self._execute(self._sql["take_retained_room"], room).rowcount:
            self._execute(self._sql["insert_retained"], row)

    def _delete_retained(self, product_id: ProductId, topic: str) -> None:
        if self._execute(self._sql["delete_retained"], (product_id, topic)).rowcount:
            self._execute(self._sql["give_retained_room"], (product_id,))

    def _drop_messages(self, fact: DropTopicMessages) -> None:
        for number in fact.numbers:
            self._drop_copy(number, fact.device_id)

    def _prune(self, fact: PruneTopics) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        slice_of = {"now": fact.now, "limit": limit}
        count = swept = 0
        for (device_id,) in self._execute(self._sql["expired_sessions"], slice_of).fetchall():
            swept += self._forget(device_id)
            count += 1
            if swept >= SWEPT_MESSAGES:
                break
        copies = self._execute(self._sql["expired_copies"], slice_of).fetchall()
        for number, device_id in copies:
            self._drop_copy(number, device_id)
        retained = self._execute(self._sql["expired_retained"], slice_of).fetchall()
        for place in retained:
            self._delete_retained(*place)
        has_more = swept >= SWEPT_MESSAGES or max(count, len(copies), len(retained)) >= limit
        return Swept(count=count + len(copies) + len(retained), has_more=has_more)

    def _drop_copy(self, number: int, device_id: DeviceId) -> None:
        for (message_id,) in self._execute(self._sql["delete_copy"], (number, device_id)).fetchall():
            self._execute(self._sql["give_room"], {"device_id": device_id, "message_id": message_id})
            self._delete_unqueued((message_id,))

    def _delete_unqueued(self, message_ids: Iterable[int]) -> None:
        for message_id in dict.fromkeys(message_ids):
            self._execute(self._sql["delete_unqueued"], {"message_id": message_id})

    def _put_subscriptions(self, device_id: DeviceId, subscriptions: tuple[TopicSubscription, ...]) -> None:
        for subscription in subscriptions:
            self._execute(self._sql["put_subscription"], (device_id, *topic_subscription_to_row(subscription)))


class SqliteTopicReader(Questions):
    """A TopicReader over a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._topics = load_queries("topics.sql")

    async def list_topic_sessions(
        self, product_id: ProductId, *, after: DeviceId, limit: int
    ) -> tuple[TopicSession, ...]:
        """Sessions of a product's devices with a device id above `after`, by device id."""
        with self._snapshot():
            rows = self._rows(self._topics["list_sessions"], (product_id, after, limit))
            return tuple(self._topic_session(row) for row in rows)

    async def list_queued_messages(self, device_id: DeviceId, *, after: int, limit: int) -> tuple[QueuedMessage, ...]:
        """What waits for a device with a number above `after`, by number."""
        rows = self._rows(self._topics["list_queued"], (device_id, after, limit))
        return tuple(queued_message_from_row(row) for row in rows)

    async def list_retained(self, product_id: ProductId, *, after: str, limit: int) -> tuple[TopicMessage, ...]:
        """A product's retained messages with a topic above `after` (bytewise), by topic."""
        rows = self._rows(self._topics["list_retained"], (product_id, after, limit))
        return tuple(retained_message_from_row(row) for row in rows)

    def _topic_session(self, row: Row) -> TopicSession:
        subscriptions = self._rows(self._topics["list_subscriptions"], (row[0],))
        return topic_session_from_row(row, tuple(topic_subscription_from_row(each) for each in subscriptions))
