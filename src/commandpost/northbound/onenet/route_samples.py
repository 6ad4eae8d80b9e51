"""Samples for the documentation, shaped as the reference's own (northbound reference 3 to 5).

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
}
