"""The routes of device-level keys. Source: northbound reference 9.1."""

from collections.abc import Sequence
from typing import Final

from commandpost.northbound.onenet import keys
from commandpost.northbound.onenet.dialect import CallRoute
from commandpost.northbound.onenet.further_parameters import KEY_DEVICE_ID, KEY_FILTER, KEYS_PER_PAGE
from commandpost.northbound.onenet.keys import KEY_CHANGE_SCHEMA, NEW_KEY_SCHEMA
from commandpost.northbound.onenet.parameters import PAGE
from commandpost.northbound.onenet.route_samples import DEVICE_KEY, KEY_LIST, NEW_KEY
from commandpost.northbound.onenet.routes.shapes import OBJECT, general
from commandpost.northbound.routing import RequestBody
from commandpost.northbound.settings import NorthboundSettings

_TAG: Final = "Keys"


def key_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Keys that open single devices or datastreams, for some verbs."""
    return (
        general(
            "POST",
            "/keys",
            keys.create,
            name="createKey",
            tag=_TAG,
            summary="Make a device-level key",
            body=RequestBody(schema=NEW_KEY_SCHEMA, example=NEW_KEY, bytes_max=settings.body_bytes_max),
            data_schema=OBJECT,
            data={"key": DEVICE_KEY},
        ),
        general(
            "GET",
            "/keys",
            keys.list_keys,
            name="listKeys",
            tag=_TAG,
            summary="List device-level keys",
            parameters=(KEY_FILTER, KEY_DEVICE_ID, PAGE, KEYS_PER_PAGE),
            data_schema=OBJECT,
            data=KEY_LIST,
        ),
        general(
            "PUT",
            "/keys/{key}",
            keys.change,
            name="changeKey",
            tag=_TAG,
            summary="Change what a key opens; permissions replace the old ones, what is not named stays",
            body=RequestBody(schema=KEY_CHANGE_SCHEMA, example={"title": "k2"}, bytes_max=settings.body_bytes_max),
        ),
        general("DELETE", "/keys/{key}", keys.remove, name="removeKey", tag=_TAG, summary="Remove a key, at once"),
    )
