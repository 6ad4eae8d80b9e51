"""What one device understands, as far as it is known: from its registration, its record and the operator's switches.

Source: southbound reference 1.7, 3.1 and 3.4.
"""

from dataclasses import dataclass
from typing import Final

from commandpost.protocols.coap.content_formats import ContentFormat, canonical

OLD_TLV_NUMBER: Final = 1542  # what modules called TLV before it was registered


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDialect:
    """How to speak to one device; the defaults are an unknown OneNET module.

    Attributes:
        accepted_formats: `ct` of its registration; empty when it said nothing.
        lwm2m_version: `lwm2m=` of its registration; None counts as 1.0.
        alternate_path: segments in front of every object path.
        tlv_number: how TLV is numbered in requests, 11542 or 1542.
        strict_execute_arguments: wrap arguments as `0='...'` for a client that insists on the standard's grammar.
        block_bytes: largest payload in one datagram; None leaves it to the CoAP engine.
    """

    accepted_formats: tuple[int, ...] = ()
    lwm2m_version: str | None = None
    alternate_path: tuple[str, ...] = ()
    tlv_number: int = ContentFormat.LWM2M_TLV
    strict_execute_arguments: bool = False
    block_bytes: int | None = None

    @property
    def tree_format(self) -> int:
        """The content format for whatever has names: what is written, and what reads of more than a resource ask for.

        TLV, except for a client of LwM2M 1.1 or later that lists formats without it.
        """
        known = {canonical(number) for number in self.accepted_formats}
        if known and ContentFormat.LWM2M_TLV not in known and self._is_newer_than_1_0:
            for number in (ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON):
                if number in known:
                    return number
        return self.tlv_number

    @property
    def _is_newer_than_1_0(self) -> bool:
        return self.lwm2m_version is not None and self.lwm2m_version not in ("1", "1.0")
