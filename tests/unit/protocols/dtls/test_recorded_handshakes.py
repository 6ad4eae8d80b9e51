"""Published vectors, and whole handshakes recorded from OpenSSL and pion, read with our keys and our records."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from commandpost.protocols.dtls.handshake_messages import (
    decode_client_key_exchange,
    encode_message,
    split_fragments,
)
from commandpost.protocols.dtls.hello import (
    ClientHello,
    ServerHello,
    decode_client_hello,
    decode_server_hello,
    encode_client_hello,
    encode_server_hello,
)
from commandpost.protocols.dtls.key_schedule import (
    client_verify_data,
    expand,
    extended_master_secret,
    key_block,
    master_secret,
    premaster_secret,
    server_verify_data,
)
from commandpost.protocols.dtls.negotiation import decode_connection_id
from commandpost.protocols.dtls.record_protection import Protection, cut_key_block, open_record, seal
from commandpost.protocols.dtls.records import Record, encode_record, split_records
from commandpost.protocols.dtls.registries import ExtensionType, HandshakeType

VECTORS = Path(__file__).parents[3] / "vectors" / "dtls"
# Any: rows of data files.
PRF: list[dict[str, Any]] = json.loads((VECTORS / "prf.json").read_text())
HANDSHAKES: list[dict[str, Any]] = json.loads((VECTORS / "openssl_handshakes.json").read_text())
CONNECTION_IDS: list[dict[str, Any]] = json.loads((VECTORS / "pion_connection_ids.json").read_text())
PROTECTIONS = {
    "ccm_8_both": Protection.CCM_8,
    "ccm_8_to_server": Protection.CCM_8,
    "gcm_both": Protection.GCM,
    "ccm_8_extended": Protection.CCM_8,
    "ccm_8_plain": Protection.CCM_8,
    "gcm_extended": Protection.GCM,
    "cbc_encrypt_then_mac": Protection.CBC_ENCRYPT_THEN_MAC,
    "cbc_mac_then_encrypt": Protection.CBC_MAC_THEN_ENCRYPT,
}


@pytest.mark.parametrize("row", PRF, ids=lambda row: row["name"])
def test_the_prf_gives_the_published_bytes(row: dict[str, Any]) -> None:
    """Also when fewer are asked for."""
    expected = bytes.fromhex(row["output"])

    for length in (1, 12, 48, len(expected)):
        output = expand(bytes.fromhex(row["secret"]), row["label"].encode(), bytes.fromhex(row["seed"]), length)
        assert output == expected[:length]


def test_the_premaster_secret_has_the_form_of_rfc_4279() -> None:
    """Length, zeros, length, key."""
    assert premaster_secret(b"\xaa\xbb\xcc") == bytes.fromhex("0003 000000 0003 aabbcc")


class Recording:
    """What a listener on the wire would have, and the key."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.key = bytes.fromhex(row["key"])
        self.messages: list[tuple[int, bytes]] = []
        self.protected: dict[str, list[Record]] = {"client": [], "server": []}
        id_bytes = {"client": row.get("server_id_bytes", 0), "server": row.get("client_id_bytes", 0)}
        for sender, datagram in row["datagrams"]:
            for record in split_records(bytes.fromhex(datagram), connection_id_bytes=id_bytes[sender]):
                if record.epoch:
                    self.protected[sender].append(record)
                elif record.content_type == 22:
                    self.messages += [(part.message_type, part.body) for part in split_fragments(record.body)]
        # The transcript leaves out the first hello and the request for a cookie.
        self.transcript = b"".join(
            encode_message(HandshakeType(kind), number, body)
            for number, (kind, body) in zip((1, 1, 2, 2), self.messages[2:6], strict=True)
        )

    @property
    def hellos(self) -> tuple[ClientHello, ServerHello]:
        """Give the two that count."""
        return decode_client_hello(self.messages[2][1]), decode_server_hello(self.messages[3][1])


