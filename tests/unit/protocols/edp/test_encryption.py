"""Encryption as devices ask for it: the key exchange, the padding, and who may not have it.

The oracles are the library's own private key, NIST SP 800-38A for the cipher, and the vendor's client for the padding.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from commandpost.protocols.edp.close_codes import CloseCode
from commandpost.protocols.edp.codec import MessageFault
from commandpost.protocols.edp.encryption import BodyCipher, encrypt_key
from commandpost.protocols.edp.events import CloseReason, DataSaved, EncryptionRequested, LoginRequested
from commandpost.protocols.edp.messages import EncryptionRequest
from commandpost.protocols.errors import EncodeError
from tests.unit.protocols.edp.conversation import LOGIN, PING, SAVE_261, Conversation, end_of, logged_in

AES_KEY = bytes.fromhex("2B 7E 15 16 28 AE D2 A6 AB F7 15 88 09 CF 4F 3C")


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=1024)


def request_of(modulus: int, exponent: int = 65_537, algorithm: int = 1) -> bytes:
    body = exponent.to_bytes(4, "big") + modulus.to_bytes(128, "big") + bytes((algorithm,))
    return bytes.fromhex("E0 85 01") + body


def encrypt(plain: bytes) -> bytes:
    encryptor = Cipher(AES(AES_KEY), ECB()).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def decrypt(data: bytes) -> bytes:
    decryptor = Cipher(AES(AES_KEY), ECB()).decryptor()
    return decryptor.update(data) + decryptor.finalize()


def sealed(message: bytes) -> bytes:
    """Encrypt a short message's body as the vendor's client does."""
    pad_bytes = 16 - len(message[2:]) % 16
    body = encrypt(message[2:] + bytes((0x30 + pad_bytes,)) * pad_bytes)
    return message[:1] + bytes((len(body),)) + body


def encrypted(private_key: rsa.RSAPrivateKey) -> Conversation:
    """Give a conversation after the exchange of keys."""
    conversation = Conversation()
    conversation.feed(request_of(private_key.public_key().public_numbers().n))
    conversation.connection.start_encryption(AES_KEY)
    conversation.connection.bytes_to_send()
    return conversation


def test_the_key_leaves_under_the_devices_public_key(private_key: rsa.RSAPrivateKey) -> None:
    """F0, remaining length, u16 128, and what only the device can read."""
    conversation = Conversation()

    events = conversation.feed(request_of(private_key.public_key().public_numbers().n) + LOGIN)
    paused = conversation.connection.is_paused
    conversation.connection.start_encryption(AES_KEY)
    answer = conversation.connection.bytes_to_send()

    assert events == [EncryptionRequested()] and paused
    assert answer[:5] == bytes.fromhex("F0 82 01 00 80")
    assert private_key.decrypt(answer[5:], padding.PKCS1v15()) == AES_KEY
    assert conversation.connection.is_encrypted


def test_a_whole_conversation_is_encrypted_after_the_length(private_key: rsa.RSAPrivateKey) -> None:
    """Login, report and command; an empty body stays empty."""
    conversation = encrypted(private_key)

    (login,) = conversation.feed(sealed(LOGIN))
    conversation.connection.accept(now=conversation.now)
    accepted = conversation.connection.bytes_to_send()
    (event,) = conversation.feed(sealed(SAVE_261) + PING)
    pinged = conversation.sent()
    conversation.connection.send_command("c", b"ping")
    command = conversation.connection.bytes_to_send()

    assert isinstance(login, LoginRequested) and login.device_id == "8029377"
    assert accepted[:2] == bytes.fromhex("20 10")
    assert decrypt(accepted[2:]) == bytes(2) + b"\x3e" * 14
    assert isinstance(event, DataSaved) and event.message_id == 261
    assert pinged == "D0 00"
    assert decrypt(command[2:]) == bytes.fromhex("00 01 63 00 00 00 04 70 69 6E 67") + b"\x35" * 5


def test_the_end_is_told_encrypted_too(private_key: rsa.RSAPrivateKey) -> None:
    """Everything after the remaining length of every message."""
    conversation = encrypted(private_key)

    end = end_of(conversation.feed("80 01 00"))
    sent = conversation.connection.bytes_to_send()

    assert end.code == CloseCode.LENGTH
    assert decrypt(sent[2:]) == b"\x05" + b"\x3f" * 15


def test_the_cipher_is_aes_128_ecb() -> None:
    """NIST SP 800-38A, F.1.1, first and second block."""
    plain = bytes.fromhex("6BC1BEE22E409F96E93D7E117393172A AE2D8A571E03AC9C9EB76FAC45AF8E51")

    written = BodyCipher(AES_KEY).encrypt(plain)

    assert written[:32].hex() == "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
    assert len(written) == 48


@pytest.mark.parametrize("pad_bytes", range(1, 17))
def test_both_forms_of_padding_are_read(pad_bytes: int) -> None:
    """The vendor's client fills with 0x30 + n; ISO 10126 fills with anything and ends with n."""
    cipher = BodyCipher(AES_KEY)
    text = b"x" * (16 - pad_bytes) or b"y" * 16

    for filling in (bytes((0x30 + pad_bytes,)) * pad_bytes, b"\xa7" * (pad_bytes - 1) + bytes((pad_bytes,))):
        body = text + filling
        assert cipher.decrypt(encrypt(body)) == text


