"""The routes of devices. Source: northbound reference 3."""

from collections.abc import Sequence
from typing import Final

from commandpost.northbound.onenet import device_detail, devices, self_registration
from commandpost.northbound.onenet.device_fields import DEVICE_CHANGE_SCHEMA, NEW_DEVICE_SCHEMA
from commandpost.northbound.onenet.dialect import CallRoute, Subject
from commandpost.northbound.onenet.further_parameters import REGISTER_CODE
from commandpost.northbound.onenet.parameters import (
    AUTH_INFO,
    BEGIN_DATE,
    DEV_IDS,
    DEVICE_ID_LIST,
    END_DATE,
    IMEI_ALONE,
    KEY_WORDS,
    ONLINE,
    PAGE,
    PER_PAGE,
    PRIVATE,
    TAG,
)
from commandpost.northbound.onenet.route_samples import (
    CURRENT_VALUES,
    DEVICE_DETAIL,
    DEVICE_KEY,
    DEVICE_LIST,
    DEVICE_STATUSES,
    NEW_DEVICE,
)
from commandpost.northbound.onenet.routes.shapes import OBJECT, general
from commandpost.northbound.onenet.self_registration import REGISTRATION_SCHEMA
from commandpost.northbound.routing import RequestBody
from commandpost.northbound.settings import NorthboundSettings

_TAG: Final = "Devices"


def device_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Devices, their detail, their state, and how they register themselves."""
    return (
        general(
            "POST",
            "/devices",
            devices.create,
            name="createDevice",
            tag=_TAG,
            summary="Create a device",
            body=RequestBody(schema=NEW_DEVICE_SCHEMA, example=NEW_DEVICE, bytes_max=settings.body_bytes_max),
            data_schema=OBJECT,
            data={"device_id": "1000001"},
        ),
        general(
            "GET",
            "/devices",
            devices.list_devices,
            name="listDevices",
            tag=_TAG,
            summary="List devices",
            parameters=(
                KEY_WORDS,
                AUTH_INFO,
                TAG,
                ONLINE,
                PRIVATE,
                PAGE,
                PER_PAGE,
                DEVICE_ID_LIST,
                BEGIN_DATE,
                END_DATE,
            ),
            data_schema=OBJECT,
            data=DEVICE_LIST,
        ),
        general(
            "GET",
            "/devices/status",
            devices.list_statuses,
            name="listStatuses",
            tag=_TAG,
            summary="Say which devices are online",
            parameters=(DEV_IDS,),
            data_schema=OBJECT,
            data=DEVICE_STATUSES,
        ),
        general(
            "GET",
            "/devices/datapoints",
            devices.list_current_values,
            name="listCurrentValues",
            tag=_TAG,
            summary="Give the latest values of many devices",
            parameters=(DEV_IDS,),
            data_schema=OBJECT,
            data=CURRENT_VALUES,
        ),
        general(
            "GET",
            "/devices/getbyimei",
            devices.show_by_imei,
            name="showDeviceByImei",
            subject=Subject.FOUND_BY_HANDLER,
            tag=_TAG,
            summary="Find a device by its IMEI",
            parameters=(IMEI_ALONE,),
            data_schema=OBJECT,
            data={
                "id": "1000001",
                "title": "m1",
                "desc": "",
                "online": True,
                "create_time": "2018-06-04 17:43:11",
                "observ_status": True,
                "observe_status": True,
            },
        ),
        general(
            "GET",
            "/devices/{device_id}",
            device_detail.show,
            name="showDevice",
            subject=Subject.DEVICE_OF_PATH,
            tag=_TAG,
            summary="Show a device",
            data_schema=OBJECT,
            data=DEVICE_DETAIL,
        ),
        general(
            "PUT",
            "/devices/{device_id}",
            devices.change,
            name="changeDevice",
            subject=Subject.DEVICE_OF_PATH,
            tag=_TAG,
            summary="Change a device; what is not named stays",
            body=RequestBody(schema=DEVICE_CHANGE_SCHEMA, example={"title": "m2"}, bytes_max=settings.body_bytes_max),
        ),
        general(
            "DELETE",
            "/devices/{device_id}",
            devices.remove,
            name="removeDevice",
            subject=Subject.DEVICE_OF_PATH,
            tag=_TAG,
            summary="Remove a device with its commands",
        ),
        general(
            "POST",
            "/register_de",
            self_registration.register,
            name="registerDevice",
            tag=_TAG,
            summary="Let a device register itself",
            description="The register code authorises: no other credential is asked for. The body holds `sn` or `mac`; "
            "the same one gives the same device and key again.",
            parameters=(REGISTER_CODE,),
            body=RequestBody(schema=REGISTRATION_SCHEMA, example={"sn": "SN-0001"}, bytes_max=settings.body_bytes_max),
            data_schema=OBJECT,
            data={"device_id": "1000001", "key": DEVICE_KEY},
            is_open=True,
        ),
    )
