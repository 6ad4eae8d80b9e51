"""The table of the dialect: every call with its path, checks and documentation.

Order matters where templates could overlap; static paths always win (northbound reference 12). What the reference calls
[choice] and this page settles: `/devices/nbiot` and `/nbiot/write/offline` are aliases (design 10.10).
"""

from collections.abc import Sequence

from commandpost.northbound.onenet.dialect import CallRoute
from commandpost.northbound.onenet.operations import EXECUTE_BODY_SCHEMA
from commandpost.northbound.onenet.route_samples import WRITE_BODY
from commandpost.northbound.onenet.routes.data import data_routes
from commandpost.northbound.onenet.routes.devices import device_routes
from commandpost.northbound.onenet.routes.keys import key_routes
from commandpost.northbound.onenet.routes.nbiot import cached_routes, history_routes, instant_routes, psk_routes
from commandpost.northbound.onenet.routes.payloads import payload_routes, topic_routes
from commandpost.northbound.onenet.routes.triggers import push_status_routes, trigger_routes
from commandpost.northbound.onenet.write_items import WRITE_BODY_SCHEMA
from commandpost.northbound.routing import RequestBody
from commandpost.northbound.settings import NorthboundSettings

__all__ = ["call_routes", "push_routes"]


def call_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Give every call of the dialect, in the order in which they are matched."""
    write_body = RequestBody(schema=WRITE_BODY_SCHEMA, example=WRITE_BODY, bytes_max=settings.command_body_bytes_max)
    execute_body = RequestBody(
        schema=EXECUTE_BODY_SCHEMA,
        example={"args": "ping"},
        bytes_max=settings.command_body_bytes_max,
        is_required=False,
    )
    return (
        *instant_routes(write_body, execute_body),
        *cached_routes(write_body, execute_body),
        *history_routes(),
        *psk_routes(settings),
        *payload_routes(),
        *topic_routes(),
        *device_routes(settings),
        *data_routes(settings),
        *key_routes(settings),
    )


def push_routes(settings: NorthboundSettings) -> Sequence[CallRoute]:
    """Give the calls that are served only where events are pushed."""
    return (*trigger_routes(settings), *push_status_routes())
