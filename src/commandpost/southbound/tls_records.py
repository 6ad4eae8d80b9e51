"""The bytes of one TLS connection, as its server: what came in, what is to go out; OpenSSL in memory.

Here: handshake, records, goodbyes, and that no more than a few records are held. Not here: the stream below, its
back-pressure and its time (tls_stream). Source: RFC 8446, RFC 5246.
"""

import ssl
from contextlib import suppress
from typing import Final

RECORD_BYTES: Final = 16_384  # RFC 8446 section 5.1: as much as a record carries


class TlsRecords:
    """See the module. Nothing raises but `encrypt`; what breaks the connection is in `failure`."""

    __slots__ = ("_connection", "_incoming", "_outgoing", "failure", "is_ended", "is_shaken")

    def __init__(self, context: ssl.SSLContext) -> None:
        """Begin a connection; the context says what it shows and takes, and is the caller's."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._connection = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_shaken = False
        self.is_ended = False
        """Whether the peer has said goodbye."""
        self.failure: ssl.SSLError | None = None

    @property
    def connection(self) -> ssl.SSLObject:
        """What knows the version, the cipher and the certificates."""
        return self._connection

    def receive(self, data: bytes | memoryview) -> bytes:
        """Take what the stream brought, and give what it says; ciphertext to be sent may have come of it.

        Args:
            data: a few records at most: a buffer of OpenSSL's never shrinks again.
        Returns:
            Not much longer than `data`, and empty until a record is whole.
        """
        self._incoming.write(data)
        try:
            if not self.is_shaken:
                self._connection.do_handshake()
                self.is_shaken = True
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            self.failure = error
            return b""
        return self._decrypt()

    def take_output(self) -> bytes:
        """Give what OpenSSL wants sent of its own: handshakes, alerts, answers to the peer's."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def encrypt(self, data: bytes | bytearray | memoryview) -> bytes:
        """Give the records that say `data`.

        Raises:
            ssl.SSLError: nothing can be said any more.
        """
        size = len(data)
        written = self._connection.write(data[:RECORD_BYTES] if size > RECORD_BYTES else data)
        if written == size:
            return self._outgoing.read()
        view, records = memoryview(data), []
        while written < size:  # a peer may have asked for short records (RFC 6066 section 4)
            if self._outgoing.pending >= RECORD_BYTES:
                records.append(self._outgoing.read())
            written += self._connection.write(view[written : written + RECORD_BYTES])
        records.append(self._outgoing.read())
        return b"".join(records)

    def goodbye(self) -> bytes:
        """Give the record that says that nothing follows; the peer's own is not waited for."""
        with suppress(ssl.SSLError):  # the peer's own is not there, or will never be
            self._connection.unwrap()
        return self._outgoing.read()

    def _decrypt(self) -> bytes:
        pieces: list[bytes] = []
        read = self._connection.read
        try:
            while piece := read(RECORD_BYTES):
                pieces.append(piece)
                if not self._incoming.pending and not self._connection.pending():
                    break  # seen without the exception that the next attempt would cost
            else:
                self.is_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        except ssl.SSLError as error:
            self.failure = error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
