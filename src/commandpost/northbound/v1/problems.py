"""What went wrong -> HTTP status and problem document: the only such table of `/v1`. Source: RFC 9457, RFC 9110."""

from http import HTTPStatus
from typing import Final

import msgspec

from commandpost.domain.audit import cut
from commandpost.domain.errors import (
    CommandpostError,
    Forbidden,
    Invalid,
    NotFound,
    Overloaded,
    PortError,
    Unauthenticated,
)
from commandpost.domain.push import NotVerified
from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.northbound.openapi import PROBLEM_TYPE
from commandpost.services.rate_limits import TooFrequent

DETAIL_CHARACTERS_MAX: Final = 300  # what a caller sent is told back to it, but never at length
RETRY_AFTER_S: Final = b"1"  # what the writer needs to become idle again, and what a rate is counted by


class Problem(Exception):
    """A request cannot be answered well; `field` is the part of it that is to blame."""

    def __init__(self, status: HTTPStatus, detail: str, *, field: str | None = None) -> None:
        self.status = status
        self.detail = detail
        self.field = field
        super().__init__(f"{status.value}: {detail}")


def refuse(problem: Problem) -> ApiResponse:
    """Answer with a problem document."""
    detail = cut(problem.detail, DETAIL_CHARACTERS_MAX)
    shown: dict[str, object] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": detail,
    }
    if problem.field is not None:
        shown["errors"] = [{"field": cut(problem.field, DETAIL_CHARACTERS_MAX), "detail": detail}]
    response = ApiResponse(
        status=problem.status.value, body=msgspec.json.encode(shown), content_type=PROBLEM_TYPE.encode()
    )
    match problem.status:
        case HTTPStatus.UNAUTHORIZED:
            # RFC 9110 section 11.6.1 wants a challenge; ours has no registered name.
            return response.with_header(b"www-authenticate", b"ApiKey")
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.TOO_MANY_REQUESTS:
            return response.with_header(b"retry-after", RETRY_AFTER_S)
    return response


def is_native(request: ApiRequest) -> bool:
    """Tell whether a path, served or not, is one of this interface."""
    return request.path.lstrip("/").split("/", 1)[0] == "v1"


def refuse_path(request: ApiRequest) -> ApiResponse:
    """Answer a path, or a method on a path, that is not served."""
    return refuse(Problem(HTTPStatus.NOT_FOUND, f"{request.method} {request.path} is not served"))


def problem_of(error: CommandpostError) -> Problem:
    """Say what an error of a service is to a caller of `/v1`."""
    match error:
        case Unauthenticated():
            return Problem(HTTPStatus.UNAUTHORIZED, f"header api-key: {error}", field="api-key")
        case Forbidden():
            return Problem(HTTPStatus.FORBIDDEN, str(error), field="api-key")
        case NotFound():
            return Problem(HTTPStatus.NOT_FOUND, str(error))
        case Invalid():
            found = cut(str(error.found), DETAIL_CHARACTERS_MAX)[:80]
            detail = f"{error.field} is {found!r}: {error.allowed} is allowed"
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=error.field)
        case TooFrequent():
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error))
        case NotVerified():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field="url")
        case Overloaded():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded, try again later")
        case PortError():
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the store is not available")
    return Problem(HTTPStatus.CONFLICT, str(error))
