"""The two pre-shared keys of a device: read and set. They open everything a device does, so the MasterKey alone may.

The bootstrap key is the access key until one is set. A key that is not letters and digits (`psk_hex` of a device) is
shown as hexadecimal digits. Source: northbound reference 3.10.
"""

from typing import Final

from commandpost.domain.device import Device
from commandpost.domain.errors import NotFound
from commandpost.northbound.messages import ApiResponse
from commandpost.northbound.onenet.call import Call, known_device_id
from commandpost.northbound.onenet.device_fields import read_secret
from commandpost.northbound.onenet.envelope import succeed, succeed_with
from commandpost.northbound.onenet.errno import Fault, FaultKind, missing, printable
from commandpost.northbound.onenet.further_parameters import DID
from commandpost.northbound.onenet.parameters import ENDPOINT_NAME_CHARACTERS_MAX, IMEI
from commandpost.services.device_rules import PSK_CHARACTERS_MAX, PSK_CHARACTERS_MIN
from commandpost.services.identities import GivenKeys, KeyText

KEY_SCHEMA: Final = {
    "type": "object",
    "required": ["key"],
    "properties": {"key": {"type": "string", "pattern": f"^[0-9A-Za-z]{{{PSK_CHARACTERS_MIN},{PSK_CHARACTERS_MAX}}}$"}},
}


async def show_bootstrap_key(call: Call) -> ApiResponse:
    """`GET /nbiot/device/psk`."""
    device = await _device_by_one_name(call)
    call.request.trail.is_for_audit = True
    return _shown(call.platform.identities.bootstrap_key(device))


async def set_bootstrap_key(call: Call) -> ApiResponse:
    """`PUT /nbiot/device/psk`."""
    device = await _device_by_one_name(call)
    await call.platform.identities.change(device, GivenKeys(bootstrap_psk=_key(call)))
    return succeed()


async def show_access_key(call: Call) -> ApiResponse:
    """`GET /nbiot/device/accpsk`."""
    device = await _device_by_imei(call, _imei(call))
    call.request.trail.is_for_audit = True
    return _shown(call.platform.identities.access_key(device))


async def set_access_key(call: Call) -> ApiResponse:
    """`POST` and `PUT /nbiot/device/accpsk`: the first key, or another."""
    device = await _device_by_imei(call, _imei(call))
    await call.platform.identities.change(device, GivenKeys(psk=_key(call)))
    return succeed()


def _shown(key: KeyText) -> ApiResponse:
    if key.psk_hex is not None:
        return succeed_with({"psk_hex": key.psk_hex})
    return succeed_with({"psk": key.psk})


def _key(call: Call) -> str:
    key = read_secret(call.body_object(), ("key",), PSK_CHARACTERS_MIN, PSK_CHARACTERS_MAX)
    if key is None:
        raise missing("key")
    return key


async def _device_by_one_name(call: Call) -> Device:
    """Find the device by `imei` or by `did`, whichever is given."""
    imei, did = _imei(call), call.find(DID)
    if did is None:
        if not imei:
            raise missing("imei or did")
        return await _device_by_imei(call, imei)
    if imei:
        raise Fault(FaultKind.VALUE, "imei and did: one of them is allowed")
    device_id = known_device_id(did)
    device = await call.platform.devices.find(call.product, device_id)
    if not device.is_lwm2m:
        raise Fault(FaultKind.DEVICE_UNKNOWN, f"device {device_id}")
    return device


async def _device_by_imei(call: Call, imei: str) -> Device:
    try:
        if len(imei) > ENDPOINT_NAME_CHARACTERS_MAX:
            raise NotFound("device", printable(imei))
        return await call.platform.devices.find_lwm2m(call.product, imei)
    except NotFound:
        raise Fault(FaultKind.DEVICE_UNKNOWN, f"imei {printable(imei)}") from None


def _imei(call: Call) -> str:
    """Give what names the device; `ep_name` is accepted in its place, as everywhere."""
    return call.query.find(IMEI.name) or call.query.find(IMEI.or_name or IMEI.name) or ""
