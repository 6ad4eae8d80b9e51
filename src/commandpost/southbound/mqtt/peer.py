"""One MQTT connection: the engine's events become logins, datapoints, replies and topic messages; payloads become
PUBLISHes to `$creq/{uuid}`, which a device gets without having subscribed.

It is the PayloadChannel and the TopicLink of its device. Here: what an event leads to. Not here: packets
(protocols/mqtt), the stream (stream_peer), where a topic message goes (broker). Source: southbound reference 5.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from commandpost.domain.connection import Connection
from commandpost.domain.ids import AttemptId, format_command_id, parse_command_id
from commandpost.domain.payload_ports import PayloadTransmission
from commandpost.domain.proof import ProofKind
from commandpost.protocols.data_report import decode_dp
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.mqtt.connection import ConnectionState
from commandpost.protocols.mqtt.events import (
    CloseReason,
    ConnectionClosed,
    ConnectRequested,
    MessageDelivered,
    MessageExpired,
    MessageRefused,
    MessageSent,
    PublishReceived,
    SubscribeReceived,
    UnsubscribeReceived,
)
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import SubscriptionEntry
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import OutboundMessage
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.entrance import MqttEntrance, MqttHouse
from commandpost.southbound.mqtt.messages import AttemptTag, QueuedTag, Subscribed, to_topic_message
from commandpost.southbound.reported_data import Stored

COMMAND_PREFIX: Final = "$creq/"
REPLY_PREFIX: Final = "$crsp/"
DATA_TOPIC: Final = "$dp"
OPEN_BYTES_MAX: Final = 1_048_576  # of QoS 0 on their way to the disk: as many as MqttLimits lets wait of QoS 1 and 2
MESSAGE_BYTES: Final = 1_024  # what a message costs beside its payload: its task, its fact, its place in the queue
REFUSED_PUBLISH: Final = ReasonCode.TOPIC_NAME_INVALID

_GRANTED: Final = (ReasonCode.SUCCESS, ReasonCode.GRANTED_QOS_1, ReasonCode.GRANTED_QOS_2)


class MqttPeer(MqttEntrance):
    """See the module."""

    __slots__ = ("_is_held", "_open_bytes", "_unsent")

    def __init__(self, house: MqttHouse) -> None:
        super().__init__(house)
        self._open_bytes = 0
        # Whether what followed a SUBSCRIBE waits for the retained messages of that.
        self._is_held = False
        # Payloads for which the engine's queue had no room; at most a window of them (P4).
        self._unsent: deque[PayloadTransmission] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether as many messages of QoS 0 are on their way to the disk as may."""
        return self._open_bytes >= OPEN_BYTES_MAX

    # --- events -------------------------------------------------------------------------------------------------

    def handle_events(self) -> None:
        """Take every event of the engine."""
        engine = self.engine
        if self._is_held and engine.state is ConnectionState.OPEN:
            return
        while (event := engine.next_event()) is not None:
            match event:
                case PublishReceived():
                    self._on_publish(event)
                case MessageDelivered(tag=AttemptTag(attempt_id=attempt_id)):
                    self._confirm(attempt_id)
                case MessageSent(tag=AttemptTag(attempt_id=attempt_id)):
                    self.when_written(partial(self._confirm, attempt_id))
                case MessageRefused(tag=AttemptTag(attempt_id=attempt_id)):
                    if self.connection is not None:
                        self._house.dispatcher.payload_refused(self.connection, attempt_id)
                case MessageDelivered(tag=tag) | MessageRefused(tag=tag) | MessageExpired(tag=tag):
                    if isinstance(tag, QueuedTag) and self.topics is not None:
                        self._house.broker.acknowledged(self.topics, tag.number)
                case SubscribeReceived():
                    self._on_subscribe(event)
                case UnsubscribeReceived():
                    self._on_unsubscribe(event)
                case ConnectRequested():
                    self.log_in(event)
                case ConnectionClosed():
                    self._on_closed(event)
        topics = self.topics
        if self._unsent or (topics is not None and topics.waits):
            self._go_on_sending()

    def _on_closed(self, closed: ConnectionClosed) -> None:
        is_silent = closed.reason is CloseReason.LOGIN_TIMED_OUT and closed.code is ReasonCode.KEEP_ALIVE_TIMEOUT
        where = ", the TLS handshake included" if is_silent and self.is_shaking_hands else ""
        detail = closed.detail[:200] + where
        self.events.emit("mqtt_closed", device_id=self._device_id, reason=closed.reason.value, detail=detail)
        topics, self.topics = self.topics, None
        if topics is not None and self.connection is not None:
            self._house.broker.detach(self.connection, topics, closed)
        if is_silent:
            self.abort(closed.detail)  # without a word, so there is none that the peer would have to take first
        else:
            self.close()

    # --- messages of the device ---------------------------------------------------------------------------------

    def _on_publish(self, event: PublishReceived) -> None:
        connection = self.connection
        assert connection is not None, "nothing is read before the login"
        topic = event.topic
        if not topic.startswith("$"):
            message = to_topic_message(
                topic=topic,
                payload=event.payload,
                qos=event.qos,
                retain=event.retain,
                properties=event.properties,
                now=self._house.clock.wall_ms(),
            )
            routed = self._once_safe(event)
            self._house.broker.route(connection.product_id, message, sender=connection.device_id, then=routed)
        elif topic == DATA_TOPIC:
            self._on_data(connection, event)
        elif topic.startswith(REPLY_PREFIX):
            self._on_reply(connection, event)
        else:
            self.events.emit("topic_refused", device_id=connection.device_id, topic=topic[:200])
            self._refuse(event.handle)

    def _on_data(self, connection: Connection, event: PublishReceived) -> None:
        try:
            report = decode_dp(event.payload)
        except DecodeError as error:
            # The device stays connected: samples of the vendor send such payloads (southbound reference 5.3).
            self.events.emit("report_refused", device_id=connection.device_id, reason=str(error)[:200])
            self._acknowledge(event.handle, True)
            return
        self._house.data.take(connection, report, partial(self._stored, self._once_safe(event)))

    @staticmethod
    def _stored(then: Callable[[bool], object], stored: Stored) -> None:
        # What can never be stored is acknowledged too: the device would send it for ever.
        then(stored is not Stored.UNAVAILABLE)

    def _on_reply(self, connection: Connection, event: PublishReceived) -> None:
        command_id = parse_command_id(event.topic[len(REPLY_PREFIX) :])
        if command_id is None:
            self._acknowledge(event.handle, True)  # nobody's: taken and dropped (southbound reference 5.2)
            return
        replied = self._once_safe(event)
        self._house.dispatcher.reply(connection.device_id, command_id, event.payload, replied)

    def _once_safe(self, event: PublishReceived) -> Callable[[bool], object]:
        """Give what follows once a message is safe, or is not. With QoS 0 there is no acknowledgement that would hold
        its sender back: what is on its way is counted, and too much of it stops the reading."""
        if event.handle is not None:
            return partial(self._acknowledge, event.handle)
        held_bytes = len(event.payload) + MESSAGE_BYTES
        self._open_bytes += held_bytes
        return partial(self._let_go, held_bytes)

    def _let_go(self, held_bytes: int, _is_safe: bool) -> None:
        self._open_bytes -= held_bytes
        self.pump()

    def _acknowledge(self, handle: PublishHandle | None, is_safe: bool) -> None:
        """Acknowledge what is safe. What is not ends the connection: only then does a device send it again."""
        if handle is not None and not handle.is_acknowledged:
            if is_safe:
                self.engine.acknowledge(handle)
            else:
                self.engine.acknowledge(handle, ReasonCode.UNSPECIFIED_ERROR)
                why = "a message could not be stored: the device has to send it again"
                self.engine.disconnect(ReasonCode.SERVER_BUSY, detail=why)
        self.pump()

    def _refuse(self, handle: PublishHandle | None) -> None:
        """Say that a topic is not to be published to: with a reason in MQTT 5; 3.1.1 has none, so it is dropped."""
        if handle is not None:
            is_5 = self.engine.version is Version.V5
            self.engine.acknowledge(handle, REFUSED_PUBLISH if is_5 else ReasonCode.SUCCESS)

    # --- subscriptions ------------------------------------------------------------------------------------------

    def _on_subscribe(self, event: SubscribeReceived) -> None:
        connection, topics = self.connection, self.topics
        assert connection is not None
        if topics is None:
            return
        identifiers = event.properties.subscription_identifiers
        identifier = identifiers[0] if identifiers else None
        codes = [_code_of(entry) for entry in event.entries]
        wanted = [
            (entry.topic_filter, Subscribed(options=entry.options, identifier=identifier))
            for entry, code in zip(event.entries, codes, strict=True)
            if not code.is_failure and not _is_command_filter(entry.topic_filter)
        ]
        granted = [entry.topic_filter for entry, code in zip(event.entries, codes, strict=True) if not code.is_failure]
        fresh = topics.count_fresh(granted)
        if fresh > self._house.limits.subscriptions_max - topics.subscriptions_held:
            self.engine.grant(event.packet_id, [ReasonCode.QUOTA_EXCEEDED] * len(codes))
        elif not wanted:
            self.engine.grant(event.packet_id, codes)
        else:
            topics.subscribing += fresh
            subscribed = partial(self._subscribed, topics, event.packet_id, tuple(codes), fresh)
            self._house.broker.subscribe(connection, topics, wanted, subscribed)

    def _subscribed(
        self, topics: DeviceTopics, packet_id: int, codes: tuple[ReasonCode, ...], fresh: int, is_kept: bool
    ) -> None:
        topics.subscribing -= fresh
        if self.engine.state is ConnectionState.OPEN:
            refused = [ReasonCode.UNSPECIFIED_ERROR] * len(codes)
            self.engine.grant(packet_id, codes if is_kept else refused)
            self.flush()  # before the retained messages that follow
        # They come from the caller, and are older than anything the device has sent after its SUBSCRIBE.
        self._is_held = True
        self._house.scheduler.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_held = False
        self.pump()

    def _on_unsubscribe(self, event: UnsubscribeReceived) -> None:
        connection, topics = self.connection, self.topics
        assert connection is not None
        if topics is not None:
            self._house.broker.unsubscribe(
                connection,
                topics,
                event.topic_filters,
                partial(self._unsubscribed, event.packet_id, event.topic_filters),
            )

    def _unsubscribed(self, packet_id: int, filters: tuple[str, ...], existed: "list[bool] | None") -> None:
        if self.engine.state is ConnectionState.OPEN:
            if existed is None:
                codes = [ReasonCode.UNSPECIFIED_ERROR] * len(filters)
            else:
                codes = [ReasonCode.SUCCESS if each else ReasonCode.NO_SUBSCRIPTION_EXISTED for each in existed]
            self.engine.confirm_unsubscribe(packet_id, codes)
        self.pump()

    # --- TopicLink ----------------------------------------------------------------------------------------------

    def send_message(self, message: OutboundMessage) -> bool:
        """Send a topic message, or let it wait; False: there is no room."""
        if not self.engine.publish(message, now=self.now()):
            return False
        self.pump()
        return True

    def resume_writing(self) -> None:
        """Everything is written: what waited for that goes on."""
        super().resume_writing()
        self.pump()

    def _go_on_sending(self) -> None:
        """Say that there may be room. No event says so: an acknowledgement of a message without a tag has none."""
        if self.connection is not None:
            self._send_unsent()
        if self.topics is not None:
            self._house.broker.go_on(self.topics)

    # --- PayloadChannel -----------------------------------------------------------------------------------------

    def transmit(self, transmission: PayloadTransmission) -> bool:
        """Publish a payload to `$creq/{uuid}`."""
        if self.connection is None or self.engine.state is not ConnectionState.OPEN:
            return True  # the end of the connection is the word on it
        if self._unsent or not self._publish(transmission):
            if self._unsent is None:
                self._unsent = deque()
            self._unsent.append(transmission)
        self.pump()
        return True

    def _publish(self, transmission: PayloadTransmission) -> bool:
        payload = transmission.payload
        message = OutboundMessage(
            topic=COMMAND_PREFIX + format_command_id(transmission.command_id),
            payload=payload.payload,
            qos=payload.qos,
            tag=AttemptTag(transmission.attempt_id),
            survives=False,  # the dispatcher sends it again, not the session
        )
        return self.engine.publish(message, now=self.now())

    def _send_unsent(self) -> None:
        while self._unsent:
            if not self._publish(self._unsent[0]):
                return
            self._unsent.popleft()
            self.pump()  # for the event of what went out at once
        self._unsent = None

    def _confirm(self, attempt_id: AttemptId) -> None:
        if self.connection is not None:
            self._house.dispatcher.payload_confirmed(self.connection, attempt_id)

    def settle(self, attempt_id: AttemptId) -> None:
        """The device has replied to a payload whose PUBACK has not come."""
        self.engine.settle(AttemptTag(attempt_id), now=self.now())
        self._send_unsent()
        self.pump()

    def take_over(self) -> None:
        """The device has logged in elsewhere."""
        self._leave(ReasonCode.SESSION_TAKEN_OVER, "the device has logged in anew")

    def remove(self) -> None:
        """The device is gone, or the server stops."""
        self._leave(ReasonCode.SERVER_SHUTTING_DOWN, "the device was deleted, or the server stops")

    def revoke(self, kind: ProofKind) -> None:
        """What the device logged in with is void; MQTT says so alike of every kind."""
        self._leave(ReasonCode.NOT_AUTHORIZED, f"what the device logged in with is void: {kind.value}")

    def _leave(self, reason: ReasonCode, why: str) -> None:
        self.engine.disconnect(reason, detail=why)
        self.pump()
        self.connection = None


def _is_command_filter(topic_filter: str) -> bool:
    """Whether a filter only names what a device gets without subscribing: `$creq/#`, `$creq/+`, `$creq/{uuid}`."""
    return topic_filter.startswith(COMMAND_PREFIX)


def _code_of(entry: SubscriptionEntry) -> ReasonCode:
    """Give what a filter is answered. Public samples subscribe `$creq/#` first: granted, and never delivered twice."""
    topic_filter = entry.topic_filter
    if topic_filter.startswith("$share/"):
        return ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    if topic_filter.startswith("$") and not _is_command_filter(topic_filter):
        return ReasonCode.NOT_AUTHORIZED
    return _GRANTED[entry.options.qos]
