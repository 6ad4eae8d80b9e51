"""A datagram network in memory that loses, doubles, delays and reorders, all from one seed.

Here: the network, its links, and the conditions between them. A link can get a new address while it is used (NAT
rebinding): what is under way to the old one dies, or reaches whoever holds that address by then. Not here: time and
chance; both are given. The same draws in the same order give the same trace.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from random import Random
from typing import Final

from commandpost.domain.ports import Clock, Scheduler
from commandpost.domain.session import Remote
from commandpost.simulation.datagram_trace import DatagramTrace, Passage

DATAGRAM_BYTES_MAX: Final = 65_507  # what UDP over IPv4 can carry
IN_FLIGHT_MAX: Final = 100_000  # datagrams under way; a fleet of 10,000 that wakes at once stays below
_FIRST_HOST: Final = int(IPv4Address("10.0.0.1"))
_LAST_HOST: Final = int(IPv4Address("10.255.255.254"))
_LISTENER: Final = 0  # an address as the first UDP listener of a server would show it

Receiver = Callable[[Remote, bytes], object]


class AddressTaken(Exception):
    """Another link is bound to the address."""


def memory_remote(host: str, port: int) -> Remote:
    """Give the address of an IPv4 host and port in the layout of the real transport.

    Wire: one byte listener, four bytes address, two bytes port, big-endian.
    """
    return Remote(bytes((_LISTENER,)) + IPv4Address(host).packed + port.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConditions:
    """How one direction behaves. Chances are 0 to 1, each drawn for itself; delays are even between least and most.

    Delays that differ reorder by themselves; `reordering` holds single datagrams back on top of that.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    delay_min_s: float = 0.0
    delay_max_s: float = 0.0
    held_back_s: float = 1.0
    """How much later a reordered datagram comes, at most."""
    datagram_bytes_max: int = DATAGRAM_BYTES_MAX
    """A larger datagram is lost."""

    def __post_init__(self) -> None:
        for name in ("loss", "duplication", "reordering"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} {getattr(self, name)} is out of range: 0 to 1 is allowed")
        if not 0.0 <= self.delay_min_s <= self.delay_max_s or self.held_back_s < 0:
            raise ValueError(f"delays are 0 or more, the least not above the most: {self}")


PERFECT: Final = NetworkConditions()


