"""One endpoint and a scripted peer: what goes in, what comes out, and a back-off chosen by the test."""

from random import Random
from typing import TypeVar

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.endpoint import (
    CoapEndpoint,
    EndpointLimits,
    Peer,
    Request,
    TransmissionParameters,
)
from commandpost.protocols.coap.events import Event
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option

DEVICE: Peer = ("coap", "10.0.0.1", 5683)
TOKEN = b"\x00\x01\x00\x02"
CON, NON, ACK, RST = MessageType

AnyEvent = TypeVar("AnyEvent")


class ChosenBackOff(Random):
    """Randomness of which only the first back-off is chosen: the shortest (0.0) to the longest (1.0)."""

    def __init__(self, share: float = 0.0) -> None:
        super().__init__(1)
        self._share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self._share


class Conversation:
    """An endpoint under test, always on the same clock."""

    def __init__(
        self,
        *,
        parameters: TransmissionParameters | None = None,
        limits: EndpointLimits | None = None,
        back_off_share: float = 0.0,
        known: bool = True,
        now: float = 100.0,
    ) -> None:
        self.now = now
        self.endpoint = CoapEndpoint(
            parameters=parameters or TransmissionParameters(),
            limits=limits or EndpointLimits(),
            random=ChosenBackOff(back_off_share),
        )
        if known:
            self.endpoint.know_peer(DEVICE)

    def ask(
        self,
        *,
        exchange_id: int = 1,
        code: int = Code.GET,
        path: str = "3/0",
        options: tuple[tuple[int, bytes], ...] = (),
        payload: bytes = b"",
        token: bytes = TOKEN,
        timeout_s: float = 25.0,
        retransmit: bool = True,
        block_bytes: int | None = None,
    ) -> None:
        """Send a request to the device."""
        self.endpoint.send_request(
            DEVICE,
            Request(code=code, options=(*path_options(path), *options), payload=payload),
            exchange_id=exchange_id,
            token=token,
            deadline=self.now + timeout_s,
            now=self.now,
            retransmit=retransmit,
            block_bytes=block_bytes,
        )

    def hear(self, message: CoapMessage, *, peer: Peer = DEVICE) -> None:
        """Let a message arrive."""
        self.endpoint.receive_datagram(encode(message), peer, now=self.now)

    def hear_bytes(self, data: bytes, *, peer: Peer = DEVICE) -> None:
        """Let any bytes arrive."""
        self.endpoint.receive_datagram(data, peer, now=self.now)

    def sent(self) -> list[CoapMessage]:
        """Give what the endpoint wants to send, and forget it."""
        return [decode(data) for _, data in self.endpoint.datagrams_to_send()]

    def sent_one(self) -> CoapMessage:
        """Give the only message the endpoint wants to send."""
        (message,) = self.sent()
        return message

    def events(self) -> list[Event]:
        """Give every event so far, and forget them."""
        events: list[Event] = []
        while (event := self.endpoint.next_event()) is not None:
            events.append(event)
        return events

    def event(self, kind: type[AnyEvent]) -> AnyEvent:
        """Give the only event, which is of this kind."""
        (event,) = self.events()
        assert isinstance(event, kind), event
        return event

    def wait_until(self, now: float) -> list[tuple[float, CoapMessage]]:
        """Let time pass, calling the endpoint exactly when it asks; give what it sent and when."""
        sent: list[tuple[float, CoapMessage]] = []
        while (deadline := self.endpoint.next_deadline()) is not None and deadline <= now:
            self.now = max(self.now, deadline)
            self.endpoint.handle_deadline(now=self.now)
            sent.extend((self.now, message) for message in self.sent())
        self.now = now
        return sent


def path_options(path: str) -> tuple[tuple[int, bytes], ...]:
    """Give the Uri-Path options of a path."""
    return tuple((int(Option.URI_PATH), segment.encode()) for segment in path.split("/"))


def request(
    *,
    type: MessageType = CON,
    code: int = Code.POST,
    message_id: int = 0x1234,
    token: bytes = b"\x34\x12\x8f\x1a",
    path: str = "rd",
    options: tuple[tuple[int, bytes], ...] = (),
    payload: bytes = b"",
) -> CoapMessage:
    """Make a request of the peer."""
    return CoapMessage(
        type=type,
        code=code,
        message_id=message_id,
        token=token,
        options=(*path_options(path), *options),
        payload=payload,
    )


def response(
    *,
    type: MessageType = ACK,
    code: int = Code.CONTENT,
    message_id: int,
    token: bytes = TOKEN,
    options: tuple[tuple[int, bytes], ...] = (),
    payload: bytes = b"",
) -> CoapMessage:
    """Make a response of the peer."""
    return CoapMessage(type=type, code=code, message_id=message_id, token=token, options=options, payload=payload)


def empty(type: MessageType, message_id: int) -> CoapMessage:
    """Make an empty message of the peer."""
    return CoapMessage(type=type, code=0, message_id=message_id)
