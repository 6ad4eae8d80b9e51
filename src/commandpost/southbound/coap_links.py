"""Several links as one: what is sent leaves by the link that heard its peer, with DTLS or without.

Not here: what a link is (coap_udp, coap_dtls).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from commandpost.domain.session import Remote
from commandpost.southbound.remote import listener_of


class NumberedLink(Protocol):
    """A `DatagramLink` whose peers' `Remote`s begin with its number."""

    @property
    def listener(self) -> int:
        """The first byte of every `Remote` of this link."""
        ...

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Begin to receive; once."""
        ...

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send now, or lose the datagram."""
        ...

    def close(self) -> None:
        """Stop receiving; what is sent afterwards is lost."""
        ...


class CoapLinks:
    """See the module; a `DatagramLink` itself."""

    def __init__(self, links: Sequence[NumberedLink]) -> None:
        """Join links whose listener numbers differ."""
        self._links = {link.listener: link for link in links}
        if len(self._links) != len(links):
            raise ValueError(f"listener numbers {[link.listener for link in links]} are not all different")

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Begin to receive on every link."""
        for link in self._links.values():
            link.listen(receiver)

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send by the peer's listener; lost when there is none any more."""
        link = self._links.get(listener_of(remote))
        if link is not None:
            link.send(remote, datagram)

    def close(self) -> None:
        """Close every link."""
        for link in self._links.values():
            link.close()
