"""Devices over DTLS as fast as plain Python makes them: a socket and a session each, on one epoll.

Also `python -m benchmarks.dtls_load HOST PORT COUNT`: register so many devices, then answer until stdin closes.
"""

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.udp_load import answer_to, imei_of, register_frame
from commandpost.protocols.dtls.client import ClientClosed, ClientOpened, ClientParameters, DtlsClient, PayloadReceived

PSK = "Benchmark1234567"
WINDOW = 64  # devices that speak at one time
DEADLINE_S = 120.0
REPEAT_S = 2.0


class SecureDevice:
    """One socket and one session."""

    def __init__(self, server: tuple[str, int], imei: str) -> None:
        self.imei = imei
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(server)
        self.socket.setblocking(False)
        parameters = ClientParameters(identity=imei.encode(), key=PSK.encode(), connection_id=b"")
        self.client = DtlsClient(parameters, random_bytes=os.urandom)
        self.payload = b""
        self.sent_at = 0.0

    def say(self, payload: bytes) -> None:
        """Send a payload."""
        self.payload, self.sent_at = payload, time.monotonic()
        self.client.send(payload, now=self.sent_at)
        self.flush()

    def flush(self) -> None:
        """Send what the session wants to send."""
        for datagram in self.client.datagrams_to_send():
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.socket.send(datagram)

    def hear(self) -> list[object]:
        """Take one datagram; gives the events it caused."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.client.receive_datagram(self.socket.recv(4_096), now=time.monotonic())
        self.flush()
        events: list[object] = []
        while (event := self.client.next_event()) is not None:
            events.append(event)
        return events

    def answer(self, request: bytes) -> None:
        """Answer a request of the server; anything else is passed over."""
        if len(request) >= 4 and 0 < request[1] < 32 and request[0] >> 4 & 3 == 0:
            self.client.send(answer_to(request), now=time.monotonic())
            self.flush()

    def close(self) -> None:
        """Say goodbye."""
        self.client.close(now=time.monotonic())
        self.flush()
        self.socket.close()


class SecureDevices:
    """So many of them, on one epoll."""

    def __init__(self, server: tuple[str, int], imeis: Sequence[str]) -> None:
        self.devices = [SecureDevice(server, imei) for imei in imeis]
        self._by_number = {each.socket.fileno(): each for each in self.devices}
        self._poll = select.epoll()
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)

    def shake_hands(self, *, window: int = WINDOW, leaves: bool = False) -> float:
        """All of them, at most `window` at one time; gives the seconds.

        Args:
            leaves: each says goodbye at once, for a server that can only talk to one.
        """
        coming = iter(self.devices)
        started = time.perf_counter()

        def begin(device: SecureDevice) -> None:
            device.client.start(now=time.monotonic())
            device.flush()

        def on_event(device: SecureDevice, event: object) -> bool:
            assert not isinstance(event, ClientClosed), event
            if isinstance(event, ClientOpened) and leaves:
                device.close()
            return isinstance(event, ClientOpened)

        self._each(coming, begin, on_event, window)
        return time.perf_counter() - started

    def register(self) -> float:
        """All of them; gives the seconds."""
        coming = iter(self.devices)
        started = time.perf_counter()

        def begin(device: SecureDevice) -> None:
            device.say(register_frame(device.imei, 0x100))

        def on_event(device: SecureDevice, event: object) -> bool:
            if not isinstance(event, PayloadReceived):
                return False
            device.answer(event.payload)
            return event.payload[2:4] == device.payload[2:4] and event.payload[0] >> 4 & 3 == 2

        self._each(coming, begin, on_event, WINDOW)
        return time.perf_counter() - started

    def _each(
        self,
        coming: Iterator[SecureDevice],
        begin: Callable[[SecureDevice], object],
        on_event: Callable[[SecureDevice, object], bool],
        window: int,
    ) -> None:
        waiting: dict[int, SecureDevice] = {}
        deadline = time.monotonic() + DEADLINE_S

        def start_next() -> None:
            device = next(coming, None)
            if device is not None:
                waiting[device.socket.fileno()] = device
                begin(device)

        for _ in range(window):
            start_next()
        while waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} devices were not answered")
            for number, _ in self._poll.poll(0.2):
                device = self._by_number[number]
                for event in device.hear():
                    if on_event(device, event) and waiting.pop(number, None) is not None:
                        start_next()
            now = time.monotonic()
            for device in waiting.values():
                if device.client.is_open and device.payload and now - device.sent_at > REPEAT_S:
                    device.say(device.payload)
                elif not device.client.is_open:
                    device.client.handle_deadline(now=now)
                    device.flush()

    def answer_for(self, is_over: Callable[[], bool]) -> None:
        """Answer the server's requests until it is over."""
        while not is_over():
            for number, _ in self._poll.poll(0.05):
                device = self._by_number[number]
                for event in device.hear():
                    if isinstance(event, PayloadReceived):
                        device.answer(event.payload)

    def close(self) -> None:
        """Close every socket, without a word."""
        for each in self.devices:
            each.socket.close()
        self._poll.close()


def main() -> None:
    """See the module."""
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    devices = SecureDevices((host, port), [imei_of(number) for number in range(count)])
    devices.shake_hands()
    devices.register()
    print("ready", flush=True)
    devices.answer_for(lambda: bool(select.select([sys.stdin], [], [], 0)[0]))


if __name__ == "__main__":
    main()
