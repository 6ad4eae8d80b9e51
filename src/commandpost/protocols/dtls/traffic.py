"""Both directions of a finished handshake: keys, connection ids, sequence numbers, replay window."""

from dataclasses import dataclass

from commandpost.protocols.dtls.record_protection import Protection, RandomBytes, WriteKeys, open_record, seal
from commandpost.protocols.dtls.records import Record
from commandpost.protocols.dtls.registries import PLAINTEXT_BYTES_MAX, SEQUENCE_MAX
from commandpost.protocols.dtls.replay_window import ReplayWindow

PROTECTED_EPOCH = 1  # there is no renegotiation, so no epoch after it


@dataclass(slots=True, kw_only=True)
class Traffic:
    """The protected records of an association. Its repr shows no key.

    Attributes:
        read_connection_id: what records to us carry; empty for the classic form.
        write_connection_id: what records to the peer carry; empty for the classic form.
        write_sequence: the number of the next record; one above SEQUENCE_MAX when none is left.
    """

    protection: Protection
    read_keys: WriteKeys
    write_keys: WriteKeys
    read_connection_id: bytes
    write_connection_id: bytes
    window: ReplayWindow
    write_sequence: int
    fragment_bytes_max: int

    @property
    def is_exhausted(self) -> bool:
        """Tell whether no sequence number is left."""
        return self.write_sequence > SEQUENCE_MAX

    @property
    def payload_bytes_max(self) -> int:
        """Give what one record takes: with a connection id the real type is inside and counts (RFC 9146 section 5)."""
        return min(self.fragment_bytes_max, PLAINTEXT_BYTES_MAX - bool(self.write_connection_id))

    def seal(self, content_type: int, content: bytes, *, random_bytes: RandomBytes) -> bytes:
        """Protect a record and use up a sequence number.

        Raises:
            OverflowError: none is left; a second record under one number would give the keys away.
        """
        sequence = self.write_sequence
        if sequence > SEQUENCE_MAX:
            raise OverflowError("all sequence numbers of the epoch are used")
        self.write_sequence = sequence + 1
        return seal(
            self.protection,
            self.write_keys,
            content_type,
            content,
            epoch=PROTECTED_EPOCH,
            sequence=sequence,
            connection_id=self.write_connection_id,
            random_bytes=random_bytes,
        )

    def open(self, record: Record) -> tuple[int, bytes] | None:
        """Give type and content; None if it is not authentic, not in the agreed form, or too large.

        The replay window is the caller's to ask and to tell.
        """
        if record.epoch != PROTECTED_EPOCH or record.connection_id != self.read_connection_id:
            return None  # RFC 9146 section 3: without the agreed id it is invalid
        opened = open_record(self.protection, self.read_keys, record)
        if opened is None or len(opened[1]) > self.fragment_bytes_max:
            return None
        return opened
