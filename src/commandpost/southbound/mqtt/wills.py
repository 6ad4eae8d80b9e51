"""Wills: what is published for a device that went without saying so, at once or after a delay.

Source: OASIS MQTT 3.1.1 section 3.1.2.5, MQTT 5.0 sections 3.1.2.5 and 3.1.3.2.2.
"""

from collections.abc import Callable
from typing import Final

from commandpost.domain.connection import Connection
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Clock, EventSink, Scheduler, Timer
from commandpost.domain.topic import TopicMessage
from commandpost.protocols.mqtt.packets import Will
from commandpost.southbound.mqtt.messages import to_topic_message

WILL_DELAY_MAX_S: Final = 86_400  # MQTT 5 allows 136 years; a timer of ours lasts a day at most


class Wills:
    """The wills whose delay runs."""

    def __init__(
        self,
        *,
        publish: Callable[[ProductId, TopicMessage, DeviceId], object],
        clock: Clock,
        scheduler: Scheduler,
        events: EventSink,
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._scheduler = scheduler
        self._events = events
        self._waiting: dict[DeviceId, tuple[Timer, ProductId, Will]] = {}

    def keep(self, connection: Connection, will: Will, *, session_s: int) -> None:
        """Publish a will now, or after its delay, which the end of the session cuts short."""
        delay_s = min(will.properties.will_delay_s or 0, session_s, WILL_DELAY_MAX_S)
        if delay_s == 0:
            self._publish_now(connection.device_id, connection.product_id, will)
            return
        timer = self._scheduler.call_later(delay_s, self._delay_over, connection.device_id)
        self._waiting[connection.device_id] = timer, connection.product_id, will

    def settle(self, device_id: DeviceId, *, is_session_present: bool) -> None:
        """The device is back before its will was due: with its session the will is void, without it is due now."""
        found = self._waiting.pop(device_id, None)
        if found is None:
            return
        timer, product_id, will = found
        timer.cancel()
        if not is_session_present:
            self._publish_now(device_id, product_id, will)

    def forget(self, device_id: DeviceId) -> None:
        """The device was deleted."""
        found = self._waiting.pop(device_id, None)
        if found is not None:
            found[0].cancel()

    def stop(self) -> None:
        """Let no delay end any more."""
        for timer, _, _ in self._waiting.values():
            timer.cancel()
        self._waiting.clear()

    def _delay_over(self, device_id: DeviceId) -> None:
        found = self._waiting.pop(device_id, None)
        if found is not None:
            self._publish_now(device_id, found[1], found[2])

    def _publish_now(self, device_id: DeviceId, product_id: ProductId, will: Will) -> None:
        if will.topic.startswith("$"):
            self._events.emit("will_refused", device_id=device_id, topic=will.topic[:200])
            return
        message = to_topic_message(
            topic=will.topic,
            payload=will.payload,
            qos=will.qos,
            retain=will.retain,
            properties=will.properties,
            now=self._clock.wall_ms(),
        )
        self._publish(product_id, message, device_id)
