"""CoAP method and response codes: one byte, three bits of class and five of detail.

Source: RFC 7252 section 12.1, RFC 7959 section 2.9, RFC 8132 section 4 (FETCH, PATCH, iPATCH).
"""

from enum import IntEnum


class Code(IntEnum):
    """The registered codes; a message may carry others, so fields are typed `int`."""

    EMPTY = 0x00
    GET = 0x01
    POST = 0x02
    PUT = 0x03
    DELETE = 0x04
    FETCH = 0x05
    PATCH = 0x06
    IPATCH = 0x07
    CREATED = 0x41
    DELETED = 0x42
    VALID = 0x43
    CHANGED = 0x44
    CONTENT = 0x45
    CONTINUE = 0x5F
    BAD_REQUEST = 0x80
    UNAUTHORIZED = 0x81
    BAD_OPTION = 0x82
    FORBIDDEN = 0x83
    NOT_FOUND = 0x84
    METHOD_NOT_ALLOWED = 0x85
    NOT_ACCEPTABLE = 0x86
    REQUEST_ENTITY_INCOMPLETE = 0x88
    CONFLICT = 0x89
    PRECONDITION_FAILED = 0x8C
    REQUEST_ENTITY_TOO_LARGE = 0x8D
    UNSUPPORTED_CONTENT_FORMAT = 0x8F
    UNPROCESSABLE_ENTITY = 0x96
    TOO_MANY_REQUESTS = 0x9D
    INTERNAL_SERVER_ERROR = 0xA0
    NOT_IMPLEMENTED = 0xA1
    BAD_GATEWAY = 0xA2
    SERVICE_UNAVAILABLE = 0xA3
    GATEWAY_TIMEOUT = 0xA4
    PROXYING_NOT_SUPPORTED = 0xA5


# RFC 7252 section 12.1: 1.xx and 6.xx are reserved; 7.xx is signalling and exists over TCP only (RFC 8323).
RESERVED_CLASSES = frozenset({1, 6, 7})


def is_request(code: int) -> bool:
    """Tell whether the code is a method: class 0, but not 0.00."""
    return 0 < code < 0x20


def is_response(code: int) -> bool:
    """Tell whether the code is a response: class 2, 4 or 5 (and the unused 3)."""
    return 0x40 <= code < 0xC0


def is_success(code: int) -> bool:
    """Tell whether the code says the request was understood and done: class 2."""
    return code >> 5 == 2


def format_code(code: int) -> str:
    """Write the code the way the standard does, `4.04`."""
    return f"{code >> 5}.{code & 0x1F:02d}"
