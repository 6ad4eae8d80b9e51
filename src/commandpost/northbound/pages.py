"""What is served without a credential: whether the process answers, and the documentation of everything else.

Not here: the content of the documents (`openapi`, `reference_page`). They are made once, when first asked for.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache

import msgspec

from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.northbound.openapi import describe_api
from commandpost.northbound.reference_page import Table, render_page
from commandpost.northbound.routing import PathValues, Route, RouteDocumentation
from commandpost.northbound.security_headers import HEADERS_OF_PAGES

_TAG = "Service"


def page_routes(documented: Sequence[Route], errors: Table) -> Sequence[Route]:
    """Give the routes that need no credential; `documented` and `errors` are what they describe."""

    @cache
    def openapi() -> ApiResponse:
        return ApiResponse(body=msgspec.json.encode(describe_api([*documented, *routes])))

    @cache
    def docs() -> ApiResponse:
        page = render_page([*documented, *routes], errors)
        return ApiResponse(body=page.encode(), content_type=b"text/html; charset=utf-8", headers=HEADERS_OF_PAGES)

    health = ApiResponse(body=b'{"status":"ok"}')
    routes = (
        _page("/healthz", lambda: health, name="health", summary="Say that the process answers"),
        _page("/openapi.json", openapi, name="openapi", summary="This interface as an OpenAPI document"),
        _page("/docs", docs, name="docs", summary="This interface as a page", content_type="text/html"),
    )
    return routes


def _page(
    path: str,
    give: Callable[[], ApiResponse],
    *,
    name: str,
    summary: str,
    content_type: str = "application/json",
) -> Route:
    def answer(_request: ApiRequest, _path_values: PathValues) -> Awaitable[ApiResponse]:
        return _given(give)

    return Route(
        method="GET",
        template=path,
        handler=answer,
        documentation=RouteDocumentation(
            name=name,
            tag=_TAG,
            summary=summary,
            content_type=content_type,
            is_open=True,
            has_envelope=False,
        ),
    )


async def _given(give: Callable[[], ApiResponse]) -> ApiResponse:
    return give()
