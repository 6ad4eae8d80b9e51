"""What waits until a device has room: retained messages for its new subscriptions, and what lies on disk for it.

There is one word for room, `DeviceTopics.has_room`, and one call that says there may be some, `go_on`. A connection
makes it after everything that happened on it, since not every acknowledgement is an event of the engine; nothing here
tries again by itself what was refused.
"""

from commandpost.domain.errors import CommandpostError
from commandpost.domain.ports import Clock, EventSink, Scheduler
from commandpost.domain.topic_ports import TopicReader
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.messages import OutgoingMessage
from commandpost.southbound.mqtt.retained_messages import RetainedSearch
from commandpost.southbound.open_tasks import OpenTasks


class WaitingMessages:
    """See the module."""

    def __init__(self, *, reader: TopicReader, clock: Clock, scheduler: Scheduler, events: EventSink) -> None:
        self._reader = reader
        self._clock = clock
        self._scheduler = scheduler
        self._events = events
        self._readings = OpenTasks()

    def bring_retained(self, topics: DeviceTopics, topic_filter: str, search: RetainedSearch) -> None:
        """Send what a new subscription finds, a first slice of it at once; the rest as there is room and time."""
        topics.begin_search(topic_filter, search)
        if not topics.is_sending:
            self._send_retained(topics)

    def go_on(self, topics: DeviceTopics) -> None:
        """There may be room for what waits for a device. Retained messages go first: they are older."""
        if not topics.waits or not topics.has_room:
            return
        if topics.searches is not None:
            if not topics.is_sending:
                topics.is_sending = True
                self._scheduler.call_soon(self._send_retained, topics)
        elif not topics.is_reading:
            topics.is_reading = True
            self._readings.start(self._read(topics))

    def _send_retained(self, topics: DeviceTopics) -> None:
        topics.is_sending = True  # whatever is sent may end in `go_on`
        is_refused = not self._send_slice(topics)
        topics.is_sending = False
        if not is_refused:
            self.go_on(topics)

    def _send_slice(self, topics: DeviceTopics) -> bool:
        """Send until there is no room, or others should have a turn; False: a message was refused."""
        now = self._clock.wall_ms()
        has_looked = False
        while topics.searches and topics.has_room:
            topic_filter, search = next(iter(topics.searches.items()))
            message = search.next_message(now)
            if message is not None:
                subscribed = search.subscribed
                identifiers = () if subscribed.identifier is None else (subscribed.identifier,)
                outgoing = OutgoingMessage(message, self._clock)
                if not topics.send(
                    outgoing, qos=min(message.qos, subscribed.options.qos), retain=True, identifiers=identifiers
                ):
                    return False
                search.take()
            elif search.is_finished:
                topics.end_search(topic_filter)
            elif has_looked:
                return True
            else:
                has_looked = True
                search.look_on()
        return True

    async def _read(self, topics: DeviceTopics) -> None:
        """Read and hand over the next page of what lies on disk."""
        try:
            is_all = await topics.refill(self._reader, self._clock)
        except CommandpostError as error:
            self._events.emit("messages_not_read", device_id=topics.device_id, error=error.code)
            return
        if is_all:
            self.go_on(topics)
