"""Which device a peer that registers, or asks for a bootstrap, says it is.

Not here: whether it may (registration).
"""

from commandpost.domain.device import Device
from commandpost.domain.ports import StoreReader
from commandpost.domain.session import PeerIdentity
from commandpost.services.registration import IMEI_CHARACTERS_MAX, split_endpoint_name


async def find_registrant(
    reader: StoreReader, endpoint_name: str | None, identity: PeerIdentity | None
) -> Device | None:
    """Give the device of an endpoint name, or of the identity a peer leaves its name to; None: there is none."""
    if endpoint_name is None:
        return None if identity is None else await reader.find_device(identity.device_id)
    imei, _ = split_endpoint_name(endpoint_name)
    return await reader.find_device_by_imei(imei) if 0 < len(imei) <= IMEI_CHARACTERS_MAX else None
