"""How a simulated device deals with one request of its server: carry it out, and let the answer leave as its
behaviour wants it: in the acknowledgement, late, twice, apart, out of order, wrong, or not at all.

Here: conduct and delays. Not here: what a proper answer says (object_server), the names of behaviours (behaviours).
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

from commandpost.domain.operation import Discover, Execute, Observe, Read
from commandpost.domain.ports import Scheduler, Timer
from commandpost.protocols.coap.codec import encode_empty, encode_fields
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.content_formats import ContentFormat
from commandpost.protocols.coap.events import ReplyHandle, RequestReceived
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.lwm2m.served_requests import ParsedOperation, ServedOperation, parse_request
from commandpost.simulation.behaviours import CONDUCTS, AnswerContent, Behaviour, Conduct, Reply
from commandpost.simulation.device_channel import DeviceChannel
from commandpost.simulation.device_settings import DeviceCounters, DeviceSettings, ServedRequest
from commandpost.simulation.object_server import DeviceAnswer, ObjectServer
from commandpost.simulation.objects import DEVICE, DEVICE_MODEL, REBOOT

REBOOT_DELAY_S: Final = 1.0  # between the answer to an Execute of 3/0/4 and the restart
SEPARATE_DELAY_S: Final = 1.0
SECOND_COPY_DELAY_S: Final = 0.5
LATE_ACK_DELAY_S: Final = 0.5
RANDOM_BYTES_MAX: Final = 64
_NOT_TLV: Final = b"\xff\xff\xff\xff"  # a resource with a length of three bytes, cut off after one


class RequestAnswerer:
    """Takes requests and answers them, now or by a timer of its own."""

    def __init__(
        self,
        *,
        settings: DeviceSettings,
        channel: DeviceChannel,
        objects: ObjectServer,
        scheduler: Scheduler,
        random: Random,
        counters: DeviceCounters,
        served: deque[ServedRequest],
        on_reboot: Callable[[], object],
        on_idle: Callable[[], object],
        on_served: Callable[[ServedRequest], object] | None,
    ) -> None:
        """Answer for one device.

        Args:
            on_reboot: the device is to restart; comes from inside a request or from a timer.
            on_idle: the last delayed answer has left.
        """
        self._settings = settings
        self._channel = channel
        self._objects = objects
        self._scheduler = scheduler
        self._random = random
        self._counters = counters
        self._served = served
        self._on_reboot = on_reboot
        self._on_idle = on_idle
        self._on_served = on_served
        self._misbehaved = 0
        self._pending: dict[int, Timer] = {}
        self._pending_number = 0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to leave."""
        return bool(self._pending)

    def forget(self) -> None:
        """Drop the answers that are still to leave."""
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()

    def take(self, event: RequestReceived) -> None:
        """Deal with one request."""
        message = event.message
        self._counters.requests += 1
        parsed = parse_request(message, model=DEVICE_MODEL)
        operation = parsed.operation if isinstance(parsed, ParsedOperation) else None
        conduct = self._conduct_for(operation)
        if conduct.does_it:
            answer: DeviceAnswer | None = self._objects.answer(parsed, coap_token=message.token)
            self._counters.done += 1
        else:
            answer = _untrue_answer(conduct)
        self._log(message, operation, conduct, answer)
        if conduct.reply is Reply.REBOOT:
            self._on_reboot()
            return
        self._reply(event.reply_to, conduct, answer)
        is_reboot = isinstance(operation, Execute) and operation.path == REBOOT
        if is_reboot and conduct.does_it:
            self._later(self._answer_delay_s(conduct) + REBOOT_DELAY_S, self._on_reboot)

    def _conduct_for(self, operation: ServedOperation | None) -> Conduct:
        conduct = CONDUCTS[self._settings.behaviour]
        if (self._settings.spares_setup or conduct.spares_setup) and _is_setup(operation):
            return CONDUCTS[Behaviour.NORMAL]
        if conduct.times_max is not None and self._misbehaved >= conduct.times_max:
            return CONDUCTS[Behaviour.NORMAL]
        self._misbehaved += 1
        return conduct

    def _log(
        self, message: CoapMessage, operation: ServedOperation | None, conduct: Conduct, answer: DeviceAnswer | None
    ) -> None:
        entry = ServedRequest(
            at_s=self._channel.now(),
            operation=operation,
            message_id=message.message_id,
            coap_token=message.token,
            code=None if answer is None else answer.code,
            was_done=conduct.does_it,
        )
        self._served.append(entry)
        if self._on_served is not None:
            self._on_served(entry)

    def _reply(self, reply_to: ReplyHandle, conduct: Conduct, answer: DeviceAnswer | None) -> None:
        match conduct.reply:
            case Reply.IN_ACK:
                assert answer is not None
                self._later(self._answer_delay_s(conduct), self._respond, reply_to, conduct, answer)
            case Reply.SEPARATE:
                assert answer is not None
                self._channel.endpoint.send_empty_ack(reply_to)
                self._later(
                    max(SEPARATE_DELAY_S, self._answer_delay_s(conduct)), self._respond, reply_to, conduct, answer
                )
            case Reply.BEFORE_ACK:
                assert answer is not None
                self._reply_before_ack(reply_to, answer)
            case Reply.ACK_ONLY:
                self._channel.endpoint.send_empty_ack(reply_to)
            case Reply.RESET:
                self._channel.send_raw(encode_empty(MessageType.RST, reply_to.message.message_id))
            case Reply.RANDOM_BYTES:
                size = 1 + self._random.randrange(RANDOM_BYTES_MAX)
                self._channel.send_raw(self._random.getrandbits(8 * size).to_bytes(size, "big"))
            case Reply.NOTHING | Reply.REBOOT:
                pass

    def _answer_delay_s(self, conduct: Conduct) -> float:
        return self._settings.slow_answer_s if conduct.is_slow else self._settings.answer_delay_s

    def _respond(self, reply_to: ReplyHandle, conduct: Conduct, answer: DeviceAnswer) -> None:
        if conduct.moves_before_answer:
            self._channel.rebind()
        self._counters.answers += 1
        self._channel.endpoint.respond(
            reply_to, code=answer.code, options=answer.options, payload=answer.payload, now=self._channel.now()
        )
        if conduct.is_doubled:
            message = reply_to.message
            copy = encode_fields(
                MessageType.ACK, answer.code, message.message_id, message.token, answer.options, answer.payload
            )
            self._later(SECOND_COPY_DELAY_S, self._channel.send_raw, copy)

    def _reply_before_ack(self, reply_to: ReplyHandle, answer: DeviceAnswer) -> None:
        self._counters.answers += 1
        self._channel.endpoint.send_message(
            self._channel.server,
            code=answer.code,
            token=reply_to.message.token,
            options=answer.options,
            payload=answer.payload,
            confirmable=True,
            now=self._channel.now(),
        )
        self._later(LATE_ACK_DELAY_S, self._channel.endpoint.send_empty_ack, reply_to)

    def _later(self, delay_s: float, act: Callable[..., object], *arguments: Any) -> None:  # Any: what `act` takes
        if delay_s <= 0:
            act(*arguments)
            return
        self._pending_number += 1
        number = self._pending_number

        def come_due() -> None:
            del self._pending[number]
            act(*arguments)
            self._channel.drive()
            if not self._pending:
                self._on_idle()

        self._pending[number] = self._scheduler.call_later(delay_s, come_due)


def _is_setup(operation: ServedOperation | None) -> bool:
    """Tell whether a server asks this after every registration (southbound reference 1.6)."""
    match operation:
        case Observe() | Discover():
            return True
        case Read(path=path):
            return path.object_id == DEVICE and path.resource_id is None
    return False


def _untrue_answer(conduct: Conduct) -> DeviceAnswer | None:
    if conduct.reply is not Reply.IN_ACK:
        return None
    match conduct.content:
        case AnswerContent.METHOD_NOT_ALLOWED:
            return DeviceAnswer(code=Code.METHOD_NOT_ALLOWED)
        case AnswerContent.INTERNAL_SERVER_ERROR:
            return DeviceAnswer(code=Code.INTERNAL_SERVER_ERROR)
        case _:
            content_format = ((int(Option.CONTENT_FORMAT), encode_uint(ContentFormat.LWM2M_TLV)),)
            return DeviceAnswer(code=Code.CONTENT, options=content_format, payload=_NOT_TLV)
