"""Attacks from strangers, each by its name: hellos, cookies, floods."""

import gc
import sys

import pytest

from commandpost.protocols.dtls.parameters import DtlsLimits
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.dtls.registries import CipherSuite, ContentType, HandshakeType
from tests.unit.protocols.dtls.conversation import (
    ELSEWHERE,
    REMOTE,
    Listener,
)
from tests.unit.protocols.dtls.hellos import cookie_of, cut_message, hello_datagram
from tests.unit.protocols.dtls.openssl_peer import cut_at_records

ALL_SUITES = tuple(CipherSuite)
SUITES = pytest.mark.parametrize("suite", ALL_SUITES)


@pytest.mark.parametrize("client_version", [0xFEFF, 0xFEFE, 0x0100, 0x0303, 0xFFFF, 0x0000, 0xFDFD])
def test_downgrade_of_the_version(client_version: int) -> None:
    """Only DTLS 1.2 and what counts as later; the alert is protocol_version, and nothing is kept."""
    listener = Listener()

    (answer,) = listener.hear(hello_datagram(client_version=client_version))

    assert answer == bytes.fromhex("15 fefd 0000 000000000000 0002 02 46")
    assert listener.server.half_open_count == 0


@pytest.mark.parametrize(
    "change",
    [
        {"cipher_suites": (0x002C, 0x00FF)},  # PSK_WITH_NULL_SHA
        {"cipher_suites": (0x008C, 0xC0A9, 0x1301)},
        {"cipher_suites": (0x00AE,)},  # CBC without encrypt-then-MAC
        {"compression_methods": b"\1"},
        {"extensions": ((0xFF01, b"\1x"),)},
        {"extensions": ((23, b"x"),)},
        {"extensions": ((54, b"\5abc"),)},
        {"extensions": ((1, b"\5"),)},
    ],
)
def test_downgrade_of_what_is_agreed(change: dict[str, tuple[int, ...]]) -> None:
    """Nothing weaker is agreed on: a fatal alert after the cookie, and nothing is kept."""
    listener = Listener()
    cookie = cookie_of(listener.hear(hello_datagram(**change))[0])  # type: ignore[arg-type] # one field of several types

    (answer,) = listener.hear(hello_datagram(cookie=cookie, **change))  # type: ignore[arg-type] # as above

    assert (answer[0], answer[13], len(answer)) == (ContentType.ALERT, 2, 15)
    assert listener.server.half_open_count == 0


@pytest.mark.parametrize(
    "hellos",
    [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_cookie_flood(hellos: int) -> None:
    """Hellos from made-up remotes, each another, leave nothing: no handshake, no table, no memory."""
    listener = Listener()
    server = listener.server
    hello = hello_datagram()
    blocks: list[int] = []

    for number in range(hellos):
        server.receive_datagram(hello, ("coaps", f"10.0.0.{number}", 40_000), now=number / 10_000)
        ((remote, answer),) = server.datagrams_to_send()
        assert remote == ("coaps", f"10.0.0.{number}", 40_000)
        assert len(answer) <= len(hello)
        if number in (1_000, hellos - 1):
            del remote, answer
            gc.collect()
            blocks.append(sys.getallocatedblocks())

    assert blocks[1] - blocks[0] < 100  # one block a hello would be at least 18,999
    assert (server.half_open_count, server.association_count, server.next_deadline()) == (0, 0, None)
    assert server.next_event() is None


def test_cookie_of_another_remote_or_another_hello() -> None:
    """A cookie is good for whom it was made, and for what he said."""
    listener = Listener()
    cookie = cookie_of(listener.hear(hello_datagram())[0])

    for remote, datagram in [
        (ELSEWHERE, hello_datagram(cookie=cookie)),
        (REMOTE, hello_datagram(cookie=cookie, random=b"\1" * 32)),
        (REMOTE, hello_datagram(cookie=cookie, cipher_suites=(0xC0A8, 0x00A8))),
        (REMOTE, hello_datagram(cookie=cookie[:-1] + bytes((cookie[-1] ^ 1,)))),
        (REMOTE, hello_datagram(cookie=cookie[:-1])),
    ]:
        (answer,) = listener.hear(datagram, remote)
        assert answer[13] == HandshakeType.HELLO_VERIFY_REQUEST

    assert listener.server.half_open_count == 0


def test_cookie_that_is_too_old() -> None:
    """One period is always granted, two never."""
    listener = Listener()
    cookie = cookie_of(listener.hear(hello_datagram())[0])

    listener.now += 59.0
    (answer,) = listener.hear(hello_datagram(cookie=cookie))
    assert answer[13] == HandshakeType.SERVER_HELLO
    listener.now += 61.5
    (answer,) = listener.hear(hello_datagram(cookie=cookie, random=bytes(32)), ELSEWHERE)

    assert answer[13] == HandshakeType.HELLO_VERIFY_REQUEST


def test_cookie_from_before_a_long_silence() -> None:
    """No hello came that would have changed the secret in time; it is too old all the same."""
    listener = Listener()
    cookie = cookie_of(listener.hear(hello_datagram())[0])

    listener.now += 1_000.0
    (answer,) = listener.hear(hello_datagram(cookie=cookie))

    assert answer[13] == HandshakeType.HELLO_VERIFY_REQUEST


@pytest.mark.parametrize("count", [1, 2, 20])
def test_amplification(count: int) -> None:
    """Before the cookie nothing comes back that is larger than what came, whatever came."""
    smallest = hello_datagram(cipher_suites=(0xC0A8,))
    wrong_version = hello_datagram(client_version=0xFEFF)
    record = cut_at_records(smallest)[0]
    datagrams = [
        smallest * count,
        wrong_version * count,
        b"".join(cut_message(record, 20)) * count,
        (smallest + wrong_version) * count,
        encode_record(ContentType.ALERT, epoch=0, sequence=0, body=b"\2\x28") * count,
        encode_record(ContentType.HANDSHAKE, epoch=0, sequence=0, body=b"") * count,
    ]

    for number, datagram in enumerate(datagrams):
        listener = Listener()
        answers = listener.hear(datagram, number)
        assert sum(map(len, answers)) <= len(datagram)
        assert listener.server.half_open_count == 0


def test_a_hello_in_fragments_before_the_cookie_is_nothing_unless_it_is_whole() -> None:
    """Fragments in one datagram are; over several they would have to be kept for a stranger."""
    listener = Listener()
    fragments = cut_message(hello_datagram(), 20)
    assert len(fragments) > 2

    assert [listener.hear(fragment) for fragment in fragments] == [[] for _ in fragments]
    (answer,) = listener.hear(b"".join(fragments[::-1]))

    assert answer[13] == HandshakeType.HELLO_VERIFY_REQUEST


def test_alert_flood() -> None:
    """Alerts to strangers are rationed."""
    listener = Listener(limits=DtlsLimits(alerts_per_s=10.0, alerts_burst=20))

    answers = [answer for _ in range(1_000) for answer in listener.hear(hello_datagram(client_version=0xFEFF))]
    listener.now += 1.0
    later = [answer for _ in range(1_000) for answer in listener.hear(hello_datagram(client_version=0xFEFF))]

    assert (len(answers), len(later)) == (20, 10)
    assert listener.server.counters.alerts_suppressed == 1_970
