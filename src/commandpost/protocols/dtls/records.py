"""The record layer's outside: several records in a datagram, plain or with a connection id.

Wire: type, version, epoch (2 bytes), sequence number (6), connection id (only type tls12_cid, its length is what
the receiver itself chose), length (2), body. What the body holds is `record_protection`'s matter.

Source: RFC 6347 section 4.1, RFC 9146 section 4.
"""

from struct import Struct
from typing import Final, NamedTuple

from commandpost.protocols.dtls.registries import DTLS_1_0, DTLS_1_2, PLAINTEXT_BYTES_MAX, ContentType

HEADER_BYTES: Final = 13
BODY_BYTES_MAX: Final = PLAINTEXT_BYTES_MAX + 2_048  # RFC 5246 section 6.2.3: what protection may add
RECORDS_PER_DATAGRAM_MAX: Final = 32  # a flight has three messages; the rest is room for tiny fragments

_START = Struct(">BHHHI")  # type, version, epoch, sequence number in 16 and 32 bits
_CID_TYPE: Final = int(ContentType.TLS12_CID)
_VERSIONS: Final = frozenset((DTLS_1_0, DTLS_1_2))


class Record(NamedTuple):
    """One record as it stood in the datagram."""

    content_type: int
    version: int
    epoch: int
    sequence: int
    connection_id: bytes
    body: bytes


def split_records(datagram: bytes, *, connection_id_bytes: int) -> list[Record]:
    """Cut a datagram into its records, in order.

    Args:
        connection_id_bytes: the length of the ids the receiver gives out; 0 if it gives none.
    Returns:
        What could be read: bytes that are no record end the list, as RFC 6347 section 4.1.2.7 wants no fuss.
    """
    records: list[Record] = []
    offset, total = 0, len(datagram)
    while total - offset >= HEADER_BYTES and len(records) < RECORDS_PER_DATAGRAM_MAX:
        content_type, version, epoch, sequence_high, sequence_low = _START.unpack_from(datagram, offset)
        body_at = offset + HEADER_BYTES
        connection_id = b""
        if content_type == _CID_TYPE:
            if not connection_id_bytes:
                break
            connection_id = datagram[offset + 11 : offset + 11 + connection_id_bytes]
            body_at += connection_id_bytes
        end = body_at + int.from_bytes(datagram[body_at - 2 : body_at], "big")
        if version not in _VERSIONS or body_at > total or end > total or end - body_at > BODY_BYTES_MAX:
            break
        body = datagram[body_at:end]
        records.append(Record(content_type, version, epoch, sequence_high << 32 | sequence_low, connection_id, body))
        offset = end
    return records


def encode_record(
    content_type: int, *, epoch: int, sequence: int, body: bytes, connection_id: bytes = b"", version: int = DTLS_1_2
) -> bytes:
    """Write one record; the body is already what it will be on the wire."""
    start = _START.pack(content_type, version, epoch, sequence >> 32, sequence & 0xFFFF_FFFF)
    return start + connection_id + len(body).to_bytes(2, "big") + body