class MemoryLink:
    """One bound address: a DatagramLink that can move."""

    def __init__(self, network: "MemoryNetwork", address: Remote) -> None:
        """Belong to a network; `MemoryNetwork.bind` makes links."""
        self._network = network
        self._receiver: Receiver | None = None
        self.address = address
        """The present source address; only the network writes it."""
        self.is_closed = False

    def listen(self, receiver: Receiver) -> None:
        """Say who gets each datagram that arrives; once."""
        if self._receiver is not None:
            raise RuntimeError("the link has a receiver already")
        self._receiver = receiver

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send, or lose it silently. Nothing arrives from inside this call."""
        if not self.is_closed:
            self._network.carry(self.address, remote, datagram)

    def rebind(self, address: Remote | None = None) -> Remote:
        """Take a new source address, a fresh one if none is given; the old one is dead.

        Raises:
            AddressTaken: another link has it.
        """
        return self._network.rebind(self, address)

    def close(self) -> None:
        """Free the address; harmless when done before."""
        if not self.is_closed:
            self.is_closed = True
            self._network.release(self)

    @property
    def receiver(self) -> Receiver | None:
        """Who gets what arrives; None until somebody listens."""
        return self._receiver


class MemoryNetwork:
    """Every link of one run, and what lies between them."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        clock: Clock,
        random: Random,
        conditions: NetworkConditions = PERFECT,
        trace: DatagramTrace | None = None,
    ) -> None:
        """Start empty; `conditions` holds wherever nothing else was said."""
        self._scheduler = scheduler
        self._clock = clock
        self._random = random
        self._default = conditions
        self._between: dict[tuple[Remote | None, Remote | None], NetworkConditions] = {}
        self._links: dict[Remote, MemoryLink] = {}
        self._cut: dict[Remote, None] = {}
        self._in_flight = 0
        self._next_host = _FIRST_HOST
        self.trace = trace if trace is not None else DatagramTrace()

    def bind(self, address: Remote | None = None) -> MemoryLink:
        """Make a link at an address, or at a fresh one.

        Raises:
            AddressTaken: another link has it.
        """
        link = MemoryLink(self, self.fresh_address() if address is None else address)
        if link.address in self._links:
            raise AddressTaken(f"address {link.address.hex()} is bound already")
        self._links[link.address] = link
        return link

    def fresh_address(self) -> Remote:
        """Give an address nobody has and nobody had: 10.0.0.1, 10.0.0.2, …, each with its own port."""
        while self._next_host <= _LAST_HOST:
            host = self._next_host
            self._next_host += 1
            address = memory_remote(str(IPv4Address(host)), 49_152 + host % 16_384)
            if address not in self._links:
                return address
        raise AddressTaken("every address of 10.0.0.0/8 has been given out")

    def set_conditions(
        self, conditions: NetworkConditions, *, source: Remote | None = None, destination: Remote | None = None
    ) -> None:
        """Say how datagrams fare from, to, or between addresses; with neither, everywhere else.

        The closest statement holds: both ends, then the source, then the destination, then the default.
        """
        if source is None and destination is None:
            self._default = conditions
        else:
            self._between[source, destination] = conditions

    def cut(self, address: Remote) -> None:
        """Part an address from all others; what is under way to it is lost too."""
        self._cut[address] = None

    def heal(self, address: Remote) -> None:
        """Undo `cut`."""
        self._cut.pop(address, None)

    def rebind(self, link: MemoryLink, address: Remote | None = None) -> Remote:
        """Give a link another address; see `MemoryLink.rebind`."""
        if link.is_closed:
            raise RuntimeError("a closed link has no address to change")
        address = self.fresh_address() if address is None else address
        holder = self._links.get(address)
        if holder is not None and holder is not link:
            raise AddressTaken(f"address {address.hex()} is bound already")
        self.release(link)
        link.address = address
        self._links[address] = link
        return address

    def swap(self, one: MemoryLink, other: MemoryLink) -> None:
        """Let two links trade their addresses, as a NAT does that gives ports out again."""
        if one.is_closed or other.is_closed:
            raise RuntimeError("a closed link has no address to trade")
        one.address, other.address = other.address, one.address
        self._links[one.address] = one
        self._links[other.address] = other

    def release(self, link: MemoryLink) -> None:
        """Let a link's address go."""
        if self._links.get(link.address) is link:
            del self._links[link.address]

    def carry(self, source: Remote, destination: Remote, datagram: bytes) -> None:
        """Take a datagram; decide its fate now and bring it later."""
        datagram = bytes(datagram)
        self._record(Passage.SENT, source, destination, datagram)
        conditions = self._conditions(source, destination)
        # Every chance is drawn every time, so that changing one of them leaves the others' draws in place.
        is_lost = self._random.random() < conditions.loss
        copies = 2 if self._random.random() < conditions.duplication else 1
        if is_lost or len(datagram) > conditions.datagram_bytes_max or self._is_cut(source, destination):
            self._record(Passage.LOST, source, destination, datagram)
            return
        for _ in range(copies):
            delay = self._draw_delay(conditions)
            if self._in_flight >= IN_FLIGHT_MAX:
                self._record(Passage.OVERFLOWED, source, destination, datagram)
                continue
            self._in_flight += 1
            if delay > 0:
                self._scheduler.call_later(delay, self._arrive, source, destination, datagram)
            else:
                self._scheduler.call_soon(self._arrive, source, destination, datagram)

    def _draw_delay(self, conditions: NetworkConditions) -> float:
        spread = conditions.delay_max_s - conditions.delay_min_s
        delay = conditions.delay_min_s + spread * self._random.random()
        if self._random.random() < conditions.reordering:
            delay += conditions.held_back_s * self._random.random()
        return delay

    def _arrive(self, source: Remote, destination: Remote, datagram: bytes) -> None:
        self._in_flight -= 1
        if self._is_cut(source, destination):
            self._record(Passage.LOST, source, destination, datagram)
            return
        link = self._links.get(destination)
        receiver = None if link is None else link.receiver
        if receiver is None:
            self._record(Passage.DEAD, source, destination, datagram)
            return
        self._record(Passage.DELIVERED, source, destination, datagram)
        receiver(source, datagram)

    def _conditions(self, source: Remote, destination: Remote) -> NetworkConditions:
        between = self._between
        if not between:
            return self._default
        for ends in ((source, destination), (source, None), (None, destination)):
            found = between.get(ends)
            if found is not None:
                return found
        return self._default

    def _is_cut(self, source: Remote, destination: Remote) -> bool:
        return bool(self._cut) and (source in self._cut or destination in self._cut)

    def _record(self, passage: Passage, source: Remote, destination: Remote, datagram: bytes) -> None:
        self.trace.record(self._clock.monotonic(), passage, source, destination, datagram)
