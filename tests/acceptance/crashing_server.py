"""The real server, armed to kill itself with SIGKILL at one named point.

    COMMANDPOST_TEST_CRASH=POINT:WHAT:N

The process dies at the N-th time it comes to the point:

- `before_commit:FACT`, `after_commit:FACT`: around the COMMIT of a transaction in which such a fact changed something.
- `before_send:KIND`, `after_send:KIND`: around handing a datagram of ours to the kernel. KIND is `request` or `reply`.
- `on_receive:KIND`: a datagram of a device was read from the socket, and nobody has looked at it yet.
- `after_adopt:any`: an attempt of the run before was adopted, and the process is not ready yet.

COMMANDPOST_TEST_CLOCK_AHEAD_S sets the wall clock that far ahead, as if the server had been down for that long.
COMMANDPOST_TEST_WRITE_STALL_S makes it less patient with MQTT and EDP devices that take nothing of what it sends.

Nothing in the product knows of this: the hooks are put around its classes here, before its own `main` runs.
"""

import os
import signal
from collections.abc import Callable
from enum import Enum
from typing import Any

from commandpost.app import system
from commandpost.cli.main import main
from commandpost.domain.facts import Fact
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Transmission
from commandpost.domain.session import Remote
from commandpost.southbound import stream_peer
from commandpost.southbound.coap_udp import CoapUdpLink
from commandpost.southbound.lwm2m_downlink import Lwm2mDownlink
from commandpost.stores.batch_store import FactHandler, FactHandlers, find_handler
from commandpost.stores.sqlite import store as sqlite_store

CRASH = "COMMANDPOST_TEST_CRASH"
CLOCK_AHEAD = "COMMANDPOST_TEST_CLOCK_AHEAD_S"
WRITE_STALL = "COMMANDPOST_TEST_WRITE_STALL_S"


class CrashPoint:
    """Counts, and kills."""

    def __init__(self, text: str) -> None:
        self.point, self.what, count = text.split(":")
        self._left = int(count)

    def reach(self, point: str, what: str) -> None:
        """Die, if this is the time."""
        if (point, what) != (self.point, self.what):
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def hook_store(crash: CrashPoint) -> None:
    """Put the crash point around COMMIT."""
    commit = sqlite_store.SqliteStore._commit
    begin = sqlite_store.SqliteStore._begin
    changes: list[str] = []

    def find_noting_handler(handlers: FactHandlers, fact: Fact[Any]) -> FactHandler:  # Any: as in the store
        handler = find_handler(handlers, fact)

        def handle(fact: Fact[Any]) -> object:  # Any: as in the store
            result = handler(fact)
            if result != () and not isinstance(result, Enum):  # a guard that said no, or a sweep with nothing to do
                changes.append(type(fact).__name__)
            return result

        return handle

    def begin_anew(store: sqlite_store.SqliteStore) -> None:
        changes.clear()
        begin(store)

    def commit_or_die(store: sqlite_store.SqliteStore) -> None:
        for change in changes:
            crash.reach("before_commit", change)
        commit(store)
        for change in changes:
            crash.reach("after_commit", change)

    _replace(sqlite_store, "find_handler", find_noting_handler)
    _replace(sqlite_store.SqliteStore, "_begin", begin_anew)
    _replace(sqlite_store.SqliteStore, "_commit", commit_or_die)


def hook_link(crash: CrashPoint) -> None:
    """Put the crash point around the UDP socket."""
    send = CoapUdpLink.send
    listen = CoapUdpLink.listen

    def send_or_die(link: CoapUdpLink, remote: Remote, datagram: bytes) -> None:
        crash.reach("before_send", _kind(datagram))
        send(link, remote, datagram)
        crash.reach("after_send", _kind(datagram))

    def listen_or_die(link: CoapUdpLink, receiver: Callable[[Remote, bytes], object]) -> None:
        def receive(remote: Remote, datagram: bytes) -> object:
            crash.reach("on_receive", _kind(datagram))
            return receiver(remote, datagram)

        listen(link, receive)

    _replace(CoapUdpLink, "send", send_or_die)
    _replace(CoapUdpLink, "listen", listen_or_die)


def hook_adoption(crash: CrashPoint) -> None:
    """Put the crash point behind the adoption of an attempt."""
    adopt = Lwm2mDownlink.adopt

    def adopt_or_die(downlink: Lwm2mDownlink, operation: Any, transmission: Transmission) -> None:  # Any: handed on
        adopt(downlink, operation, transmission)
        crash.reach("after_adopt", "any")

    _replace(Lwm2mDownlink, "adopt", adopt_or_die)


def set_clock_ahead(seconds: float) -> None:
    """Let this machine's wall clock be ahead."""
    wall_ms = system.SystemClock.wall_ms

    def wall_ms_ahead(clock: system.SystemClock) -> Instant:
        return Instant(wall_ms(clock) + int(seconds * 1000))

    _replace(system.SystemClock, "wall_ms", wall_ms_ahead)


def _kind(datagram: bytes) -> str:
    """Read the code in the second byte of a CoAP header: requests are of class 0."""
    code = datagram[1] if len(datagram) > 1 else 0
    if code == 0:
        return "empty"
    return "request" if code < 0x20 else "reply"


def _replace(owner: object, name: str, replacement: object) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} to replace"
    setattr(owner, name, replacement)


def arm() -> None:
    """Do what the environment says, and take it out: the product refuses settings it does not know."""
    if (text := os.environ.pop(CRASH, "")) != "":
        crash = CrashPoint(text)
        hook_store(crash)
        hook_link(crash)
        hook_adoption(crash)
    if (ahead := os.environ.pop(CLOCK_AHEAD, "")) != "":
        set_clock_ahead(float(ahead))
    if (stall := os.environ.pop(WRITE_STALL, "")) != "":
        _replace(stream_peer, "WRITE_STALL_S", float(stall))


def run() -> None:
    """Be the server."""
    arm()
    main()


if __name__ == "__main__":
    run()
