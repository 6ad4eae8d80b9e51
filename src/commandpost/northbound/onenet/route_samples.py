"""Samples for the documentation, shaped as the reference's own (northbound reference 3 to 7, 9).

Every identity is made up.
"""

from typing import Final

UUID: Final = "42742677-adc3-54ca-83a1-5aaaf71482f8"
_IMEI: Final = "860000000000001"
_IMSI: Final = "460000000000001"

READ_VALUES: Final = [
    {"obj_inst_id": 0, "res": [{"res_id": 5700, "val": 21.5}, {"res_id": 5701, "val": "Cel"}]},
    {"obj_inst_id": 1, "res": [{"res_id": 5700, "val": 19.0}]},
]
WRITE_BODY: Final = {
    "data": [
        {"res_id": 5850, "val": True},
        {"res_id": 5527, "type": 1, "val": "0AFF"},
        {"res_id": 5506, "type": 2, "val": 1600000000},
    ]
}
DISCOVERED: Final = [{"obj_inst_id": 0, "res_id": [5700, 5701]}]
RESOURCES: Final = {
    "total_count": 1,
    "item": [{"obj_id": 3303, "instances": [{"inst_id": 0, "resources": [5700, 5701]}]}],
}
HISTORY_LIST: Final = {
    "total_count": 1,
    "items": [
        {
            "cmd_uuid": UUID,
            "type": "READ",
            "create_time": "2017-08-28 11:34:58",
            "valid_time": "2017-08-28 11:34:58",
            "expired_time": "2017-08-29 11:34:58",
            "send_time": "2017-08-28 11:40:00",
            "trigger_msg": 7,
            "send_status": 5,
            "confirm_time": "2017-08-28 11:40:02",
            "confirm_status": "SUCCESS",
            "imei": _IMEI,
            "remain": 3,
        }
    ],
}
HISTORY_DETAIL: Final = {
    "cmd_uuid": UUID,
    "type": "READ",
    "args": {
        "obj_id": 3303,
        "imei": _IMEI,
        "expired_time": "2017-08-29 11:34:58:000",
        "valid_time": "2017-08-28 11:34:58:000",
        "retry": 3,
        "timeout": 25,
    },
    "content": {},
    "create_time": "2017-08-28 11:34:58",
    "valid_time": "2017-08-28 11:34:58",
    "expired_time": "2017-08-29 11:34:58",
    "send_time": "2017-08-28 11:40:00",
    "trigger_msg": 7,
    "send_status": 5,
    "confirm_time": "2017-08-28 11:40:02",
    "confirm_status": "SUCCESS",
    "cmd_result": {"errno": 0, "error": "succ", "data": READ_VALUES},
    "feedback_msg": [],
    "imei": _IMEI,
    "remain": 3,
}
LOG: Final = [
    {
        "log": "received command type: [2], args: [], content: []",
        "time": "Wed Dec 02 09:02:24 CST 2020",
    }
]
NEW_DEVICE: Final = {
    "title": "m1",
    "protocol": "LwM2M",
    "auth_info": {_IMEI: _IMSI},
    "tags": ["china"],
    "location": {"lon": 109.0, "lat": 23.5},
    "obsv": True,
}
DEVICE_LIST: Final = {
    "per_page": 30,
    "page": 1,
    "total_count": 1,
    "devices": [
        {
            "protocol": "LwM2M",
            "create_time": "2018-06-04 17:43:11",
            "online": True,
            "id": "1000001",
            "auth_info": {_IMEI: _IMSI},
            "title": "m1",
            "private": True,
            "tags": ["china"],
            "location": {"lon": 109.0, "lat": 23.5},
        }
    ],
}
DEVICE_STATUSES: Final = {"total_count": 1, "devices": [{"id": "1000001", "title": "m1", "online": True}]}
DEVICE_DETAIL: Final = {
    "id": "1000001",
    "title": "m1",
    "desc": "",
    "protocol": "LwM2M",
    "create_time": "2018-06-04 17:43:11",
    "online": True,
    "private": True,
    "obsv": True,
    "tags": ["china"],
    "location": {"lon": 109.0, "lat": 23.5},
    "auth_info": {_IMEI: _IMSI},
    "other": {},
    "rg_id": _IMEI,
    "imsi": _IMSI,
    "imsi_old": [],
    "act_time": "Mon Jun 04 17:43:11 CST 2018",
    "last_ct": "Mon Jun 04 17:43:11 CST 2018",
    "obsv_st": True,
    "observ_status": True,
    "datastreams": [
        {"id": "3303_0_5700", "create_time": "2018-06-04 17:43:11", "uuid": UUID, "unit": "", "unit_symbol": ""}
    ],
    "binary": [],
    "keys": [],
}
DEVICE_KEY: Final = "mB3vC5xZ7kJ9hG1fD2sA4qW6eR8tY0uI"
CURRENT_VALUES: Final = {
    "devices": [
        {
            "id": "1000001",
            "title": "m1",
            "datastreams": [{"id": "3303_0_5700", "at": "2019-04-01 10:22:33", "value": 21.5}],
        }
    ]
}
PAYLOAD_HISTORY: Final = {
    "page": 1,
    "per_page": 30,
    "total_count": 1,
    "count": 1,
    "items": [
        {
            "cmd_uuid": UUID,
            "device_id": "1000001",
            "dev_id": 1000001,
            "expire_time": "2017-08-29 11:34:58",
            "status": 4,
            "send_time": "2017-08-28 11:40:00",
            "confirm_time": "2017-08-28 11:40:02",
            "confirm_body": "706f6e67",
            "body": "70696e67",
        }
    ],
}
DATASTREAM: Final = {
    "id": "temp",
    "create_time": "2017-06-23 11:09:46",
    "update_at": "2017-06-23 11:10:46.281",
    "current_value": 21.6,
    "unit": "Celsius",
    "unit_symbol": "C",
    "tags": ["air"],
    "uuid": UUID,
}
REPORT: Final = {"datastreams": [{"id": "temp", "datapoints": [{"at": "2017-06-23T11:09:46", "value": 21.5}]}]}
DATAPOINTS: Final = {
    "cursor": "25971_1000001_1448961024981",
    "count": 2,
    "datastreams": [
        {
            "id": "temp",
            "datapoints": [
                {"at": "2017-06-23 11:09:46.281", "value": 21.5},
                {"at": "2017-06-23 11:10:46.281", "value": 21.6},
            ],
        }
    ],
}
NEW_KEY: Final = {
    "title": "k1",
    "permissions": [
        {"resources": [{"dev_id": "1000001", "ds_id": "temp"}], "access_methods": ["get", "put", "post", "delete"]}
    ],
}
KEY_LIST: Final = {
    "total_count": 1,
    "page": 1,
    "per_page": 10,
    "keys": [{"create_time": "2017-06-23 11:09:46", "key": DEVICE_KEY, **NEW_KEY}],
}
