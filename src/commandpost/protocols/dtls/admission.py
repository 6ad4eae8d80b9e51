"""From any datagram to a half-open handshake: hellos, cookies, the first flight.

Nothing is kept, and nothing larger than what came is answered, before the cookie is right. Source: RFC 6347 section
4.2.1.
"""

from __future__ import annotations

from typing import Final

from commandpost.protocols.dtls.alerts import HandshakeFault
from commandpost.protocols.dtls.associations import AssociationTable
from commandpost.protocols.dtls.cookies import HelloCookies
from commandpost.protocols.dtls.events import HandshakeEnd, HandshakeFailed, HandshakeId, Remote
from commandpost.protocols.dtls.half_open import FORMER_RANDOMS_MAX, HalfOpenTable, Handshake
from commandpost.protocols.dtls.handshake_messages import Fragment, encode_message
from commandpost.protocols.dtls.hello import (
    CLIENT_HELLO_BYTES_MAX,
    ClientHello,
    ServerHello,
    decode_client_hello,
    encode_hello_verify_request,
    encode_server_hello,
)
from commandpost.protocols.dtls.key_schedule import RANDOM_BYTES
from commandpost.protocols.dtls.negotiation import Terms, encode_connection_id, is_version_supported, negotiate
from commandpost.protocols.dtls.outlet import Outlet
from commandpost.protocols.dtls.reassembly import Reassembler
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.dtls.registries import DTLS_1_0, SEQUENCE_MAX, AlertDescription, ContentType, HandshakeType
from commandpost.protocols.errors import DecodeError

HELLO_NUMBER_MAX: Final = 15  # 0 and 1 are usual; each cookie that came too late adds one
PLAIN_RECORDS_MAX: Final = 1 << 16  # more than a handshake can send; a hello must leave that many numbers


