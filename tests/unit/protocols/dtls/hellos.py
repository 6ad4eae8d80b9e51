"""Hellos of any kind as datagrams, and messages cut into fragments."""

from commandpost.protocols.dtls.handshake_messages import encode_message
from commandpost.protocols.dtls.hello import ClientHello, encode_client_hello
from commandpost.protocols.dtls.records import encode_record
from commandpost.protocols.dtls.registries import ContentType, HandshakeType


def hello_datagram(
    *,
    client_version: int = 0xFEFD,
    cipher_suites: tuple[int, ...] = (0xC0A8,),
    cookie: bytes = b"",
    compression_methods: bytes = b"\0",
    extensions: tuple[tuple[int, bytes], ...] = (),
    random: bytes = bytes(32),
    record_version: int = 0xFEFF,
) -> bytes:
    """Make a hello of any kind."""
    hello = ClientHello(
        client_version=client_version,
        random=random,
        cookie=cookie,
        cipher_suites=cipher_suites,
        compression_methods=compression_methods,
        extensions=extensions,
    )
    message = encode_message(HandshakeType.CLIENT_HELLO, 1 if cookie else 0, encode_client_hello(hello))
    return encode_record(ContentType.HANDSHAKE, epoch=0, sequence=0, body=message, version=record_version)


def cookie_of(verify_request: bytes) -> bytes:
    """Give the cookie of a HelloVerifyRequest."""
    return verify_request[28:]


def cut_message(record: bytes, size: int) -> list[bytes]:
    """Cut the handshake message of a record of epoch 0 into fragments, each in a record of its own."""
    header, body = record[13:25], record[25:]
    parts = [(at, body[at : at + size]) for at in range(0, len(body), size)]
    fragments = [
        header[:6] + at.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part  # type, length and number stay
        for at, part in parts
    ]
    return [
        encode_record(ContentType.HANDSHAKE, epoch=0, sequence=100 + number, body=fragment)
        for number, fragment in enumerate(fragments)
    ]
