"""Devices on TCP streams, thousands on one loop: MQTT 3.1.1 as far as a load needs it, and plain echoes beside it.

The packets are written here and not by the engine of the product: it must not be measured with itself, and a load has
to cost less than what it loads. Source: OASIS MQTT 3.1.1.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

WAVE = 256  # logins under way at one time
WINDOW = 16  # messages a publisher has under way, and bytes of an echo
WAIT_S = 120.0
PAYLOAD = b"22.5 degrees, and all is well in the north wing"
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 0x20, 0x30, 0x40, 0x90


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttLogin:
    """What a device logs in with."""

    client_id: str
    username: str
    password: str

    def packet(self) -> bytes:
        """CONNECT, clean, keepalive twenty minutes."""
        body = text("MQTT") + b"\x04\xc2\x04\xb0" + text(self.client_id) + text(self.username) + text(self.password)
        return packet(0x10, body)


def text(value: str) -> bytes:
    """A string of the wire."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    """A packet of less than 16 KiB."""
    length = len(body)
    return bytes((first, length)) + body if length < 0x80 else bytes((first, length & 0x7F | 0x80, length >> 7)) + body


class MqttLink(asyncio.Protocol):
    """One connection: cuts the stream into packets."""

    def __init__(self) -> None:
        self.on_packet: Callable[[int, bytes], object] = lambda first, body: None
        self.transport: asyncio.Transport | None = None
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports are asyncio's by shape only.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._held + data if self._held else data
        at, end = 0, len(data)
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if length & 0x80:
                if end - at < 3:
                    break
                length, start = length & 0x7F | data[at + 2] << 7, at + 3
            if end - start < length:
                break
            self.on_packet(data[at], data[start : start + length])
            at = start + length
        self._held = data[at:]

    def send(self, data: bytes) -> None:
        """Write a packet."""
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        """End it without a word."""
        if self.transport is not None:
            self.transport.abort()


async def connect_all(address: tuple[str, int], logins: Sequence[MqttLogin]) -> list[MqttLink]:
    """Log all of them in, a wave at a time."""
    links: list[MqttLink] = []
    for start in range(0, len(logins), WAVE):
        links += await asyncio.gather(*(_connect(address, login) for login in logins[start : start + WAVE]))
    return links


async def _connect(address: tuple[str, int], login: MqttLogin) -> MqttLink:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(MqttLink, *address)
    await _ask(link, login.packet(), _CONNACK)
    return link


async def _ask(link: MqttLink, request: bytes, wanted: int) -> None:
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def receive(first: int, body: bytes) -> None:
        if first == wanted and not answered.done():
            answered.set_result(body)

    link.on_packet = receive
    link.send(request)
    body = await asyncio.wait_for(answered, WAIT_S)
    if wanted == _CONNACK and body[1] != 0:
        raise RuntimeError(f"CONNACK {body[1]}")


class Exchange:
    """Publishers and subscribers in pairs: QoS 1 in, QoS 1 out, every message acknowledged twice."""

    def __init__(self, links: Sequence[MqttLink]) -> None:
        self._pairs = [(links[number], links[number + 1]) for number in range(0, len(links) - 1, 2)]

    async def subscribe(self) -> None:
        """Let the second of each pair listen to a topic of its own."""
        for number, (_, ears) in enumerate(self._pairs):
            await _ask(ears, packet(0x82, b"\x00\x01" + text(f"bench/{number}") + b"\x01"), _SUBACK)

    async def run(self, messages_each: int) -> float:
        """Send so many through each pair; gives messages a second, counted where they arrive."""
        done = [self._start(number, mouth, ears, messages_each) for number, (mouth, ears) in enumerate(self._pairs)]
        started = time.perf_counter()
        for begin, _ in done:
            begin()
        await asyncio.wait_for(asyncio.gather(*(ended for _, ended in done)), WAIT_S)
        return messages_each * len(self._pairs) / (time.perf_counter() - started)

    @staticmethod
    def _start(
        number: int, mouth: MqttLink, ears: MqttLink, count: int
    ) -> tuple[Callable[[], None], "asyncio.Future[None]"]:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        topic = text(f"bench/{number}")
        sent = arrived = 0

        def send_next() -> None:
            nonlocal sent
            if sent < count:
                sent += 1
                mouth.send(packet(0x32, topic + (sent & 0xFFFF or 1).to_bytes(2, "big") + PAYLOAD))

        def acknowledged(first: int, body: bytes) -> None:
            if first == _PUBACK:
                send_next()

        def arrive(first: int, body: bytes) -> None:
            nonlocal arrived
            if first & 0xF0 == _PUBLISH:
                arrived += 1
                ears.send(b"\x40\x02" + body[len(topic) : len(topic) + 2])
                if arrived == count:
                    ended.set_result(None)

        mouth.on_packet, ears.on_packet = acknowledged, arrive

        def begin() -> None:
            for _ in range(WINDOW):
                send_next()

        return begin, ended


class Arrivals:
    """Devices that count the payloads they get, and acknowledge them where they have to."""

    def __init__(self, links: Sequence[MqttLink]) -> None:
        self.count = 0
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None
        for link in links:
            link.on_packet = self._receiver(link)

    def _receiver(self, link: MqttLink) -> Callable[[int, bytes], None]:
        def receive(first: int, body: bytes) -> None:
            if first & 0xF0 != _PUBLISH:
                return
            if first & 0x06:
                id_at = 2 + int.from_bytes(body[:2], "big")
                link.send(b"\x40\x02" + body[id_at : id_at + 2])
            self.count += 1
            if self.count == self._wanted and self._reached is not None:
                self._reached.set_result(None)

        return receive

    async def wait_for(self, more: int) -> None:
        """Wait until so many more have come than when this was last waited for."""
        self._wanted += more
        if self.count < self._wanted:
            self._reached = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(self._reached, WAIT_S)


async def echo(address: tuple[str, int], *, streams: int, messages_each: int) -> float:
    """Send messages of the same size through a TCP echo; gives round trips a second."""
    loop = asyncio.get_running_loop()
    message = packet(0x32, text("bench/0") + b"\x00\x01" + PAYLOAD)
    links: list[MqttLink] = []
    ends: list[asyncio.Future[None]] = []
    for _ in range(streams):
        _, link = await loop.create_connection(MqttLink, *address)
        ended: asyncio.Future[None] = loop.create_future()
        link.on_packet = _echoing(link, message, messages_each, ended)
        links.append(link)
        ends.append(ended)
    started = time.perf_counter()
    for link in links:
        link.send(message * WINDOW)
    await asyncio.wait_for(asyncio.gather(*ends), WAIT_S)
    seconds = time.perf_counter() - started
    for link in links:
        link.close()
    return streams * messages_each / seconds


def _echoing(link: MqttLink, message: bytes, count: int, ended: "asyncio.Future[None]") -> Callable[[int, bytes], None]:
    left = count

    def receive(first: int, body: bytes) -> None:
        nonlocal left
        left -= 1
        if left >= WINDOW:
            link.send(message)
        if left == 0:
            ended.set_result(None)

    return receive
