"""The query parameters of the dialect: each is declared once and used by every call that has it.

Here: those of `/nbiot*` and of devices. Not here: those of payloads, data and keys (`further_parameters`).
Source: northbound reference 3.5, 4, 5.1 to 5.5.
"""

from typing import Final

from commandpost.domain.command import ANSWER_TIMEOUT_DEFAULT_MS, RETRY_DEFAULT, RETRY_MAX, DeliveryPolicy
from commandpost.domain.ids import DEVICE_ID_MAX, DeviceId
from commandpost.domain.instant import SECOND_MS
from commandpost.domain.operation import WriteMode
from commandpost.domain.resource import ID_MAX
from commandpost.northbound.parameter import (
    Parameter,
    boolean,
    choice,
    comma_list,
    integer,
    number,
    parse_integer,
    text,
)

ENDPOINT_NAME_CHARACTERS_MAX: Final = 64  # `imei;imsi` has at most 34
TIME_FORMAT: Final = "YYYY-MM-DDTHH:MM:SS"
TIME_CHARACTERS_MAX: Final = 29  # with a fraction of nine digits
TIMEOUT_DEFAULT_S: Final = ANSWER_TIMEOUT_DEFAULT_MS // SECOND_MS
TRIGGER_MSG_DEFAULT: Final = 7
PAGE_MAX: Final = 10_000
PER_PAGE_DEFAULT: Final = 30
PER_PAGE_MAX: Final = 100
DEVICE_IDS_MAX: Final = 1000  # of /devices/status; more is errno 20
LISTED_IDS_MAX: Final = 100
_SECONDS_MAX: Final = 2**31 - 1  # for pmin and pmax: 68 years
_HISTORY_PAGE_MAX: Final = 10**18  # any page is allowed; one past the end is empty

IMEI: Final = text(
    "imei",
    "IMEI of the device. `ep_name`, the endpoint name `imei;imsi`, is accepted in its place.",
    length_max=ENDPOINT_NAME_CHARACTERS_MAX,
    is_required=True,
    or_name="ep_name",
    example="860000000000001",
)

OBJ_ID: Final = integer("obj_id", "Object id.", minimum=0, maximum=ID_MAX, is_required=True, example=3303)
OBJ_ID_FILTER: Final = integer("obj_id", "Only this object.", minimum=0, maximum=ID_MAX, example=3303)
OBJ_INST_ID: Final = integer(
    "obj_inst_id", "Object instance id; absent: all instances.", minimum=0, maximum=ID_MAX, example=0
)
OBJ_INST_ID_REQUIRED: Final = integer(
    "obj_inst_id", "Object instance id.", minimum=0, maximum=ID_MAX, is_required=True, example=0
)
RES_ID: Final = integer(
    "res_id", "Resource id, only together with `obj_inst_id`; absent: all.", minimum=0, maximum=ID_MAX, example=5700
)
RES_ID_REQUIRED: Final = integer("res_id", "Resource id.", minimum=0, maximum=ID_MAX, is_required=True, example=5850)

TIMEOUT: Final = integer(
    "timeout", "Seconds to wait for the device's answer.", minimum=5, maximum=40, default=TIMEOUT_DEFAULT_S
)
DELIVERY: Final = choice(
    "delivery",
    "`at_most_once`: exactly one datagram is sent, and what becomes of it is never guessed. Not part of the original "
    "dialect.",
    {policy.value: policy for policy in DeliveryPolicy},
    default=DeliveryPolicy.AT_LEAST_ONCE.value,
)
BIN2HEX: Final = boolean("bin2hex", "Give opaque values as hex text instead of an array of integers.", default=False)


def _parse_mode(name: str, value: str) -> WriteMode:
    return WriteMode(_MODE_NUMBER.parse(name, value))


_MODE_NUMBER: Final = integer("mode", "", minimum=1, maximum=2)
MODE: Final = Parameter(
    name="mode",
    parse=_parse_mode,
    schema={"type": "integer", "enum": [1, 2]},
    description="1 replaces the instance, 2 writes the named resources only.",
    is_required=True,
    example=2,
)

# --- observe ---------------------------------------------------------------------------------------------------------


def _parse_cancel(_name: str, value: str) -> bool:
    return value.lower() == "true"