class Admission:
    """The door."""

    __slots__ = ("_associations", "_cookies", "_half_open", "_last_number", "_outlet")

    def __init__(self, outlet: Outlet, *, half_open: HalfOpenTable, associations: AssociationTable) -> None:
        self._outlet = outlet
        self._half_open = half_open
        self._associations = associations
        self._last_number = 0
        self._cookies = HelloCookies(rotation_s=outlet.parameters.cookie_rotation_s, random_bytes=outlet.random_bytes)

    def receive(self, fragments: list[Fragment], remote: Remote, *, sequence: int, now: float) -> None:
        """Take the fragments of a ClientHello that came in one datagram; what lacks a part is dropped.

        Args:
            sequence: that of the first record, which the answer repeats (RFC 6347 section 4.2.1).
        """
        number = fragments[0].message_number
        reassembler = Reassembler(next_number=number, message_bytes_max=CLIENT_HELLO_BYTES_MAX)
        for fragment in fragments:
            reassembler.add(fragment)
        message = reassembler.next_message()
        if message is None or number > HELLO_NUMBER_MAX or sequence > SEQUENCE_MAX - PLAIN_RECORDS_MAX:
            self._outlet.counters.hellos_malformed += 1
            return
        body = message[2]
        try:
            hello = decode_client_hello(body)
        except DecodeError:
            self._outlet.counters.hellos_malformed += 1
            return
        if not is_version_supported(hello.client_version):
            self._outlet.send_plain_alert(remote, AlertDescription.PROTOCOL_VERSION, sequence=sequence, now=now)
        elif not self._cookies.is_valid(remote, hello, now=now):
            self._ask_for_cookie(hello, remote, number=number, sequence=sequence, now=now)
        else:
            self._admit(hello, body, remote, number=number, sequence=sequence, now=now)

    def repeat_flight(self, handshake: Handshake, *, now: float) -> None:
        """Send the flight, the first time or again, and wait twice as long as before for the answer."""
        outlet, parameters = self._outlet, self._outlet.parameters
        if handshake.flight_transmissions >= parameters.flight_transmissions_max:
            handshake.repeats_flight_at = None
        else:
            if handshake.flight_transmissions:
                outlet.counters.flights_repeated += 1
            handshake.flight_transmissions += 1
            datagram = b""
            for message in handshake.flight:
                sequence = handshake.plain_sequence
                handshake.plain_sequence += 1
                datagram += encode_record(ContentType.HANDSHAKE, epoch=0, sequence=sequence, body=message)
            outlet.send(handshake.remote, datagram)
            handshake.repeats_flight_at = now + handshake.flight_timeout_s
            handshake.flight_timeout_s = min(2 * handshake.flight_timeout_s, parameters.flight_timeout_max_s)
        self.wait(handshake)

    def repeat_flight_if_due(self, handshake: Handshake, *, now: float) -> None:
        """Repeat the flight if its time has come, else wait on."""
        if handshake.repeats_flight_at is not None and handshake.repeats_flight_at <= now:
            self.repeat_flight(handshake, now=now)
        else:
            self.wait(handshake)

    def wait(self, handshake: Handshake) -> None:
        """Set the timer to what comes first, the next repetition or the end."""
        wake_at = handshake.deadline
        if handshake.repeats_flight_at is not None:
            wake_at = min(wake_at, handshake.repeats_flight_at)
        self._half_open.deadlines.set(handshake, wake_at)

    def end(self, handshake: Handshake, reason: HandshakeEnd) -> None:
        """Give a handshake up and, if its owner was asked for keys, say so."""
        self._half_open.delete(handshake)
        if handshake.connection_id:
            self._associations.connection_ids.pop(handshake.connection_id, None)
        if handshake.identity is not None:
            self._outlet.tell(HandshakeFailed(handshake.number, handshake.remote, handshake.identity, reason))

    def _ask_for_cookie(self, hello: ClientHello, remote: Remote, *, number: int, sequence: int, now: float) -> None:
        cookie = self._cookies.make(remote, hello, now=now)
        # RFC 6347 section 4.2.1: DTLS 1.0, whatever will be agreed on.
        body = encode_hello_verify_request(cookie, version=DTLS_1_0)
        message = encode_message(HandshakeType.HELLO_VERIFY_REQUEST, number, body)
        record = encode_record(ContentType.HANDSHAKE, epoch=0, sequence=sequence, body=message, version=DTLS_1_0)
        self._outlet.counters.cookies_sent += 1
        self._outlet.send(remote, record)

    def _admit(
        self, hello: ClientHello, body: bytes, remote: Remote, *, number: int, sequence: int, now: float
    ) -> None:
        former = self._half_open.find(remote)
        if former is not None and hello.random == former.client_random:
            if former.identity is None:
                self.repeat_flight(former, now=now)
            return
        if former is not None and hello.random in former.former_randoms:
            return  # a hello from before the present one, late
        if self._associations.has_just_opened(remote, hello.random):
            return  # the hello of an association whose handshake is over, late
        try:
            terms = negotiate(hello, self._outlet.parameters)
        except HandshakeFault as fault:
            self._outlet.send_plain_alert(remote, fault.description, sequence=sequence, now=now)
            return
        handshake = self._begin(hello, terms, remote, number=number, sequence=sequence, now=now)
        if former is not None:
            handshake.former_randoms = (former.client_random, *former.former_randoms)[:FORMER_RANDOMS_MAX]
        while (displaced := self._half_open.find_displaced(remote)) is not None:
            self._outlet.counters.handshakes_displaced += 1
            self.end(displaced, HandshakeEnd.DISPLACED)
        self._half_open.insert(handshake)
        if handshake.connection_id:
            self._associations.connection_ids[handshake.connection_id] = handshake
        self._start(handshake, body, number=number, now=now)

    def _begin(
        self, hello: ClientHello, terms: Terms, remote: Remote, *, number: int, sequence: int, now: float
    ) -> Handshake:
        self._outlet.counters.handshakes_begun += 1
        self._last_number += 1
        return Handshake(
            number=HandshakeId(self._last_number),
            remote=remote,
            client_random=hello.random,
            server_random=self._outlet.random_bytes(RANDOM_BYTES),
            terms=terms,
            connection_id=None if terms.peer_connection_id is None else self._associations.new_connection_id(),
            next_message_number=number + 1,
            plain_sequence=sequence,
            deadline=now + self._outlet.parameters.handshake_timeout_s,
        )

    def _start(self, handshake: Handshake, hello_body: bytes, *, number: int, now: float) -> None:
        """Answer with ServerHello and ServerHelloDone. There is no identity hint to give (RFC 4279 section 2)."""
        extensions = handshake.terms.extensions
        if handshake.connection_id is not None:
            extensions = (*extensions, encode_connection_id(handshake.connection_id))
        server_hello = ServerHello(
            random=handshake.server_random,
            cipher_suite=handshake.terms.protection.suite,
            extensions=extensions,
        )
        handshake.flight = (
            encode_message(HandshakeType.SERVER_HELLO, number, encode_server_hello(server_hello)),
            encode_message(HandshakeType.SERVER_HELLO_DONE, number + 1, b""),
        )
        # RFC 6347 section 4.2.1: the first hello and our request are not part of the transcript.
        handshake.transcript.update(encode_message(HandshakeType.CLIENT_HELLO, number, hello_body))
        for message in handshake.flight:
            handshake.transcript.update(message)
        handshake.flight_timeout_s = self._outlet.parameters.flight_timeout_s
        self.repeat_flight(handshake, now=now)
