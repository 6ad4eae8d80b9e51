"""A device that does exactly what a test tells it to, on a blocking UDP socket.

It is no codec of its own: frames are made and read with the engine's codec, which has vectors of its own.
"""

import contextlib
import socket
import time
from types import TracebackType
from typing import Self

from commandpost.protocols.coap.codec import decode, encode
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint
from commandpost.protocols.errors import DecodeError

CONTENT = 0x45
CHANGED = 0x44
POST, PUT, GET, DELETE = 2, 3, 1, 4


class ScriptedDevice:
    """One socket, one endpoint name."""

    def __init__(
        self,
        server: tuple[str, int],
        imei: str,
        imsi: str = "460000000000001",
        *,
        in_place_of: "ScriptedDevice | None" = None,
    ) -> None:
        """Make a device; `in_place_of` another one that keeps its socket, it sends from that one's address."""
        self._server = server
        self.imei = imei
        self.imsi = imsi
        self._message_id = 0x1000
        self.seen: list[CoapMessage] = []
        """Every request that arrived, repeated datagrams too."""
        self._socket = self._open() if in_place_of is None else in_place_of.share_socket()

    def share_socket(self) -> socket.socket:
        """Give its socket once more, with nothing left to read of what came before."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(65_536)
        return self._socket.dup()

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind(("127.0.0.1", 0))
        return opened

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Close the socket; harmless when done twice."""
        self._socket.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where this device sends from."""
        host, port = self._socket.getsockname()
        return str(host), int(port)

    def move(self) -> None:
        """Come back from another port, as after a NAT rebinding."""
        self._socket.close()
        self._socket = self._open()

    # --- frames -------------------------------------------------------------------------------------------------------

    def send(self, message: CoapMessage) -> None:
        """Put one message on the wire."""
        self._socket.sendto(encode(message), self._server)

    def send_bytes(self, datagram: bytes) -> None:
        """Put any bytes on the wire."""
        self._socket.sendto(datagram, self._server)

    def receive(self, timeout_s: float = 10.0) -> CoapMessage | None:
        """Give the next message, None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError, ConnectionError, DecodeError):
                return decode(self._socket.recv(65_536))
        return None

    def receive_request(self, timeout_s: float = 10.0) -> CoapMessage:
        """Give the next request of the server."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is not None and message.is_request:
                self.seen.append(message)
                return message
        raise AssertionError(f"no request within {timeout_s} s")

    def expect_silence(self, timeout_s: float) -> None:
        """Be sure that no request comes for a while."""
        message = self.receive(timeout_s)
        if message is not None and message.is_request:
            raise AssertionError(f"a request came: {message}")

    def next_message_id(self) -> int:
        """A fresh message id."""
        self._message_id = (self._message_id + 1) & 0xFFFF
        return self._message_id

    def make_request(
        self, code: int, path: tuple[str, ...], queries: tuple[str, ...] = (), payload: bytes = b""
    ) -> CoapMessage:
        """Give a confirmable request that was not sent yet."""
        message_id = self.next_message_id()
        options = tuple((int(Option.URI_PATH), part.encode()) for part in path)
        options += tuple((int(Option.URI_QUERY), query.encode()) for query in queries)
        if payload:
            options += ((int(Option.CONTENT_FORMAT), encode_uint(40)),)
        return CoapMessage(
            type=MessageType.CON,
            code=code,
            message_id=message_id,
            token=message_id.to_bytes(2, "big") + b"\x01\x02",
            options=options,
            payload=payload,
        )

    def ask(self, code: int, path: tuple[str, ...], queries: tuple[str, ...] = (), payload: bytes = b"") -> CoapMessage:
        """Send a confirmable request, repeating it every second, and give its piggy-backed answer."""
        request = self.make_request(code, path, queries, payload)
        message_id = request.message_id
        for _ in range(20):
            self.send(request)
            answer = self.receive(1.0)
            while answer is not None and not (answer.type is MessageType.ACK and answer.message_id == message_id):
                if answer.is_request:
                    self.seen.append(answer)
                answer = self.receive(1.0)
            if answer is not None:
                return answer
        raise AssertionError(f"no answer to {request}")

    # --- LwM2M --------------------------------------------------------------------------------------------------------

    def register(
        self, *, lifetime_s: int = 3600, objects: bytes = b'</>;rt="oma.lwm2m",</3303/0>,</3311/0>'
    ) -> CoapMessage:
        """Register; the answer has to be 2.01."""
        endpoint_name = f"{self.imei};{self.imsi}"
        answer = self.ask(POST, ("rd",), (f"ep={endpoint_name}", "b=U", f"lt={lifetime_s}"), objects)
        assert answer.code == 0x41, f"{answer}"
        return answer

    def update(self, *queries: str) -> CoapMessage:
        """Update by location; the answer has to be 2.04."""
        answer = self.ask(POST, ("rd", self.imei), queries)
        assert answer.code == CHANGED, f"{answer}"
        return answer

    def deregister(self) -> CoapMessage:
        """De-register."""
        return self.ask(DELETE, ("rd", self.imei))

    def answer(
        self, request: CoapMessage, code: int, payload: bytes = b"", options: tuple[tuple[int, bytes], ...] = ()
    ) -> None:
        """Answer a request with its own message id, as modules do."""
        self.send(
            CoapMessage(
                type=MessageType.ACK,
                code=code,
                message_id=request.message_id,
                token=request.token,
                options=options,
                payload=payload,
            )
        )
