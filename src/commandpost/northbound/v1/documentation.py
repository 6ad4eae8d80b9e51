"""What readers are told of `/v1/subscriptions`: schemas, samples, statuses."""

from typing import Final

from commandpost.domain.ids import ID_MAX
from commandpost.domain.push import (
    AES_KEY_CHARACTERS,
    BATCH_COUNT_MAX,
    BATCH_INTERVAL_MAX_MS,
    BATCH_INTERVAL_MIN_MS,
    SELECTABLE_KINDS,
    TOKEN_CHARACTERS_MAX,
    TOKEN_CHARACTERS_MIN,
    URL_CHARACTERS_MAX,
)
from commandpost.northbound.parameter import JsonSchema, integer
from commandpost.northbound.routing import RequestBody, RouteDocumentation

TAG: Final = "Subscriptions"
LIMIT_DEFAULT: Final = 30
LIMIT: Final = integer("limit", "At most so many.", minimum=1, maximum=100, default=LIMIT_DEFAULT)
BEFORE: Final = integer(
    "before", "Only failures with an id below this; the answer before this one gives it.", minimum=1, maximum=ID_MAX
)

_KINDS: Final = [kind.value for kind in SELECTABLE_KINDS]
_KINDS_SCHEMA: Final[JsonSchema] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "enum": _KINDS},
    "description": "1 datapoints, 2 devices coming and going, 7 cached commands that ended.",
    "default": _KINDS,
}
_BATCH_SCHEMA: Final[JsonSchema] = {
    "type": ["object", "null"],
    "description": "Several messages in one request, as an array: as soon as `count` wait, or the first has waited "
    "`interval_ms`. Absent: one request for each message.",
    "required": ["count"],
    "additionalProperties": False,
    "properties": {
        "count": {"type": "integer", "minimum": 1, "maximum": BATCH_COUNT_MAX},
        "interval_ms": {
            "type": "integer",
            "minimum": BATCH_INTERVAL_MIN_MS,
            "maximum": BATCH_INTERVAL_MAX_MS,
            "default": 1000,
        },
    },
}
_NEW_SCHEMA: Final[JsonSchema] = {
    "type": "object",
    "required": ["url", "token"],
    "additionalProperties": False,
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "maxLength": URL_CHARACTERS_MAX,
            "description": "http or https, without a user, a password or a fragment. It is asked once, by GET with "
            "`msg`, `nonce` and `signature`, and has to answer 200 and `msg` within 5 s.",
        },
        "token": {
            "type": "string",
            "minLength": TOKEN_CHARACTERS_MIN,
            "maxLength": TOKEN_CHARACTERS_MAX,
            "pattern": "^[!-~]+$",
            "description": "Signs every request; kept sealed and never shown again.",
        },
        "aes_key": {
            "type": ["string", "null"],
            "minLength": AES_KEY_CHARACTERS,
            "maxLength": AES_KEY_CHARACTERS,
            "pattern": "^[A-Za-z0-9+/]+$",
            "description": "The EncodingAESKey; given, messages are encrypted. Kept sealed and never shown again.",
        },
        "kinds": _KINDS_SCHEMA,
        "batch": _BATCH_SCHEMA,
    },
}
_SUBSCRIPTION_SCHEMA: Final[JsonSchema] = {
    "type": "object",
    "required": ["id", "url", "kinds", "encrypted", "batch", "created_at"],
    "properties": {
        "id": {"type": "string"},
        "url": {"type": "string"},
        "kinds": _KINDS_SCHEMA,
        "encrypted": {"type": "boolean"},
        "batch": _BATCH_SCHEMA,
        "created_at": {"type": "string"},
    },
}
_SUBSCRIPTION: Final = {
    "id": "1",
    "url": "https://example.com/onenet",
    "kinds": [1, 2, 7],
    "encrypted": False,
    "batch": None,
    "created_at": "2020-12-02T01:02:24.185Z",
}
_FAILURE: Final = {
    "id": "12",
    "device_id": "1000001",
    "kind": 7,
    "at": "2020-12-02T01:02:24.185Z",
    "command_id": "42742677-adc3-54ca-83a1-5aaaf71482f8",
    "online": None,
    "stream_id": None,
    "failures": 297,
    "failing_since": "2020-12-02T01:02:25.185Z",
    "given_up_at": "2020-12-03T01:04:11.185Z",
    "reason": "http 500",
}


class SubscriptionDocuments:
    """One for each route."""

    def __init__(self, *, body_bytes_max: int) -> None:
        self.add = RouteDocumentation(
            name="addSubscription",
            tag=TAG,
            summary="Push the events of the product to a server",
            description="Events that happen from now on are told at least once, in order per device. Addresses inside "
            "private networks are refused unless the server's setting `push.allow_private` lets them in.",
            body=RequestBody(
                schema=_NEW_SCHEMA,
                example={"url": "https://example.com/onenet", "token": "demoToken01", "kinds": [1, 2, 7]},
                bytes_max=body_bytes_max,
            ),
            data_schema=_SUBSCRIPTION_SCHEMA,
            example=_SUBSCRIPTION,
            status=201,
            problems=(400, 401, 403, 408, 413, 422, 429, 503),
        )
        self.list = _document(
            "listSubscriptions",
            "List the subscriptions of the product",
            {"type": "object", "properties": {"subscriptions": {"type": "array", "items": _SUBSCRIPTION_SCHEMA}}},
            {"subscriptions": [_SUBSCRIPTION]},
        )
        self.show = _document("showSubscription", "Show a subscription", _SUBSCRIPTION_SCHEMA, _SUBSCRIPTION)
        self.remove = RouteDocumentation(
            name="removeSubscription",
            tag=TAG,
            summary="Remove a subscription, and what waits for it",
            status=204,
            problems=(401, 403, 404, 429, 503),
        )
        self.failures = RouteDocumentation(
            name="listFailures",
            tag=TAG,
            summary="List the events that were given up, newest first",
            description="After 24 hours or 2000 failures an event is put here and its device's order goes on. "
            "`before` in the answer is null when no more follows.",
            parameters=(LIMIT, BEFORE),
            data_schema={"type": "object", "required": ["failures", "before"]},
            example={"failures": [_FAILURE], "before": None},
            problems=(401, 403, 404, 422, 429, 503),
        )
        self.replay = RouteDocumentation(
            name="replayFailures",
            tag=TAG,
            summary="Tell what was given up again",
            description="All of the list, or the one named; behind what waits for each device.",
            body=RequestBody(
                schema={
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"failure_id": {"type": ["string", "null"], "pattern": "^[0-9]{1,19}$"}},
                },
                example={},
                bytes_max=body_bytes_max,
                is_required=False,
            ),
            data_schema={
                "type": "object",
                "required": ["replayed"],
                "properties": {"replayed": {"type": "integer", "minimum": 0}},
            },
            example={"replayed": 3},
            problems=(400, 401, 403, 404, 408, 413, 422, 429, 503),
        )


def _document(name: str, summary: str, schema: JsonSchema, example: object) -> RouteDocumentation:
    return RouteDocumentation(
        name=name, tag=TAG, summary=summary, data_schema=schema, example=example, problems=(401, 403, 404, 429, 503)
    )
