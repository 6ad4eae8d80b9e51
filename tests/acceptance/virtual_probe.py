"""A device on the memory network that says exactly what a test tells it to, one datagram at a time.

It is no codec of its own: frames are made and read with the engine's codec, which has vectors of its own.
"""

import asyncio

from commandpost.domain.ids import DeviceId
from commandpost.domain.resource import ObjectLinkEntry
from commandpost.domain.session import Remote
from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.codes import Code
from commandpost.protocols.coap.exchange import Request
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option
from commandpost.protocols.lwm2m.registration import format_register, format_update
from tests.acceptance.virtual_world import SERVER_ADDRESS, VirtualWorld

OBJECTS = (ObjectLinkEntry(object_id=3303, instance_id=0),)
IN_ORDER_S = 0.05  # longer than anything takes on a perfect network


class Probe:
    """One link, one endpoint name. It answers nothing by itself."""

    def __init__(self, world: VirtualWorld, *, number: int) -> None:
        self.imei = f"86{number:013}"
        self.imsi = f"46{number:013}"
        self.device_id = DeviceId(0)
        self.heard: list[CoapMessage] = []
        """Everything that arrived, oldest first."""
        self._link = world.network.bind()
        self._link.listen(self._receive)
        self._message_id = 0x2000

    @classmethod
    async def create(cls, world: VirtualWorld, *, number: int = 900, is_observed: bool = False) -> "Probe":
        """Create the device over HTTP; it has not registered."""
        probe = cls(world, number=number)
        body = {"title": "probe", "protocol": "LWM2M", "auth_info": {probe.imei: probe.imsi}, "obsv": is_observed}
        created = await world.data("POST", "/devices", body=body)
        probe.device_id = DeviceId(int(created["device_id"]))
        world.audit.device_of_imei[probe.imei] = probe.device_id
        return probe

    def _receive(self, _remote: Remote, datagram: bytes) -> None:
        self.heard.append(decode(datagram))

    @property
    def requests(self) -> list[CoapMessage]:
        """What the server asked, retransmissions included."""
        return [message for message in self.heard if 1 <= message.code < 32]

    def replies_to(self, sent: CoapMessage) -> list[CoapMessage]:
        """What came back with the message id of what was sent."""
        types = (MessageType.ACK, MessageType.RST)
        return [each for each in self.heard if each.type in types and each.message_id == sent.message_id]

    def make(self, request: Request, *, message_id: int | None = None) -> CoapMessage:
        """Give a confirmable request that was not sent yet."""
        if message_id is None:
            self._message_id += 1
            message_id = self._message_id
        token = message_id.to_bytes(2, "big") + b"\x01\x02"
        return CoapMessage(
            type=MessageType.CON,
            code=request.code,
            message_id=message_id,
            token=token,
            options=request.options,
            payload=request.payload,
        )

    def register_frame(self, *, lifetime_s: int = 86_400) -> CoapMessage:
        """Give a Register."""
        return self.make(format_register(f"{self.imei};{self.imsi}", links=OBJECTS, lifetime_s=lifetime_s))

    def update_frame(self) -> CoapMessage:
        """Give an Update by location."""
        return self.make(format_update(self.imei))

    def send_frame(self, pack: bytes) -> CoapMessage:
        """Give a Send of SenML-JSON."""
        options = ((int(Option.URI_PATH), b"dp"), (int(Option.CONTENT_FORMAT), b"\x6e"))
        return self.make(Request(code=Code.POST, options=options, payload=pack))

    def notification(self, coap_token: bytes, *, is_confirmable: bool = True, sequence: int = 9) -> CoapMessage:
        """Give a notification under any token."""
        self._message_id += 1
        return CoapMessage(
            type=MessageType.CON if is_confirmable else MessageType.NON,
            code=Code.CONTENT,
            message_id=self._message_id,
            token=coap_token,
            options=((int(Option.OBSERVE), sequence.to_bytes(1, "big")),),
            payload=b"20.5",
        )

    def send(self, message: CoapMessage) -> CoapMessage:
        """Put a message on the wire."""
        self._link.send(SERVER_ADDRESS, encode(message))
        return message

    def send_bytes(self, datagram: bytes) -> None:
        """Put any bytes on the wire."""
        self._link.send(SERVER_ADDRESS, datagram)

    async def ask(self, message: CoapMessage) -> int:
        """Send a request once and give the code of its reply."""
        self.send(message)
        await asyncio.sleep(IN_ORDER_S)
        (reply,) = self.replies_to(message)
        return reply.code

    def answer(self, request: CoapMessage, code: int, *, is_observing: bool = False) -> None:
        """Answer in the acknowledgement."""
        options = ((int(Option.OBSERVE), b"\x01"),) if is_observing else ()
        self.send(
            CoapMessage(
                type=MessageType.ACK, code=code, message_id=request.message_id, token=request.token, options=options
            )
        )

    async def answer_until_quiet(self, *, quiet_s: float = 2.0) -> list[CoapMessage]:
        """Answer everything well until nothing comes any more; gives what was answered, in order."""
        answered: list[CoapMessage] = []
        while True:
            open_requests = [each for each in self.requests if each.token not in {one.token for one in answered}]
            if not open_requests:
                await asyncio.sleep(quiet_s)
                if len({each.token for each in self.requests}) == len(answered):
                    return answered
                continue
            for request in open_requests:
                is_observe = request.find_option(Option.OBSERVE) is not None
                self.answer(
                    request, Code.CONTENT if request.code == Code.GET else Code.CHANGED, is_observing=is_observe
                )
                answered.append(request)
            await asyncio.sleep(IN_ORDER_S)
