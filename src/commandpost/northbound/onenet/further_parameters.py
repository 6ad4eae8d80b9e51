"""The query parameters of payloads, topics, reported data, keys and self-registration.

Source: northbound reference 3.9, 6, 7, 9.1.
"""

from typing import Final

from commandpost.domain.data_forms import TextForm
from commandpost.domain.errors import Invalid
from commandpost.domain.instant import DAY_MS, SECOND_MS
from commandpost.northbound.onenet.parameters import ENDPOINT_NAME_CHARACTERS_MAX, TIME_CHARACTERS_MAX, TIME_FORMAT
from commandpost.northbound.parameter import Parameter, choice, comma_list, integer, parse_integer, text
from commandpost.services.datapoints import POINTS_MAX
from commandpost.services.product_keys import KEY_CHARACTERS_MAX

WEEK_S: Final = 7 * DAY_MS // SECOND_MS
YEAR_S: Final = 366 * DAY_MS // SECOND_MS  # a span over one year is cut (northbound reference 7)
WAIT_MAX_S: Final = 31 * DAY_MS // SECOND_MS  # 2678400, northbound reference 6.1
LIMIT_MAX: Final = 6_000  # of a history in its older shape, and of points
POINTS_DEFAULT: Final = 100
STREAMS_ASKED_MAX: Final = 1_000  # as many as a device has unless a setting says more
TOPIC_CHARACTERS_MAX: Final = 1_024
TOPIC_DEVICES_MAX: Final = 1_000
KEYS_PER_PAGE_DEFAULT: Final = 10
CURSOR_CHARACTERS_MAX: Final = 64  # three numbers of at most 20 characters
DESCRIPTION_CHARACTERS_MAX: Final = 1_024
DATA_FORMS: Final[tuple[TextForm, ...]] = (1, 3, 4, 5)

# --- payloads --------------------------------------------------------------------------------------------------------

QOS: Final = integer(
    "qos",
    "0: sent at most once. 1: sent again when the device connects, until it has answered or `timeout` is over.",
    minimum=0,
    maximum=1,
    default=0,
)
WAIT: Final = integer(
    "timeout",
    "Seconds it may wait for a device that is not connected; 0: now or never.",
    minimum=0,
    maximum=WAIT_MAX_S,
    default=0,
)
PAYLOAD_KIND: Final = integer(
    "type",
    "EDP: 0 sends CMD_REQ, 1 sends PUSH_DATA, which has no answer, and for which `qos` and `timeout` do not count.",
    minimum=0,
    maximum=1,
    default=0,
)
STATUS: Final = integer(
    "status", "Only those in this status; 0 is never anybody's.", minimum=0, maximum=6
)  # northbound reference 6.2
HISTORY_DURATION: Final = integer(
    "duration", "Seconds from `start` on, at most a week; not together with `end`.", minimum=1, maximum=WEEK_S
)
HISTORY_LIMIT: Final = integer(
    "limit",
    "The older name of `per_page`. More than the 100 of a page are not shown at once: `cursor` leads on.",
    minimum=1,
    maximum=LIMIT_MAX,
)
HISTORY_CURSOR: Final = text(
    "cursor", "Of the answer before, to go on behind it; in place of `page`.", length_max=CURSOR_CHARACTERS_MAX
)

# --- topics ----------------------------------------------------------------------------------------------------------

TOPIC: Final = text(
    "topic", "A topic, without wildcards.", length_max=TOPIC_CHARACTERS_MAX, is_required=True, example="news"
)
TOPIC_FILTER: Final = text(
    "topic",
    "A topic, or filter, as it was subscribed.",
    length_max=TOPIC_CHARACTERS_MAX,
    is_required=True,
    example="news",
)
TOPIC_PER_PAGE: Final = integer(
    "per_page", "Items on a page.", minimum=1, maximum=TOPIC_DEVICES_MAX, default=30
)  # northbound reference 6.6

# --- data ------------------------------------------------------------------------------------------------------------


def _parse_data_form(name: str, value: str) -> TextForm:
    form = parse_integer(value)
    if form not in DATA_FORMS:
        raise Invalid(name, value, "1, 3, 4 or 5")
    return form


DATA_FORM: Final = Parameter(
    name="type",
    parse=_parse_data_form,
    schema={"type": "integer", "enum": list(DATA_FORMS), "default": 1},
    description='3: `{"temp":22.5}`. 4: `{"temp":{"2015-03-22T22:31:12":22.5}}`. 5: text whose first two signs part '
    "fields and records, `,;temp,2015-03-22T22:31:12,22.5;pm2.5,89`.",
)
DATASTREAM_IDS: Final = comma_list(
    "datastream_ids",
    "Only these datastreams; unknown ones are left out.",
    items_max=STREAMS_ASKED_MAX,
    item_schema={"type": "string"},
)
DATASTREAM_ID_LIST: Final = comma_list(
    "datastream_id",
    "Only these datastreams; absent: all.",
    items_max=STREAMS_ASKED_MAX,
    item_schema={"type": "string"},
)
DATA_START: Final = text(
    "start", f"Points of this time or later, `{TIME_FORMAT}`, Beijing time.", length_max=TIME_CHARACTERS_MAX
)
DATA_END: Final = text(
    "end",
    f"Points of this time or earlier, `{TIME_FORMAT}`; passed over without `start`. A span over one year is cut.",
    length_max=TIME_CHARACTERS_MAX,
)
DATA_DURATION: Final = integer(
    "duration", "Seconds from `start` on; without `start`, up to now.", minimum=1, maximum=YEAR_S
)
DATA_LIMIT: Final = integer(
    "limit", "At most so many points of each datastream.", minimum=1, maximum=POINTS_MAX, default=POINTS_DEFAULT
)
DATA_CURSOR: Final = text(
    "cursor",
    "Of the answer before, to go on behind it; everything else has to be asked as before.",
    length_max=CURSOR_CHARACTERS_MAX,
)
DATA_SORT: Final = choice("sort", "Order by time.", {"ASC": True, "DESC": False}, default="ASC")
DATASTREAM_ID: Final = text(
    "datastream_id", "Id of the datastream.", length_max=64, is_required=True, example="picture"
)
DESCRIPTION: Final = text("desc", "What is said of it.", length_max=DESCRIPTION_CHARACTERS_MAX)

# --- keys ------------------------------------------------------------------------------------------------------------

KEY_FILTER: Final = text("key", "Only this key.", length_max=KEY_CHARACTERS_MAX)
KEY_DEVICE_ID: Final = text("device_id", "Only keys that name this device.", length_max=64)
KEYS_PER_PAGE: Final = integer(
    "per_page", "Items on a page.", minimum=1, maximum=100, default=KEYS_PER_PAGE_DEFAULT
)  # northbound reference 9.1
REGISTER_CODE: Final = text(
    "register_code",
    "The register code of the product.",
    length_max=KEY_CHARACTERS_MAX,
    is_required=True,
    example="kXm0Qb7uZt2sV9aLr4Yc6WpE1hNdJf5g",
)

# --- keys of devices -------------------------------------------------------------------------------------------------

IMEI_OR_DID: Final = text(
    "imei",
    "IMEI of the device; exactly one of `imei` and `did` is given. `ep_name` is accepted in its place.",
    length_max=ENDPOINT_NAME_CHARACTERS_MAX,
    example="860000000000001",
)
DID: Final = text("did", "Id of the device, in place of `imei`.", length_max=ENDPOINT_NAME_CHARACTERS_MAX)
