"""The numbers of DTLS 1.2 that are used here, as their registries name them.

Source: RFC 5246 appendix A, RFC 6347, RFC 9146 section 10; IANA TLS parameters.
"""

from enum import IntEnum
from typing import Final

DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD
DTLS_MAJOR: Final = 0xFE


class ContentType(IntEnum):
    """What a record carries."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    TLS12_CID = 25


class HandshakeType(IntEnum):
    """What a handshake message is."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    SERVER_KEY_EXCHANGE = 12
    SERVER_HELLO_DONE = 14
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20


class ExtensionType(IntEnum):
    """Hello extensions that mean something here; all others are ignored."""

    MAX_FRAGMENT_LENGTH = 1
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    CONNECTION_ID = 54
    RENEGOTIATION_INFO = 0xFF01


class CipherSuite(IntEnum):
    """The suites of this engine."""

    PSK_AES_128_CCM_8 = 0xC0A8
    PSK_AES_128_GCM_SHA256 = 0x00A8
    PSK_AES_128_CBC_SHA256 = 0x00AE


EMPTY_RENEGOTIATION_INFO_SCSV: Final = 0x00FF  # RFC 5746 section 3.3: a suite that is none, but says "secure"


class AlertLevel(IntEnum):
    """How grave an alert is."""

    WARNING = 1
    FATAL = 2


class AlertDescription(IntEnum):
    """What an alert says."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    HANDSHAKE_FAILURE = 40
    ILLEGAL_PARAMETER = 47
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    NO_RENEGOTIATION = 100
    UNSUPPORTED_EXTENSION = 110


# RFC 6066 section 4: the codes of max_fragment_length.
FRAGMENT_BYTES_BY_CODE: Final = {1: 512, 2: 1_024, 3: 2_048, 4: 4_096}

PLAINTEXT_BYTES_MAX: Final = 16_384  # RFC 6347 section 4.1.1
SEQUENCE_MAX: Final = (1 << 48) - 1  # RFC 6347 section 4.1: 48 bits an epoch
