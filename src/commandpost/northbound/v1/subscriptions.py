"""`/v1/subscriptions`: who is told of a product's events. Every call needs the MasterKey, and is about its product.

Source: design 9 (scope: the key's product); northbound reference 8.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from commandpost.domain.device import Product
from commandpost.domain.errors import CommandpostError, NotFound
from commandpost.domain.push import (
    BATCH_COUNT_MAX,
    BATCH_INTERVAL_MAX_MS,
    BATCH_INTERVAL_MIN_MS,
    KINDS_DEFAULT,
    Batch,
    check_kinds,
)
from commandpost.northbound.admission import Admission
from commandpost.northbound.messages import CUT_OFF, ApiRequest, ApiResponse
from commandpost.northbound.parameter import Parameter, parse_id
from commandpost.northbound.push_records import failure_to_json, subscription_to_json
from commandpost.northbound.query import Query, parse_query
from commandpost.northbound.routing import PathValues, Route, RouteDocumentation
from commandpost.northbound.settings import NorthboundSettings
from commandpost.northbound.v1.documentation import (
    BEFORE,
    LIMIT,
    LIMIT_DEFAULT,
    SubscriptionDocuments,
)
from commandpost.northbound.v1.problems import Problem, problem_of, refuse
from commandpost.northbound.v1.request_body import Fields, describe, read_object
from commandpost.services.push.subscriptions import NewSubscription, Subscriptions

BATCH_INTERVAL_DEFAULT_MS: Final = 1_000
KINDS_LISTED_MAX: Final = 16  # there are three; more than a few repeats are a mistake

Work = Callable[[Product, ApiRequest, PathValues], Awaitable[ApiResponse]]


class SubscriptionRoutes:
    """The handlers, and their places in the table of routes."""

    def __init__(self, *, admission: Admission, subscriptions: Subscriptions, settings: NorthboundSettings) -> None:
        self._admission = admission
        self._subscriptions = subscriptions
        self._settings = settings

    def routes(self) -> Sequence[Route]:
        """Give the routes."""
        documents = SubscriptionDocuments(body_bytes_max=self._settings.body_bytes_max)
        one = "/v1/subscriptions/{subscription_id}"
        return (
            self._route("POST", "/v1/subscriptions", self._add, documents.add),
            self._route("GET", "/v1/subscriptions", self._list, documents.list),
            self._route("GET", one, self._show, documents.show),
            self._route("DELETE", one, self._remove, documents.remove),
            self._route("GET", f"{one}/failures", self._failures, documents.failures),
            self._route("POST", f"{one}/replay", self._replay, documents.replay),
        )

    # --- calls -------------------------------------------------------------------------------------------------------

    async def _add(self, product: Product, request: ApiRequest, _values: PathValues) -> ApiResponse:
        added = await self._subscriptions.add(product, self._new(request))
        response = _json(HTTPStatus.CREATED, subscription_to_json(added))
        return response.with_header(b"location", f"/v1/subscriptions/{added.id}".encode())

    async def _list(self, product: Product, _request: ApiRequest, _values: PathValues) -> ApiResponse:
        found = await self._subscriptions.list(product)
        return _json(HTTPStatus.OK, {"subscriptions": [subscription_to_json(each) for each in found]})

    async def _show(self, product: Product, _request: ApiRequest, values: PathValues) -> ApiResponse:
        return _json(HTTPStatus.OK, subscription_to_json(await self._subscriptions.get(product, _id(values))))

    async def _remove(self, product: Product, _request: ApiRequest, values: PathValues) -> ApiResponse:
        await self._subscriptions.remove(product, _id(values))
        return ApiResponse(status=HTTPStatus.NO_CONTENT.value, body=b"")

    async def _failures(self, product: Product, request: ApiRequest, values: PathValues) -> ApiResponse:
        subscription_id = _id(values)
        query = self._query(request)
        limit, before = _find(query, LIMIT) or LIMIT_DEFAULT, _find(query, BEFORE)
        found = await self._subscriptions.failures(product, subscription_id, before_id=before, limit=limit)
        following = str(found[-1].id) if len(found) == limit else None
        return _json(HTTPStatus.OK, {"failures": [failure_to_json(each) for each in found], "before": following})

    async def _replay(self, product: Product, request: ApiRequest, values: PathValues) -> ApiResponse:
        subscription_id = _id(values)
        fields = read_object(request, bytes_max=self._settings.body_bytes_max, is_required=False)
        fields.allow_only("failure_id")
        text = fields.find("failure_id", str, "the id of a failure as a string")
        only_id = None if text is None else parse_id(text)
        if text is not None and only_id is None:
            raise fields.refusal("failure_id", "is no id", "decimal digits are allowed")
        count = await self._subscriptions.replay(product, subscription_id, only_id=only_id)
        return _json(HTTPStatus.OK, {"replayed": count})

    def _new(self, request: ApiRequest) -> NewSubscription:
        fields = read_object(request, bytes_max=self._settings.body_bytes_max)
        fields.allow_only("url", "token", "aes_key", "kinds", "batch")
        numbers = fields.find("kinds", list, "an array of 1, 2 and 7")
        batch = fields.find("batch", dict, "an object")
        return NewSubscription(
            url=fields.get("url", str, "a string"),
            token=fields.get("token", str, "a string"),
            aes_key=fields.find("aes_key", str, "a string"),
            kinds=KINDS_DEFAULT if numbers is None else check_kinds(_numbers(fields, numbers)),
            batch=None if batch is None else _batch(Fields(batch, "batch.")),
        )

    # --- around every call -------------------------------------------------------------------------------------------

    def _route(self, method: str, template: str, work: Work, documentation: RouteDocumentation) -> Route:
        note_failure, name = self._admission.note_failure, f"{method} {template}"

        async def answer(request: ApiRequest, path_values: PathValues) -> ApiResponse:
            try:
                access = await self._admission.admit(request)
                access.require_master()
                return await work(access.product, request, path_values)
            except Problem as problem:
                return refuse(problem)
            except CommandpostError as error:
                note_failure(request, name, error)
                return refuse(problem_of(error))
            except asyncio.CancelledError:  # by nobody but a server that stops, and has waited as long as it may
                return refuse(Problem(HTTPStatus.SERVICE_UNAVAILABLE, CUT_OFF))
            except Exception as error:  # the top of a call: nothing may escape to its caller but a problem
                note_failure(request, name, error)
                return refuse(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the server's log says why"))

        return Route(method=method, template=template, handler=answer, documentation=documentation)

    def _query(self, request: ApiRequest) -> Query:
        settings = self._settings
        return parse_query(
            request.query, bytes_max=settings.query_bytes_max, parameters_max=settings.query_parameters_max
        )


def _batch(fields: Fields) -> Batch:
    fields.allow_only("count", "interval_ms")
    count_range = f"an integer from 1 to {BATCH_COUNT_MAX}"
    interval_range = f"an integer from {BATCH_INTERVAL_MIN_MS} to {BATCH_INTERVAL_MAX_MS}"
    interval_ms = fields.find("interval_ms", int, interval_range)
    return Batch(
        count=fields.get("count", int, count_range),
        interval_ms=BATCH_INTERVAL_DEFAULT_MS if interval_ms is None else interval_ms,
    )


def _numbers(fields: Fields, values: list[object]) -> list[int]:
    if len(values) > KINDS_LISTED_MAX:
        raise fields.refusal("kinds", f"has {len(values)} items", "each of 1, 2 and 7 is allowed once")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise fields.refusal("kinds", f"holds {describe(value)}", "1, 2 and 7 are allowed")
    return [value for value in values if isinstance(value, int)]


def _id(values: PathValues) -> int:
    text = values["subscription_id"]
    number = parse_id(text)
    if number is None:
        raise NotFound("subscription", text)
    return number


def _find(query: Query, parameter: Parameter[int]) -> int | None:
    text = query.find(parameter.name)
    return None if text is None else parameter.parse(parameter.name, text)


def _json(status: HTTPStatus, value: object) -> ApiResponse:
    return ApiResponse(status=status.value, body=msgspec.json.encode(value))
