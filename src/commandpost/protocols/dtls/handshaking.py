"""From ClientKeyExchange to Finished: who the client says it is, and whether it holds a key.

Every identity goes one way: the same number of keys is tried, offered ones first and dummies after, each with the
whole computation, and no result ends the work early. So an unknown identity cannot be told from a wrong key.

A record that no key opens is passed over (RFC 6347 section 4.1.2.7): anybody can send one in the client's name. It
ends the handshake only when it came in one datagram with the identity, because whoever wrote that holds no key, and
nobody else's Finished would fit it; or when such records have come again and again.

Source: RFC 4279, RFC 5246 section 7.4.9, RFC 6347 section 4.2; design 10.7.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.protocols.dtls.admission import Admission
from commandpost.protocols.dtls.alerts import is_fatal
from commandpost.protocols.dtls.association import Association, FinalFlight
from commandpost.protocols.dtls.associations import AssociationTable
from commandpost.protocols.dtls.events import HandshakeEnd, HandshakeId, KeysWanted, Remote
from commandpost.protocols.dtls.half_open import FAILED_PROOFS_MAX, HalfOpenTable, Handshake
from commandpost.protocols.dtls.handshake_messages import (
    Fragment,
    decode_client_key_exchange,
    encode_message,
    split_fragments,
)
from commandpost.protocols.dtls.key_schedule import (
    client_verify_data,
    extended_master_secret,
    key_block,
    master_secret,
    server_verify_data,
)
from commandpost.protocols.dtls.outlet import Outlet
from commandpost.protocols.dtls.record_protection import WriteKeys, cut_key_block, open_record
from commandpost.protocols.dtls.records import Record
from commandpost.protocols.dtls.registries import AlertDescription, ContentType, HandshakeType
from commandpost.protocols.dtls.replay_window import ReplayWindow
from commandpost.protocols.dtls.traffic import Traffic
from commandpost.protocols.errors import DecodeError

DUMMY_KEY_BYTES: Final = 16  # as long as the keys of the platform at their longest
_CHANGE_CIPHER_SPEC: Final = b"\1"  # RFC 5246 section 7.1


@dataclass(frozen=True, slots=True, repr=False)
class _Proof:
    """What follows from the key that fits."""

    label: str
    master: bytes
    client_keys: WriteKeys
    server_keys: WriteKeys
    record: Record
    finished: bytes


class Handshaking:
    """What half-open handshakes do with what arrives."""

    __slots__ = ("_admission", "_associations", "_half_open", "_outlet")

    def __init__(
        self, outlet: Outlet, *, admission: Admission, half_open: HalfOpenTable, associations: AssociationTable
    ) -> None:
        self._outlet = outlet
        self._admission = admission
        self._half_open = half_open
        self._associations = associations

    def receive_plain(self, records: Sequence[Record], remote: Remote, *, now: float) -> Handshake | None:
        """Take the records of epoch 0 in one datagram; give the handshake whose identity came in it."""
        claimant: Handshake | None = None
        hello: list[Fragment] = []
        hello_sequence = 0
        for record in records:
            if record.content_type == ContentType.HANDSHAKE:
                try:
                    fragments = split_fragments(record.body)
                except DecodeError:
                    self._outlet.counters.records_unreadable += 1
                    continue
                for fragment in fragments:
                    if fragment.message_type == HandshakeType.CLIENT_HELLO:
                        hello_sequence = hello_sequence if hello else record.sequence
                        hello.append(fragment)
                    elif (claiming := self._receive_fragment(fragment, remote)) is not None:
                        claimant = claiming
            else:
                self._receive_other(record, remote)
        if hello:
            self._admission.receive(hello, remote, sequence=hello_sequence, now=now)
        handshake = self._half_open.find(remote)
        if handshake is not None:
            self._try_keys(handshake, now=now)
        return claimant

    def receive_protected(self, handshake: Handshake, record: Record, *, is_with_identity: bool, now: float) -> None:
        """Take a record of epoch 1: it can only be the client's Finished.

        Args:
            is_with_identity: the identity of this handshake came in the same datagram.
        """
        handshake.keep_early(record, is_with_identity=is_with_identity)
        self._try_keys(handshake, now=now)

    def end_overdue(self, handshake: Handshake, *, now: float) -> None:
        """Give up a handshake whose time is over; a client that tried a wrong key is told."""
        if handshake.failed_proofs:
            self._refuse(handshake, now=now)
        else:
            self._outlet.counters.handshakes_timed_out += 1
            self._admission.end(handshake, HandshakeEnd.TIMED_OUT)

    def offer_keys(self, number: HandshakeId, keys: Sequence[tuple[str, bytes]], *, now: float) -> None:
        """Take the owner's answer to KeysWanted; ignored if the handshake is over or has its keys."""
        candidates = self._outlet.parameters.candidates
        if len(keys) > candidates or not all(key for _, key in keys):
            raise ValueError(f"at most {candidates} keys are offered, and none is empty")
        handshake = self._half_open.find_by_number(number)
        if handshake is None or handshake.identity is None or handshake.keys:
            return
        padding = tuple((None, self._outlet.random_bytes(DUMMY_KEY_BYTES)) for _ in range(candidates))
        handshake.keys = (*keys, *padding)[:candidates]
        self._try_keys(handshake, now=now)

    def _receive_fragment(self, fragment: Fragment, remote: Remote) -> Handshake | None:
        """Take a part of ClientKeyExchange; give the handshake if the identity is known by it."""
        handshake = self._half_open.find(remote)
        if handshake is None or handshake.identity is not None:
            return None  # what comes now is a repetition; our Finished answers it once it can
        handshake.reassembler.add(fragment)
        message = handshake.reassembler.next_message()
        if message is None:
            return None
        number, message_type, body = message
        try:
            if message_type != HandshakeType.CLIENT_KEY_EXCHANGE:
                raise DecodeError(f"message {message_type} in place of ClientKeyExchange")
            handshake.identity = decode_client_key_exchange(body)
        except DecodeError:
            # It may be anybody's: a forged message is no reason to end what the client has begun.
            handshake.reassembler.next_number = number
            self._outlet.counters.records_unreadable += 1
            return None
        handshake.transcript.update(encode_message(HandshakeType.CLIENT_KEY_EXCHANGE, number, body))
        self._outlet.tell(KeysWanted(handshake.number, remote, handshake.identity))
        return handshake

    def _receive_other(self, record: Record, remote: Remote) -> None:
        """Take ChangeCipherSpec or an alert; application data in the clear is nothing."""
        handshake = self._half_open.find(remote)
        if handshake is None:
            self._outlet.counters.records_unreadable += 1
        elif record.content_type == ContentType.CHANGE_CIPHER_SPEC and record.body == _CHANGE_CIPHER_SPEC:
            handshake.has_change_cipher_spec = True
        elif record.content_type == ContentType.ALERT and is_fatal(record.body):
            # Anybody can have sent it. If it is true, nobody misses our repetitions; if not, the client's remain.
            handshake.repeats_flight_at = None
            self._admission.wait(handshake)

    def _try_keys(self, handshake: Handshake, *, now: float) -> None:
        """Go on once everything is there: identity, ChangeCipherSpec, a record that may be Finished, and our keys."""
        if handshake.identity is None or not handshake.has_change_cipher_spec or not handshake.early_records:
            return
        handshake.repeats_flight_at = None  # the client's flight is complete; what is missing is ours
        if not handshake.keys:
            self._admission.wait(handshake)
            return
        proof = self._prove(handshake)
        if proof is not None:
            self._open(handshake, proof, now=now)
            return
        self._outlet.counters.records_unreadable += len(handshake.early_records)
        handshake.early_records.clear()
        handshake.failed_proofs += 1
        if handshake.has_whole_flight or handshake.failed_proofs >= FAILED_PROOFS_MAX:
            self._refuse(handshake, now=now)
        else:
            self._admission.wait(handshake)  # if the client sent none of those, its own comes, or comes again

    def _refuse(self, handshake: Handshake, *, now: float) -> None:
        self._outlet.counters.handshakes_not_proven += 1
        self._outlet.send_plain_alert(
            handshake.remote, AlertDescription.DECRYPT_ERROR, sequence=handshake.plain_sequence, now=now
        )
        self._admission.end(handshake, HandshakeEnd.NOT_PROVEN)

    def _prove(self, handshake: Handshake) -> _Proof | None:
        """Try every key on every record, all of them to the end."""
        terms = handshake.terms
        session_hash = handshake.transcript.digest()
        randoms = {"client_random": handshake.client_random, "server_random": handshake.server_random}
        proven: _Proof | None = None
        for label, key in handshake.keys:
            master = (
                extended_master_secret(key, session_hash=session_hash)
                if terms.has_extended_master_secret
                else master_secret(key, **randoms)
            )
            block = key_block(master, **randoms, length=terms.protection.key_block_bytes)
            client_keys, server_keys = cut_key_block(block, terms.protection)
            verify_data = client_verify_data(master, handshake_hash=session_hash)
            finished = encode_message(HandshakeType.FINISHED, handshake.reassembler.next_number, verify_data)
            for record in handshake.early_records:
                opened = open_record(terms.protection, client_keys, record)
                content_type, content = opened if opened is not None else (0, b"")
                is_equal = hmac.compare_digest(content, finished)
                if is_equal and content_type == ContentType.HANDSHAKE and label is not None and proven is None:
                    proven = _Proof(label, master, client_keys, server_keys, record, finished)
        return proven

    def _open(self, handshake: Handshake, proof: _Proof, *, now: float) -> None:
        """Make the association and send our Finished on it."""
        assert handshake.identity is not None
        handshake.transcript.update(proof.finished)
        verify_data = server_verify_data(proof.master, handshake_hash=handshake.transcript.digest())
        number = int.from_bytes(handshake.flight[-1][4:6], "big") + 1  # after ServerHelloDone
        self._half_open.delete(handshake)
        if handshake.connection_id:
            del self._associations.connection_ids[handshake.connection_id]
        window = ReplayWindow()
        window.note(proof.record.sequence)
        traffic = Traffic(
            protection=handshake.terms.protection,
            read_keys=proof.client_keys,
            write_keys=proof.server_keys,
            read_connection_id=handshake.connection_id or b"",
            write_connection_id=handshake.terms.peer_connection_id or b"",
            window=window,
            write_sequence=0,
            fragment_bytes_max=handshake.terms.fragment_bytes_max,
        )
        association = Association(
            number=self._associations.next_number(),
            remote=handshake.remote,
            identity=handshake.identity,
            label=proof.label,
            traffic=traffic,
            reserved_upto=self._outlet.parameters.reservation_block or 0,
            final_flight=FinalFlight(
                encode_message(HandshakeType.FINISHED, number, verify_data),
                handshake.plain_sequence,
                handshake.client_random,
            ),
        )
        self._outlet.counters.handshakes_completed += 1
        self._associations.open(association, now=now)