@pytest.mark.parametrize("row", HANDSHAKES + CONNECTION_IDS, ids=lambda row: row["name"])
def test_a_recorded_handshake_can_be_followed_with_the_key(row: dict[str, Any]) -> None:
    """Both Finished messages and both payloads come out, so every derived secret is right."""
    recording = Recording(row)
    client_hello, server_hello = recording.hellos
    session_hash = sha256(recording.transcript).digest()
    randoms = {"client_random": client_hello.random, "server_random": server_hello.random}
    if server_hello.extension(ExtensionType.EXTENDED_MASTER_SECRET) is not None:
        master = extended_master_secret(recording.key, session_hash=session_hash)
    else:
        master = master_secret(recording.key, **randoms)
    protection = PROTECTIONS[row["name"]]
    block = key_block(master, **randoms, length=protection.key_block_bytes)
    client_keys, server_keys = cut_key_block(block, protection)

    client_finished = encode_message(HandshakeType.FINISHED, 3, client_verify_data(master, handshake_hash=session_hash))
    both = sha256(recording.transcript + client_finished).digest()
    server_finished = encode_message(HandshakeType.FINISHED, 3, server_verify_data(master, handshake_hash=both))

    assert protection.suite == server_hello.cipher_suite
    assert [open_record(protection, client_keys, record) for record in recording.protected["client"]] == [
        (22, client_finished),
        (23, b"register"),
    ]
    assert [open_record(protection, server_keys, record) for record in recording.protected["server"]] == [
        (22, server_finished),
        (23, b"created"),
    ]


@pytest.mark.parametrize("row", CONNECTION_IDS, ids=lambda row: row["name"])
def test_recorded_connection_ids_are_the_agreed_ones(row: dict[str, Any]) -> None:
    """Each side's records carry what the other side asked for in its hello; an empty wish, the classic form."""
    recording = Recording(row)
    client_hello, server_hello = recording.hellos
    wishes = {"server": client_hello.extension(54), "client": server_hello.extension(54)}

    for sender, records in recording.protected.items():
        wish = wishes[sender]
        assert wish is not None
        assert {record.connection_id for record in records} == {decode_connection_id(wish)}
        assert all((record.content_type == 25) == bool(record.connection_id) for record in records)


@pytest.mark.parametrize("row", HANDSHAKES + CONNECTION_IDS, ids=lambda row: row["name"])
def test_recorded_messages_are_written_as_they_were_read(row: dict[str, Any]) -> None:
    """Hellos byte for byte; the identity is the one that was given."""
    messages = Recording(row).messages

    assert encode_client_hello(decode_client_hello(messages[0][1])) == messages[0][1]
    assert encode_client_hello(decode_client_hello(messages[2][1])) == messages[2][1]
    assert encode_server_hello(decode_server_hello(messages[3][1])) == messages[3][1]
    assert decode_client_key_exchange(messages[5][1]) == bytes.fromhex(row["identity"])


@pytest.mark.parametrize("name", ["cbc_encrypt_then_mac", "cbc_mac_then_encrypt"])
def test_a_recorded_cbc_record_is_sealed_to_the_same_bytes(name: str) -> None:
    """Given its initial vector, nothing else is free."""
    (row,) = (row for row in HANDSHAKES if row["name"] == name)
    recording = Recording(row)
    protection = PROTECTIONS[name]
    client_hello, server_hello = recording.hellos
    randoms = {"client_random": client_hello.random, "server_random": server_hello.random}
    master = extended_master_secret(recording.key, session_hash=sha256(recording.transcript).digest())
    _, keys = cut_key_block(key_block(master, **randoms, length=96), protection)
    record = recording.protected["server"][1]

    sealed = seal(
        protection,
        keys,
        23,
        b"created",
        epoch=1,
        sequence=record.sequence,
        connection_id=b"",
        random_bytes=lambda length: record.body[:length],
    )

    assert sealed == encode_record(23, epoch=1, sequence=record.sequence, body=record.body)
