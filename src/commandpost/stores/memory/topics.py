"""Facts and questions about topic sessions and messages, in memory."""

from dataclasses import replace

from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.topic import (
    QUEUED_BYTES_MAX,
    QUEUED_MESSAGES_MAX,
    RETAINED_MAX,
    QueuedMessage,
    TopicMessage,
    TopicSession,
)
from commandpost.domain.topic_facts import (
    DropSubscriptions,
    DropTopicMessages,
    DropTopicSession,
    KeepSubscriptions,
    KeepTopicMessage,
    KeepTopicSession,
    PruneTopics,
    TopicReceiver,
)
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.memory.kept import KeptTopicSession
from commandpost.stores.memory.questions import Questions
from commandpost.stores.memory.state import MemoryState
from commandpost.stores.topic_rules import SWEPT_MESSAGES, message_bytes, session_expires_at


class TopicFacts:
    """Applies the facts about topics to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

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
        self._state.topics.sessions.pop(device_id, None)

    def _keep_session(self, fact: KeepTopicSession) -> bool:
        session = fact.session
        device = self._state.devices.get(session.device_id)
        if device is None or device.product_id != session.product_id:
            return False
        kept = self._find(session.device_id)
        if kept is not None and not fact.starts_clean:
            kept.session = replace(kept.session, expiry_s=session.expiry_s, left_at=session.left_at)
            return True
        self._state.topics.sessions[device.id] = KeptTopicSession(
            session, subscriptions={each.topic_filter: each for each in session.subscriptions}
        )
        return True

    def _drop_session(self, fact: DropTopicSession) -> None:
        self.forget_device(fact.device_id)

    def _keep_subscriptions(self, fact: KeepSubscriptions) -> bool:
        kept = self._find(fact.device_id)
        if kept is None:
            return False
        kept.subscriptions |= {each.topic_filter: each for each in fact.subscriptions}
        return True

    def _drop_subscriptions(self, fact: DropSubscriptions) -> bool:
        kept = self._find(fact.device_id)
        if kept is None:
            return False
        for topic_filter in fact.topic_filters:
            kept.subscriptions.pop(topic_filter, None)
        return True

    def _keep_message(self, fact: KeepTopicMessage) -> tuple[int | None, ...]:
        if fact.retains:
            self._retain(fact.product_id, fact.message)
        return tuple(self._queue(fact.message, receiver) for receiver in fact.receivers)

    def _queue(self, message: TopicMessage, receiver: TopicReceiver) -> int | None:
        kept = self._find(receiver.device_id)
        if kept is None or len(kept.queue) >= QUEUED_MESSAGES_MAX:
            return None
        queued_bytes = sum(message_bytes(each.message) for each in kept.queue.values())
        if queued_bytes + message_bytes(message) > QUEUED_BYTES_MAX:
            return None
        self._state.topics.last_number += 1
        number = self._state.topics.last_number
        copy = replace(message, qos=receiver.qos, is_retained=receiver.is_retained)
        kept.queue[number] = QueuedMessage(number=number, message=copy, identifiers=receiver.identifiers)
        return number

    def _retain(self, product_id: ProductId, message: TopicMessage) -> None:
        retained = self._state.topics.retained
        place = product_id, message.topic
        if not message.payload:
            retained.pop(place, None)
        elif place in retained or sum(owner == product_id for owner, _ in retained) < RETAINED_MAX:
            retained[place] = replace(message, is_retained=True)

    def _drop_messages(self, fact: DropTopicMessages) -> None:
        kept = self._find(fact.device_id)
        for number in fact.numbers:
            if kept is not None:
                kept.queue.pop(number, None)

    def _prune(self, fact: PruneTopics) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        count, has_more = self._prune_sessions(fact.now, limit)
        copies = sorted(
            (queued.message.expires_at, number, device_id)
            for device_id, kept in self._state.topics.sessions.items()
            for number, queued in kept.queue.items()
            if queued.message.expires_at is not None and queued.message.expires_at <= fact.now
        )[:limit]
        for _, number, device_id in copies:
            del self._state.topics.sessions[device_id].queue[number]
        retained = sorted(
            (message.expires_at, place)
            for place, message in self._state.topics.retained.items()
            if message.expires_at is not None and message.expires_at <= fact.now
        )[:limit]
        for _, place in retained:
            del self._state.topics.retained[place]
        has_more = has_more or len(copies) >= limit or len(retained) >= limit
        return Swept(count=count + len(copies) + len(retained), has_more=has_more)

    def _prune_sessions(self, now: Instant, limit: int) -> tuple[int, bool]:
        """Give how many sessions went, and whether that was a full slice."""
        ends = {device_id: session_expires_at(kept.session) for device_id, kept in self._state.topics.sessions.items()}
        expired = sorted((end, device_id) for device_id, end in ends.items() if end is not None and end <= now)
        count = swept = 0
        for _, device_id in expired[:limit]:
            swept += len(self._state.topics.sessions.pop(device_id).queue)
            count += 1
            if swept >= SWEPT_MESSAGES:
                break
        return count, count >= limit or swept >= SWEPT_MESSAGES

    def _find(self, device_id: DeviceId) -> KeptTopicSession | None:
        return self._state.topics.sessions.get(device_id)


class MemoryTopicReader(Questions):
    """A TopicReader over a state."""

    async def list_topic_sessions(
        self, product_id: ProductId, *, after: DeviceId, limit: int
    ) -> tuple[TopicSession, ...]:
        """Sessions of a product's devices with a device id above `after`, by device id."""
        sessions = [
            replace(kept.session, subscriptions=tuple(each for _, each in sorted(kept.subscriptions.items())))
            for device_id, kept in sorted(self._state.topics.sessions.items())
            if kept.session.product_id == product_id and device_id > after
        ]
        return tuple(sessions[:limit])

    async def list_queued_messages(self, device_id: DeviceId, *, after: int, limit: int) -> tuple[QueuedMessage, ...]:
        """What waits for a device with a number above `after`, by number."""
        kept = self._state.topics.sessions.get(device_id)
        queue = [] if kept is None else sorted(kept.queue.items())
        return tuple(queued for number, queued in queue if number > after)[:limit]

    async def list_retained(self, product_id: ProductId, *, after: str, limit: int) -> tuple[TopicMessage, ...]:
        """A product's retained messages with a topic above `after` (bytewise), by topic."""
        # Code points sort as their UTF-8 does.
        retained = [
            message
            for (owner, topic), message in sorted(self._state.topics.retained.items(), key=lambda each: each[0])
            if owner == product_id and topic > after
        ]
        return tuple(retained[:limit])
