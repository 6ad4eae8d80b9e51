"""What may be said of a device: the form of its identity and of its secrets.

Source: northbound reference 3.1.
"""

import re
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
_PSK: Final = re.compile(r"[0-9A-Za-z]{8,16}", re.ASCII)


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


def check_chip(chip: int | None) -> None:
    """Raise Invalid unless the chip is one of the dialect's."""
    if chip is not None and chip not in CHIPS:
        raise Invalid("chip", chip, f"{CHIPS.start} to {CHIPS.stop - 1}")
