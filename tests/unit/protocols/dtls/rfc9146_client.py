"""A DTLS 1.2 client with a connection id, written from the standards alone.

It shares no line with the engine: own PRF, own records, own messages, on `cryptography`'s primitives. It knows no
loss and no timer, and asserts whatever it is told. Source: RFC 5246, RFC 6347, RFC 4279, RFC 7366, RFC 7627, RFC 9146.
"""

import os
import struct

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

CCM_8, GCM, CBC = 0xC0A8, 0x00A8, 0x00AE


def mac(key: bytes, data: bytes) -> bytes:
    signer = hmac.HMAC(key, hashes.SHA256())
    signer.update(data)
    return signer.finalize()


def digest(data: bytes) -> bytes:
    hasher = hashes.Hash(hashes.SHA256())
    hasher.update(data)
    return hasher.finalize()


def prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """RFC 5246 section 5: A(0) = seed, A(i) = HMAC(secret, A(i-1))."""
    blocks, a = [], label + seed
    for _ in range(-(-length // 32)):
        a = mac(secret, a)
        blocks.append(mac(secret, a + label + seed))
    return b"".join(blocks)[:length]


def handshake(kind: int, number: int, body: bytes) -> bytes:
    """RFC 6347 section 4.2.2, one fragment."""
    size = struct.pack(">I", len(body))[1:]
    return struct.pack(">B", kind) + size + struct.pack(">H", number) + b"\0\0\0" + size + body


def plain_record(kind: int, sequence: int, body: bytes) -> bytes:
    return struct.pack(">BHHHIH", kind, 0xFEFD, 0, 0, sequence, len(body)) + body


class CidClient:
    """Call hello, verified_hello, answer, finish in turn; then protect and open records."""

    def __init__(self, *, identity: bytes, key: bytes, suite: int, own_id: bytes) -> None:
        self.identity = identity
        self.key = key
        self.suite = suite
        self.own_id = own_id
        self.random = os.urandom(32)
        self.plain_sequence = 0
        self.sequence = 0
        self.messages = b""
        self.peer_id = b""

    def hello(self) -> bytes:
        return self._plain(22, handshake(1, 0, self._hello_body(b"")))

    def verified_hello(self, verify_request: bytes) -> bytes:
        """RFC 6347 section 4.2.1."""
        assert verify_request[0] == 22 and verify_request[13] == 3
        body = verify_request[25:]
        self.messages = handshake(1, 1, self._hello_body(body[3 : 3 + body[2]]))
        return self._plain(22, self.messages)

    def answer(self, flight: bytes) -> bytes:
        """Take ServerHello and ServerHelloDone; give ClientKeyExchange, ChangeCipherSpec and Finished."""
        hello_end = 13 + struct.unpack_from(">H", flight, 11)[0]
        hello, done = flight[13:hello_end], flight[hello_end + 13 :]
        assert hello[0] == 2 and done[0] == 14 and len(done) == 12
        extensions = self._take_server_hello(hello[12:])
        assert set(extensions) == {23, 54} | ({22} if self.suite == CBC else set())
        self.peer_id = extensions[54][1:]
        exchange = handshake(16, 2, struct.pack(">H", len(self.identity)) + self.identity)
        self.messages += hello + done + exchange
        zeros = struct.pack(">H", len(self.key)) + bytes(len(self.key))
        premaster = zeros + zeros[:2] + self.key
        self.master = prf(premaster, b"extended master secret", digest(self.messages), 48)
        self._derive(self.server_random)
        finished = handshake(20, 3, prf(self.master, b"client finished", digest(self.messages), 12))
        self.messages += finished
        return self._plain(22, exchange) + self._plain(20, b"\1") + self.protect(22, finished)

    def finish(self, flight: bytes) -> None:
        """Take ChangeCipherSpec and Finished."""
        assert flight[0] == 20
        kind, finished = self.open(flight[14:])
        expected = prf(self.master, b"server finished", digest(self.messages), 12)
        assert (kind, finished) == (22, handshake(20, 3, expected))

    def protect(self, kind: int, content: bytes, *, padding: int = 0, sequence: int | None = None) -> bytes:
        """RFC 9146 section 4: DTLSInnerPlaintext is content, real type, zeros."""
        if sequence is None:
            sequence, self.sequence = self.sequence, self.sequence + 1
        inner = content + struct.pack(">B", kind) + bytes(padding)
        number = struct.pack(">HHI", 1, sequence >> 32, sequence & 0xFFFFFFFF)
        body = self._encrypt(inner, number)
        return b"\x19\xfe\xfd" + number + self.peer_id + struct.pack(">H", len(body)) + body

    def protect_classic(self, kind: int, content: bytes) -> bytes:
        """RFC 6347 section 4.1, right keys but no id: what a peer that agreed on ids may not send."""
        assert self.suite == CCM_8
        number, explicit = struct.pack(">HHI", 1, 0, self.sequence), os.urandom(8)
        added = number + struct.pack(">BHH", kind, 0xFEFD, len(content))
        body = explicit + self._aead(self.client_key).encrypt(self.client_iv + explicit, content, added)
        return struct.pack(">BH", kind, 0xFEFD) + number + struct.pack(">H", len(body)) + body

    def open(self, record: bytes) -> tuple[int, bytes]:
        """Take one record, which carries our id if we asked for one, and nothing after it."""
        own = len(self.own_id)
        number = record[3:11]
        if own:
            assert record[:3] == b"\x19\xfe\xfd" and record[11 : 11 + own] == self.own_id
        else:
            assert record[1:3] == b"\xfe\xfd"
        (length,) = struct.unpack_from(">H", record, 11 + own)
        body = record[13 + own :]
        assert len(body) == length
        inner = self._decrypt(body, number, record[0])
        if not own:
            return record[0], inner
        inner = inner.rstrip(b"\0")
        return inner[-1], inner[:-1]

    def _plain(self, kind: int, body: bytes) -> bytes:
        self.plain_sequence += 1
        return plain_record(kind, self.plain_sequence - 1, body)

    def _hello_body(self, cookie: bytes) -> bytes:
        extensions = struct.pack(">HH", 23, 0) + struct.pack(">HH", 22, 0)
        extensions += struct.pack(">HHB", 54, len(self.own_id) + 1, len(self.own_id)) + self.own_id
        return (
            b"\xfe\xfd"
            + self.random
            + b"\0"
            + struct.pack(">B", len(cookie))
            + cookie
            + struct.pack(">HH", 2, self.suite)
            + b"\1\0"
            + struct.pack(">H", len(extensions))
            + extensions
        )

    def _take_server_hello(self, body: bytes) -> dict[int, bytes]:
        assert body[:2] == b"\xfe\xfd" and body[34] == 0
        self.server_random = body[2:34]
        assert struct.unpack_from(">HB", body, 35) == (self.suite, 0)
        extensions, at = {}, 40
        while at < len(body):
            kind, length = struct.unpack_from(">HH", body, at)
            extensions[kind] = body[at + 4 : at + 4 + length]
            at += 4 + length
        return extensions

    def _derive(self, server_random: bytes) -> None:
        block = prf(self.master, b"key expansion", server_random + self.random, 128)
        if self.suite == CBC:
            self.client_mac, self.server_mac = block[:32], block[32:64]
            self.client_key, self.server_key = block[64:80], block[80:96]
        else:
            self.client_key, self.server_key = block[:16], block[16:32]
            self.client_iv, self.server_iv = block[32:36], block[36:40]

    def _added(self, cid: bytes, number: bytes, length: int) -> bytes:
        """RFC 9146 section 5: placeholder, type, id length, type, version, epoch and sequence, id, length."""
        return b"\xff" * 8 + struct.pack(">BBBH", 25, len(cid), 25, 0xFEFD) + number + cid + struct.pack(">H", length)

    def _encrypt(self, inner: bytes, number: bytes) -> bytes:
        if self.suite == CBC:
            iv, fill = os.urandom(16), 15 - len(inner) % 16
            encryptor = Cipher(algorithms.AES(self.client_key), modes.CBC(iv)).encryptor()
            sealed = iv + encryptor.update(inner + bytes([fill]) * (fill + 1)) + encryptor.finalize()
            return sealed + mac(self.client_mac, self._added(self.peer_id, number, len(sealed)) + sealed)
        explicit = os.urandom(8)  # RFC 5288 section 3: the sender's choice, which need not be the sequence number
        added = self._added(self.peer_id, number, len(inner))
        return explicit + self._aead(self.client_key).encrypt(self.client_iv + explicit, inner, added)

    def _decrypt(self, body: bytes, number: bytes, kind: int) -> bytes:
        def added(length: int) -> bytes:
            if self.own_id:
                return self._added(self.own_id, number, length)
            return number + struct.pack(">BHH", kind, 0xFEFD, length)

        if self.suite == CBC:
            sealed, tag = body[:-32], body[-32:]
            assert mac(self.server_mac, added(len(sealed)) + sealed) == tag
            decryptor = Cipher(algorithms.AES(self.server_key), modes.CBC(sealed[:16])).decryptor()
            padded = decryptor.update(sealed[16:]) + decryptor.finalize()
            return padded[: -padded[-1] - 1]
        tag_bytes = 8 if self.suite == CCM_8 else 16
        nonce = self.server_iv + body[:8]
        return self._aead(self.server_key).decrypt(nonce, body[8:], added(len(body) - 8 - tag_bytes))

    def _aead(self, key: bytes) -> AESCCM | AESGCM:
        return AESCCM(key, tag_length=8) if self.suite == CCM_8 else AESGCM(key)
