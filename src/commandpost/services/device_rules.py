"""What may be said of a device: the form of its identity and of its secrets.

Source: northbound reference 3.1.
"""

import re
from ipaddress import IPv4Address
from typing import Final

from commandpost.domain.device import PROTOCOL_LWM2M, PROTOCOLS, ImeiRule
from commandpost.domain.errors import Invalid

CHIPS: Final = range(1, 7)

_IMEI: Final = {
    ImeiRule.PERMISSIVE: (re.compile(r"[0-9A-Za-z]{1,17}", re.ASCII), "1 to 17 letters or digits"),
    ImeiRule.STRICT: (re.compile(r"[0-9]{15}", re.ASCII), "15 digits"),
}
_TEST_IMEI: Final = re.compile(r"[0-9]{4}", re.ASCII)
_IMSI: Final = {
    ImeiRule.PERMISSIVE: (re.compile(r"[0-9A-Za-z]{1,16}", re.ASCII), "1 to 16 letters or digits"),
    ImeiRule.STRICT: (re.compile(r"[1-9][0-9]{0,14}", re.ASCII), "1 to 15 digits, the first not 0,"),
}
_AUTH_CODE: Final = re.compile(r"[0-9A-Za-z]{1,16}", re.ASCII)
PSK_CHARACTERS_MIN: Final = 8
PSK_CHARACTERS_MAX: Final = 16
_PSK: Final = re.compile(rf"[0-9A-Za-z]{{{PSK_CHARACTERS_MIN},{PSK_CHARACTERS_MAX}}}", re.ASCII)
PSK_HEX_BYTES_MIN: Final = 8  # as short as the dialect's own
PSK_HEX_BYTES_MAX: Final = 64  # RFC 4279 section 5.3: what every implementation supports
_PSK_HEX: Final = re.compile(rf"([0-9A-Fa-f]{{2}}){{{PSK_HEX_BYTES_MIN},{PSK_HEX_BYTES_MAX}}}", re.ASCII)
_MODULE_PORT: Final = re.compile(r"[1-9][0-9]{3}", re.ASCII)
PSK_IDENTITY_BYTES_MAX: Final = 128  # RFC 4279 section 5.3


def check_protocol(protocol: str) -> None:
    """Raise Invalid unless it is a protocol of the dialect, in whatever capitals."""
    if protocol.upper() not in PROTOCOLS:
        raise Invalid("protocol", protocol, f"one of {', '.join(PROTOCOLS)}")


def check_identity(
    protocol: str, imei: str | None, imsi: str | None, rule: ImeiRule, *, is_test_device: bool = False
) -> None:
    """Raise Invalid unless an LwM2M device has an IMEI, and both numbers have the form the product asks for.

    A test device, which names its chip, may have an IMEI of four digits under either rule.
    """
    if protocol.upper() != PROTOCOL_LWM2M:
        return
    pattern, allowed = _IMEI[rule]
    is_test_imei = is_test_device and imei is not None and _TEST_IMEI.fullmatch(imei) is not None
    if imei is None or not (is_test_imei or pattern.fullmatch(imei)):
        raise Invalid("auth_info", imei, f"an IMEI of {allowed}")
    check_imsi(imsi, rule)


def check_imsi(imsi: str | None, rule: ImeiRule) -> None:
    """Raise Invalid unless the IMSI has the form the product asks for; none at all is allowed."""
    pattern, allowed = _IMSI[rule]
    if imsi and not pattern.fullmatch(imsi):
        raise Invalid("auth_info", imsi, f"an IMSI of {allowed}")


def check_auth_code(auth_code: str | None) -> None:
    """Raise Invalid unless the registration code is letters and digits, at most 16."""
    if auth_code is not None and not _AUTH_CODE.fullmatch(auth_code):
        raise Invalid("auth_code", f"{len(auth_code)} characters", "1 to 16 letters or digits")


def check_psk(psk: str | None) -> None:
    """Raise Invalid unless the pre-shared key is letters and digits, 8 to 16."""
    if psk is not None and not _PSK.fullmatch(psk):
        raise Invalid("psk", f"{len(psk)} characters", "8 to 16 letters or digits")


def check_bootstrap_uri(name: str, uri: str, *, is_secure: bool) -> None:
    """Raise Invalid unless modules understand the URI: they cut it by fixed lengths (southbound reference 1.3)."""
    scheme = "coaps" if is_secure else "coap"
    host = uri.removeprefix(f"{scheme}://").rpartition(":")[0]
    port = uri.rpartition(":")[2]
    try:
        is_right = uri == f"{scheme}://{IPv4Address(host)}:{port}"
    except ValueError:
        is_right = False
    if not is_right or not _MODULE_PORT.fullmatch(port):
        raise Invalid(name, uri[:60], f"{scheme}://A.B.C.D:PORT with a port of four digits")


def is_psk(text: str) -> bool:
    """Tell whether a key is one the dialect can write: letters and digits, 8 to 16."""
    return _PSK.fullmatch(text) is not None


def check_psk_hex(psk_hex: str | None, *, psk: str | None) -> None:
    """Raise Invalid unless the key is pairs of hexadecimal digits, and the only way it is given."""
    if psk_hex is None:
        return
    if psk is not None:
        raise Invalid("psk and psk_hex", "both", "one of them")
    if not _PSK_HEX.fullmatch(psk_hex):
        allowed = f"{PSK_HEX_BYTES_MIN} to {PSK_HEX_BYTES_MAX} bytes in hexadecimal digits"
        raise Invalid("psk_hex", f"{len(psk_hex)} characters", allowed)


def check_psk_identity(psk_identity: str | None, *, imei: str | None) -> None:
    """Raise Invalid unless the DTLS identity is visible text of a length every client can send.

    An IMEI that is not the device's own would keep the device out that has it, and show whether there is one.
    """
    if psk_identity is None:
        return
    if not psk_identity.isprintable() or not 1 <= len(psk_identity.encode()) <= PSK_IDENTITY_BYTES_MAX:
        raise Invalid("psk_identity", psk_identity[:40], f"visible text of 1 to {PSK_IDENTITY_BYTES_MAX} bytes")
    claimed = psk_identity.partition(";")[0]
    is_an_imei, _ = _IMEI[ImeiRule.STRICT]
    if claimed != imei and is_an_imei.fullmatch(claimed):
        raise Invalid("psk_identity", psk_identity[:40], "no IMEI but the device's own")


def check_chip(chip: int | None) -> None:
    """Raise Invalid unless the chip is one of the dialect's."""
    if chip is not None and chip not in CHIPS:
        raise Invalid("chip", chip, f"{CHIPS.start} to {CHIPS.stop - 1}")
