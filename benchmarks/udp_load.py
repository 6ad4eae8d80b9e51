"""Devices as fast as plain Python makes them: one UDP socket each, datagrams prepared beforehand, one epoll."""

import contextlib
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence

from commandpost.protocols.coap.codec import encode
from commandpost.protocols.coap.message import CoapMessage, MessageType
from commandpost.protocols.coap.options import Option, encode_uint

DEADLINE_S = 60.0
WINDOW = 64  # devices that speak at one time
VALUE = b"21.5"
_OBJECTS = b'</>;rt="oma.lwm2m",</3303/0>,</3311/0>'


def register_frame(imei: str, message_id: int) -> bytes:
    """A REGISTER as modules send it."""
    return encode(
        CoapMessage(
            type=MessageType.CON,
            code=2,
            message_id=message_id,
            token=message_id.to_bytes(4, "big"),
            options=(
                (Option.URI_PATH, b"rd"),
                (Option.CONTENT_FORMAT, encode_uint(40)),
                (Option.URI_QUERY, f"ep={imei};460000000000001".encode()),
                (Option.URI_QUERY, b"b=U"),
                (Option.URI_QUERY, b"lt=86400"),
            ),
            payload=_OBJECTS,
        )
    )


def update_frame(imei: str, message_id: int) -> bytes:
    """A plain UPDATE."""
    return encode(
        CoapMessage(
            type=MessageType.CON,
            code=2,
            message_id=message_id,
            token=message_id.to_bytes(4, "big"),
            options=((Option.URI_PATH, b"rd"), (Option.URI_PATH, imei.encode())),
        )
    )


def answer_to(request: bytes) -> bytes:
    """A piggy-backed 2.05 with a text value for any CoAP request, cut together from its bytes."""
    token_bytes = request[0] & 0x0F
    head = bytes((0x60 | token_bytes, 0x45 if request[1] == 1 else 0x44))
    return head + request[2 : 4 + token_bytes] + (b"\xc0\xff" + VALUE if request[1] == 1 else b"")


class Devices:
    """So many sockets towards one server."""

    def __init__(self, server: tuple[str, int], count: int) -> None:
        self._poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        for _ in range(count):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind(("127.0.0.1", 0))
            opened.connect(server)
            opened.setblocking(False)
            self.sockets[opened.fileno()] = opened
            self._poll.register(opened.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close every socket."""
        for each in self.sockets.values():
            each.close()
        self._poll.close()

    def exchange(self, frames: Sequence[Sequence[bytes]], *, answers_requests: bool = True) -> float:
        """Each socket sends its frames one after the other, the next when the last was answered; gives the seconds.

        At most WINDOW sockets are at it at one time.

        Args:
            answers_requests: requests of the server are answered meanwhile; an echo's are taken for answers.
        """
        started = time.perf_counter()
        coming = iter(
            [(number, list(reversed(mine))) for number, mine in zip(self.sockets, frames, strict=True) if mine]
        )
        waiting: dict[int, list[bytes]] = {}
        sent_at: dict[int, float] = {}

        def start_next() -> None:
            number, queue = next(coming, (-1, []))
            if queue:
                waiting[number] = queue
                self.sockets[number].send(queue[-1])
                sent_at[number] = time.perf_counter()

        for _ in range(WINDOW):
            start_next()
        while waiting:
            if time.perf_counter() - started > DEADLINE_S:
                raise TimeoutError(f"{len(waiting)} devices were not answered")
            for number, _ in self._poll.poll(0.5):
                data = self._receive(number, answers_requests=answers_requests)
                queue = waiting.get(number)
                if data is None or not queue or data[2:4] != queue[-1][2:4]:
                    continue
                queue.pop()
                if queue:
                    self.sockets[number].send(queue[-1])
                    sent_at[number] = time.perf_counter()
                else:
                    del waiting[number]
                    start_next()
            self._repeat_lost(waiting, sent_at)
        return time.perf_counter() - started

    def _repeat_lost(self, waiting: dict[int, list[bytes]], sent_at: dict[int, float]) -> None:
        now = time.perf_counter()
        for number, queue in waiting.items():
            if now - sent_at[number] > 2.0:
                self.sockets[number].send(queue[-1])
                sent_at[number] = now

    def _receive(self, number: int, *, answers_requests: bool) -> bytes | None:
        opened = self.sockets[number]
        with contextlib.suppress(BlockingIOError, ConnectionError):
            data = opened.recv(2048)
            if answers_requests and len(data) >= 4 and 0 < data[1] < 32 and data[0] >> 4 & 3 == 0:
                opened.send(answer_to(data))
                return None
            return data
        return None

    def answer_for(self, is_over: Callable[[], bool]) -> None:
        """Answer the server's requests until it is over."""
        while not is_over():
            for number, _ in self._poll.poll(0.05):
                self._receive(number, answers_requests=True)


def main() -> None:
    """`python -m benchmarks.udp_load HOST PORT COUNT [FIRST]`: register devices, then answer until stdin closes."""
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    devices = Devices((host, port), count)
    devices.exchange([[register_frame(imei_of(first + n), 0x100 + n % 0x1000)] for n in range(count)])
    print("ready", flush=True)
    devices.answer_for(lambda: bool(select.select([sys.stdin], [], [], 0)[0]))


def imei_of(number: int) -> str:
    """The IMEI of a benchmark's device."""
    return f"{860_000_000_000_000 + number:015d}"


if __name__ == "__main__":
    main()
