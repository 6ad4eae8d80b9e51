"""Where a peer is: how a socket address, or a DTLS association, becomes a `Remote`, and how a `Remote` is shown.

A `Remote` made here is 7 bytes for IPv4 and 19 for IPv6, 23 with a scope, so that a million of them fit into memory
and into an index. It names the listener too: a downlink has to leave from the address its device registered to, or
the NAT in front of the device drops it (southbound reference 2.2). Over DTLS it names an association, not an address:
its peer may move (design 5). Nobody outside this package looks inside.

Wire: listener 1 byte, address 4 or 16 bytes, port 2 bytes big-endian, and for a scoped IPv6 address its scope in
4 bytes big-endian. Of an association: 128 plus its listener in 1 byte, and a name of 8 random bytes.
"""

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final, TypeAlias

from commandpost.domain.session import Remote

LISTENERS_MAX: Final = 128  # the upper half of the byte is left for transports that are not plain UDP

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""What `recvfrom` gives and `sendto` takes: IPv4, or IPv6 with flow and scope."""

ASSOCIATION_NAME_BYTES: Final = 8  # random, so that no run of the server gives a name a second time

_IPV4_BYTES: Final = 7
_IPV6_BYTES: Final = 19
_IPV6_SCOPED_BYTES: Final = 23


def encode_remote(address: SocketAddress, *, listener: int = 0) -> Remote:
    """Give the `Remote` of a socket address.

    Args:
        address: as the socket gave it; a zone name after `%` is left out, the scope number stands for it.
        listener: 0 to LISTENERS_MAX - 1.
    Raises:
        ValueError: not a numeric address, or a listener that does not exist.
    """
    if not 0 <= listener < LISTENERS_MAX:
        raise ValueError(f"listener {listener} is out of range: 0 to {LISTENERS_MAX - 1} is allowed")
    try:
        if len(address) == 2:
            packed, scope = inet_pton(AF_INET, address[0]), 0
        else:
            packed, scope = inet_pton(AF_INET6, address[0].partition("%")[0]), address[3]
    except OSError as error:
        raise ValueError(f"{address[0]!r} is not a numeric address") from error
    tail = address[1].to_bytes(2, "big") + (scope.to_bytes(4, "big") if scope else b"")
    return Remote(bytes((listener,)) + packed + tail)


def decode_remote(remote: Remote) -> SocketAddress:
    """Give the socket address of a `Remote`; the opposite of `encode_remote`.

    Raises:
        ValueError: it is not one of a UDP listener.
    """
    size = len(remote)
    if size == _IPV4_BYTES:
        return inet_ntop(AF_INET, remote[1:5]), int.from_bytes(remote[5:7], "big")
    if size in (_IPV6_BYTES, _IPV6_SCOPED_BYTES):
        scope = int.from_bytes(remote[19:23], "big")
        return inet_ntop(AF_INET6, remote[1:17]), int.from_bytes(remote[17:19], "big"), 0, scope
    raise ValueError(f"a remote of {size} bytes is not one of a UDP listener")


def encode_association(name: bytes, *, listener: int) -> Remote:
    """Give the `Remote` of a DTLS association.

    Args:
        name: ASSOCIATION_NAME_BYTES random bytes.
        listener: 0 to LISTENERS_MAX - 1, counted apart from those without DTLS.
    """
    assert len(name) == ASSOCIATION_NAME_BYTES and 0 <= listener < LISTENERS_MAX
    return Remote(bytes((LISTENERS_MAX + listener,)) + name)


def is_association(remote: Remote) -> bool:
    """Tell whether a `Remote` names a DTLS association."""
    return len(remote) == 1 + ASSOCIATION_NAME_BYTES and remote[0] >= LISTENERS_MAX


def listener_of(remote: Remote) -> int:
    """Give the number of the listener through which the peer was heard."""
    return remote[0] if remote else -1


def host_of(remote: Remote) -> bytes:
    """Give what stands for the peer's host, whatever its port: the key of budgets per address.

    An IPv6 host owns at least a /64, so its first eight bytes are the key. What is not a UDP remote is its own key.
    """
    size = len(remote)
    if size == _IPV4_BYTES:
        return remote[1:5]
    if size in (_IPV6_BYTES, _IPV6_SCOPED_BYTES):
        return remote[1:9]
    return bytes(remote)


def format_remote(remote: Remote | None) -> str:
    """Write a `Remote` for a person: `192.0.2.1:5683`, `[2001:db8::1]:5683`; hexadecimal when it is not a UDP one.

    What an association's address is, only its transport knows; here it is `dtls:` and its name.
    """
    if remote is None:
        return "-"
    if is_association(remote):
        return f"dtls:{remote[1:].hex()}"
    try:
        address = decode_remote(remote)
    except ValueError:
        return remote.hex()
    if len(address) == 2:
        return f"{address[0]}:{address[1]}"
    zone = f"%{address[3]}" if address[3] else ""
    return f"[{address[0]}{zone}]:{address[1]}"