CANCEL: Final = Parameter(
    name="cancel",
    parse=_parse_cancel,
    schema={"type": "boolean"},
    description="`true` cancels; `false`, and any other text, observes.",
    is_required=True,
    example=False,
)
PMIN: Final = integer(
    "pmin", "Least seconds between notifications; 0: every change.", minimum=0, maximum=_SECONDS_MAX, default=0
)
PMAX: Final = integer("pmax", "Most seconds between notifications.", minimum=0, maximum=_SECONDS_MAX)
GT: Final = number("gt", "Notify when the value rises above this; needs `res_id`.")
LT: Final = number("lt", "Notify when the value falls below this; needs `res_id`.")
ST: Final = number("st", "Notify when the value changed by at least this; needs `res_id`.", minimum=0)

# --- cached commands -------------------------------------------------------------------------------------------------

VALID_TIME: Final = text(
    "valid_time",
    f"Not sent before this, `{TIME_FORMAT}`, Beijing time; absent or past: now.",
    length_max=TIME_CHARACTERS_MAX,
)
EXPIRED_TIME: Final = text(
    "expired_time",
    f"Not first sent from this on, `{TIME_FORMAT}`, Beijing time; later than now and `valid_time`.",
    length_max=TIME_CHARACTERS_MAX,
    is_required=True,
    example="2030-01-01T00:00:00",
)
RETRY: Final = integer(
    "retry", "How often it may be sent again after a failure.", minimum=0, maximum=RETRY_MAX, default=RETRY_DEFAULT
)
TRIGGER_MSG: Final = integer(
    "trigger_msg",
    "Sum of the uplinks that may release it: 1 register, 2 update, 4 notify.",
    minimum=1,
    maximum=7,
    default=TRIGGER_MSG_DEFAULT,
)

# --- history ---------------------------------------------------------------------------------------------------------

START: Final = text(
    "start",
    f"Created at or after, `{TIME_FORMAT}`, Beijing time.",
    length_max=TIME_CHARACTERS_MAX,
    is_required=True,
    example="2020-01-01T00:00:00",
)
END: Final = text(
    "end", f"Created at or before, `{TIME_FORMAT}`, Beijing time; absent: now.", length_max=TIME_CHARACTERS_MAX
)
SORT: Final = choice("sort", "Order by time.", {"DESC": False, "ASC": True}, default="DESC")
UUID_FILTER: Final = text("uuid", "Only the command with this uuid.", length_max=36)
HISTORY_PAGE: Final = integer(
    "page", "1-based; a page past the end is empty.", minimum=1, maximum=_HISTORY_PAGE_MAX, default=1
)

# --- devices ---------------------------------------------------------------------------------------------------------

PAGE: Final = integer("page", "1-based.", minimum=1, maximum=PAGE_MAX, default=1)
PER_PAGE: Final = integer("per_page", "Items on a page.", minimum=1, maximum=PER_PAGE_MAX, default=PER_PAGE_DEFAULT)
KEY_WORDS: Final = text("key_words", "Beginning of id or title.", length_max=256)
AUTH_INFO: Final = text("auth_info", "Equal to the IMEI, or to the stored auth_info.", length_max=512)
TAG: Final = comma_list("tag", "Has all of these tags.", items_max=64, item_schema={"type": "string"})
ONLINE: Final = boolean("online", "Whether it is online.")
PRIVATE: Final = boolean("private", "Whether it is private.")
DEVICE_ID_LIST: Final = comma_list(
    "device_id", "Only these devices.", items_max=LISTED_IDS_MAX, item_schema={"type": "string"}
)
DEVICE_ID: Final = text(
    "device_id",
    "Id of the device in decimal digits.",
    length_max=ENDPOINT_NAME_CHARACTERS_MAX,
    is_required=True,
    example="1000001",
)
BEGIN_DATE: Final = text("begin", "Created on or after this date, `YYYY-MM-DD`.", length_max=10)
END_DATE: Final = text("end", "Created on or before this date, `YYYY-MM-DD`.", length_max=10)
DEV_IDS: Final = comma_list(
    "devIds",
    f"At most {DEVICE_IDS_MAX} device ids; unknown ones are left out. `imei` is accepted in its place.",
    items_max=None,
    item_schema={"type": "string"},
    is_required=True,
    or_name="imei",
)
IMEI_ALONE: Final = text(
    "imei",
    "IMEI of the device.",
    length_max=ENDPOINT_NAME_CHARACTERS_MAX,
    is_required=True,
    example="860000000000001",
)


def parse_device_id(value: str) -> DeviceId | None:
    """Read a device id; None when the text cannot be one."""
    parsed = parse_integer(value)
    if parsed is None or not 1 <= parsed <= DEVICE_ID_MAX:
        return None
    return DeviceId(parsed)
