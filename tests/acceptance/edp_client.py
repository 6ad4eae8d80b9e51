"""EDP devices that say every byte, as southbound reference 6 has them; the ciphers are those of `cryptography`."""

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.acceptance.mqtt_clients import packet, text
from tests.acceptance.stream_house import RawStream, StreamDevice

ACCEPTED = "20 02 00 00"
CIPHER_BLOCK = 16


def login_by_key(device: StreamDevice, key: str, *, keepalive_s: int = 300) -> bytes:
    """CONN_REQ, form 1: device id and a key."""
    body = text("EDP") + b"\x01\x40" + keepalive_s.to_bytes(2, "big") + text(device.id) + text(key)
    return packet(0x10, body)


def login_by_secret(device: StreamDevice, *, keepalive_s: int = 256, secret: str | None = None) -> bytes:
    """CONN_REQ, form 2: an empty device id, product id and auth_info."""
    body = text("EDP") + b"\x01\xc0" + keepalive_s.to_bytes(2, "big") + text("") + text(device.product_id)
    return packet(0x10, body + text(device.secret if secret is None else secret))


def command_body(uuid: str, payload: bytes) -> bytes:
    """What CMD_REQ and CMD_RESP have in common."""
    return text(uuid) + len(payload).to_bytes(4, "big") + payload


def answer(uuid: str, payload: bytes) -> bytes:
    """CMD_RESP."""
    return packet(0xB0, command_body(uuid, payload))


@contextmanager
def edp_device(address: tuple[str, int], device: StreamDevice, *, keepalive_s: int = 256) -> Iterator[RawStream]:
    """A stream on which a device has logged in."""
    stream = RawStream(address)
    try:
        stream.send(login_by_secret(device, keepalive_s=keepalive_s))
        assert stream.packet().hex(" ") == ACCEPTED, "the login was refused"
        yield stream
    finally:
        stream.close()


class EncryptedStream:
    """A device's end of an encrypted connection: AES-128-ECB after the length, padded as the vendor's SDK does."""

    def __init__(self, stream: RawStream) -> None:
        self.stream = stream
        private_key = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
        modulus = private_key.public_key().public_numbers().n.to_bytes(128, "big")
        stream.send(bytes.fromhex("E0 85 01 00 01 00 01") + modulus + b"\x01")
        response = stream.packet()
        assert response[:3].hex(" ") == "f0 82 01", response
        aes_key = private_key.decrypt(response[5:], padding.PKCS1v15())
        self._cipher = Cipher(algorithms.AES(aes_key), modes.ECB())

    def send(self, plain: bytes) -> None:
        """Encrypt what stands after the length of a short message, and send it."""
        body = plain[2:]
        filled = CIPHER_BLOCK - len(body) % CIPHER_BLOCK
        encryptor = self._cipher.encryptor()
        sealed = encryptor.update(body + bytes((0x30 + filled,)) * filled) + encryptor.finalize()
        self.stream.send(packet(plain[0], sealed))

    def packet(self) -> tuple[int, bytes]:
        """Give the first byte and the decrypted body of what comes next."""
        sealed = self.stream.packet()
        head = 2 if sealed[1] < 0x80 else 3
        decryptor = self._cipher.decryptor()
        body = decryptor.update(sealed[head:]) + decryptor.finalize()
        return sealed[0], body[: len(body) - (body[-1] - 0x30)]