@pytest.mark.parametrize("last", [0x00, 0x11, 0x2F, 0x30, 0x41, 0xFF])
def test_padding_of_neither_form_is_a_fault(last: int) -> None:
    """And so are bytes that make no blocks."""
    cipher = BodyCipher(AES_KEY)

    with pytest.raises(MessageFault) as raised:
        cipher.decrypt(encrypt(bytes(15) + bytes((last,))))

    assert raised.value.code is CloseCode.ENCRYPTION
    with pytest.raises(MessageFault):
        cipher.decrypt(bytes(17))


def test_encryption_refused_by_the_owner_closes_with_10() -> None:
    """40 01 0A."""
    conversation = Conversation()
    conversation.feed(request_of(2**1023 + 1))

    conversation.connection.refuse_encryption()

    end = end_of(conversation.events())
    assert (end.reason, end.code, conversation.sent()) == (CloseReason.OWNER, CloseCode.ENCRYPTION, "40 01 0A")


def test_another_cipher_is_refused_at_once(private_key: rsa.RSAPrivateKey) -> None:
    """The document numbers AES-128 only."""
    conversation = Conversation()

    end = end_of(conversation.feed(request_of(private_key.public_key().public_numbers().n, algorithm=2)))

    assert (end.reason, conversation.sent()) == (CloseReason.FAULT, "40 01 0A")
    with pytest.raises(MessageFault):
        encrypt_key(EncryptionRequest(exponent=65_537, modulus=2**1023 + 1, algorithm=2), AES_KEY)


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [(2**1023, 65_537), (2**1024 - 2, 3), (2**1023 + 1, 0), (2**1023 + 1, 1), (2**1023 + 1, 2), (2**1023 + 1, 65_536)],
)
def test_a_key_that_is_none_closes_the_connection(modulus: int, exponent: int) -> None:
    """Even, or with an exponent that encrypts nothing: a stranger's numbers raise no error."""
    conversation = Conversation()
    conversation.feed(request_of(modulus, exponent))

    conversation.connection.start_encryption(AES_KEY)

    assert end_of(conversation.events()).reason is CloseReason.FAULT
    assert conversation.sent() == "40 01 0A"


def test_an_odd_number_that_is_no_product_of_primes_costs_nothing_but_an_answer() -> None:
    """Nobody can read what is sent under it; that is the stranger's loss."""
    conversation = Conversation()
    conversation.feed(request_of(2**1024 - 1, 2**32 - 1))

    conversation.connection.start_encryption(AES_KEY)

    assert len(conversation.connection.bytes_to_send()) == 3 + 2 + 128


def test_encryption_is_asked_for_first_and_once(private_key: rsa.RSAPrivateKey) -> None:
    """Later it is a fault, encrypted or not."""
    message = request_of(private_key.public_key().public_numbers().n)
    late, twice = logged_in(), encrypted(private_key)

    second = b"\xe0\x90\x01" + encrypt(message[3:] + b"\x3b" * 11)

    assert end_of(late.feed(message)).code == CloseCode.ENCRYPTION
    assert end_of(twice.feed(second)).code == CloseCode.ENCRYPTION


def test_the_login_is_still_due_within_30_s_of_the_start(private_key: rsa.RSAPrivateKey) -> None:
    """Asking for encryption buys no time."""
    assert encrypted(private_key).connection.next_deadline() == 1_030.0


def test_an_aes_key_has_16_bytes(private_key: rsa.RSAPrivateKey) -> None:
    """Another is the owner's mistake."""
    conversation = Conversation()
    conversation.feed(request_of(private_key.public_key().public_numbers().n))

    with pytest.raises(EncodeError):
        conversation.connection.start_encryption(bytes(15))
