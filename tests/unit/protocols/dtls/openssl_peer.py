"""OpenSSL in memory, as client and as server: somebody else's DTLS, without a socket.

Its public Python interface has no pre-shared keys, so the callbacks are set through the bindings underneath.
"""

from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

CCM_8 = "PSK-AES128-CCM8"
GCM = "PSK-AES128-GCM-SHA256"
CBC = "PSK-AES128-CBC-SHA256"

NO_EXTENDED_MASTER_SECRET = 1 << 0  # SSL_OP_NO_EXTENDED_MASTER_SECRET
NO_ENCRYPT_THEN_MAC = 1 << 19  # SSL_OP_NO_ENCRYPT_THEN_MAC
NO_QUERY_MTU = 1 << 12  # SSL_OP_NO_QUERY_MTU
COOKIE_EXCHANGE = 1 << 13  # SSL_OP_COOKIE_EXCHANGE

DATAGRAM_BYTES_MAX = 65_535


class OpensslPeer:
    """One OpenSSL connection of which every datagram passes through the test."""

    def __init__(self, method: int, *, suites: str, options: int = 0, mtu: int = 1_400) -> None:
        context = SSL.Context(method)
        context.set_cipher_list(f"{suites}:@SECLEVEL=0".encode())
        context.set_options(options | NO_QUERY_MTU)
        self._context = context
        self._mtu = mtu
        self.callback: Any = None  # Any: what cffi makes; it must outlive the connection
        self.connection: SSL.Connection

    def connect(self) -> None:
        """Make the connection, once the callbacks are set."""
        self.connection = SSL.Connection(self._context, None)
        self.connection.set_ciphertext_mtu(self._mtu)

    def handshake(self) -> bool:
        """Go as far as possible; tell whether the handshake is complete. A failure raises SSL.Error."""
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def sent(self) -> list[bytes]:
        """Give what it wants to send since the last call, each record as a datagram of its own.

        A memory BIO is a stream that forgets where datagrams end, and a server must take them either way.
        """
        try:
            return cut_at_records(self.connection.bio_read(DATAGRAM_BYTES_MAX))
        except SSL.WantReadError:
            return []

    def sent_together(self) -> bytes:
        """Give what it wants to send since the last call as one datagram."""
        return b"".join(self.sent())

    def hear(self, datagram: bytes) -> None:
        """Let one datagram arrive. Call `handshake` or `read` before the next one."""
        if datagram:
            self.connection.bio_write(datagram)

    def read(self) -> bytes | None:
        """Give the next payload, if there is one."""
        try:
            return self.connection.recv(DATAGRAM_BYTES_MAX)
        except SSL.WantReadError:
            return None


def cut_at_records(data: bytes) -> list[bytes]:
    """Cut classic records apart: 13 bytes of header, of which the last two are the length."""
    records: list[bytes] = []
    while data:
        end = 13 + int.from_bytes(data[11:13], "big")
        records.append(data[:end])
        data = data[end:]
    return records


def openssl_client(
    *, identity: bytes, key: bytes, suites: str = CCM_8, options: int = 0, mtu: int = 1_400
) -> OpensslPeer:
    """Make a client that has said nothing yet."""
    peer = OpensslPeer(SSL.DTLS_CLIENT_METHOD, suites=suites, options=options, mtu=mtu)

    @ffi.callback("unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)")  # type: ignore[untyped-decorator] # cffi has no types
    def give_key(ssl: Any, hint: Any, into: Any, into_max: int, key_into: Any, key_max: int) -> int:
        ffi.memmove(into, identity + b"\0", len(identity) + 1)
        ffi.memmove(key_into, key, len(key))
        return len(key)

    peer.callback = give_key
    lib.SSL_CTX_set_psk_client_callback(peer._context._context, give_key)
    peer.connect()
    peer.connection.set_connect_state()
    return peer


def openssl_server(*, identity: bytes, key: bytes, suites: str = CCM_8, options: int = 0) -> OpensslPeer:
    """Make a server that knows one identity and asks for a cookie first."""
    peer = OpensslPeer(SSL.DTLS_SERVER_METHOD, suites=suites, options=options | COOKIE_EXCHANGE)

    @ffi.callback("unsigned int(SSL *, const char *, unsigned char *, unsigned int)")  # type: ignore[untyped-decorator] # cffi has no types
    def find_key(ssl: Any, claimed: Any, key_into: Any, key_max: int) -> int:
        if ffi.string(claimed) != identity:
            return 0
        ffi.memmove(key_into, key, len(key))
        return len(key)

    peer.callback = find_key
    lib.SSL_CTX_set_psk_server_callback(peer._context._context, find_key)
    peer._context.set_cookie_generate_callback(lambda connection: b"a cookie")
    peer._context.set_cookie_verify_callback(lambda connection, cookie: cookie == b"a cookie")
    peer.connect()
    peer.connection.set_accept_state()
    return peer
