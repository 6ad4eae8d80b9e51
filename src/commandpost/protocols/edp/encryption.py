"""What EDP calls encryption: an AES key sent under the device's RSA key, then every body in AES-128-ECB.

It hides texts from a listener and little more: ECB shows equal blocks, nothing proves who speaks, and 1024 bits of RSA
are short. It is here because devices in the field ask for it. Source: southbound reference 6.7.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from commandpost.protocols.edp.close_codes import CloseCode
from commandpost.protocols.edp.codec import AES_128, MessageFault
from commandpost.protocols.edp.messages import EncryptionRequest
from commandpost.protocols.errors import EncodeError

AES_KEY_BYTES: Final = 16
BLOCK_BYTES: Final = 16

_PAD_BASE: Final = 0x30  # the vendor's client fills every byte of n padding bytes with 0x30 + n


def encrypt_key(request: EncryptionRequest, aes_key: bytes) -> bytes:
    """Encrypt an AES key to the device's public key, with PKCS #1 v1.5 padding: 128 bytes.

    Raises:
        EncodeError: the owner's key has not 16 bytes.
        MessageFault: another cipher is asked for, or the device's key is no RSA key.
    """
    if len(aes_key) != AES_KEY_BYTES:
        raise EncodeError(f"an AES key has {AES_KEY_BYTES} bytes, not {len(aes_key)}")
    if request.algorithm != AES_128:
        raise MessageFault(CloseCode.ENCRYPTION, f"cipher {request.algorithm} is not 1 (AES-128)", offset=132)
    # An even modulus is refused here: what the library makes of one is not promised.
    if request.modulus % 2 == 0:
        raise MessageFault(CloseCode.ENCRYPTION, "the modulus is even", offset=4)
    try:
        public_key = RSAPublicNumbers(request.exponent, request.modulus).public_key()
        return public_key.encrypt(aes_key, padding.PKCS1v15())
    except ValueError as error:
        raise MessageFault(CloseCode.ENCRYPTION, f"the public key cannot be used: {error}") from error


class BodyCipher:
    """Encrypts and decrypts the bodies of one connection's messages. An empty body stays empty."""

    __slots__ = ("_cipher",)

    def __init__(self, aes_key: bytes) -> None:
        self._cipher = Cipher(AES(aes_key), ECB())  # noqa: S305 - the protocol has no other mode

    def encrypt(self, body: bytes) -> bytes:
        """Pad as the vendor's client does, always, and encrypt."""
        if not body:
            return body
        pad_bytes = BLOCK_BYTES - len(body) % BLOCK_BYTES
        encryptor = self._cipher.encryptor()
        return encryptor.update(body + bytes((_PAD_BASE + pad_bytes,)) * pad_bytes) + encryptor.finalize()

    def decrypt(self, body: bytes) -> bytes:
        """Decrypt and take the padding off, in the vendor's client's form or the document's (ISO 10126).

        Raises:
            MessageFault: no whole blocks, or no padding of either form.
        """
        if not body:
            return body
        if len(body) % BLOCK_BYTES:
            raise MessageFault(CloseCode.LENGTH, f"{len(body)} bytes are no whole blocks of {BLOCK_BYTES}")
        decryptor = self._cipher.decryptor()
        padded = decryptor.update(body) + decryptor.finalize()
        last = padded[-1]
        pad_bytes = last - _PAD_BASE if last > _PAD_BASE else last
        if not 1 <= pad_bytes <= BLOCK_BYTES:
            raise MessageFault(CloseCode.ENCRYPTION, f"padding byte {last:#04x} is none", offset=len(body) - 1)
        return padded[:-pad_bytes]
