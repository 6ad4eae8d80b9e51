"""JSON bodies of `/v1`: read strictly, and every refusal names the field."""

from http import HTTPStatus
from typing import TypeVar

import msgspec

from commandpost.northbound.messages import CUT_OFF, ApiRequest, BodyFault
from commandpost.northbound.v1.problems import Problem

ValueT = TypeVar("ValueT")


class Fields:
    """The members of one JSON object; `path` is what stands before their names in a refusal."""

    def __init__(self, values: dict[str, object], path: str = "") -> None:
        self._values = values
        self._path = path

    def allow_only(self, *names: str) -> None:
        """Refuse members of other names: a misspelled one would be lost without a word."""
        for name in self._values:
            if name not in names:
                raise self.refusal(name, "is not known", f"{', '.join(names)} are allowed")

    def get(self, name: str, kind: type[ValueT], what: str) -> ValueT:
        """Give a member that has to be there."""
        value = self.find(name, kind, what)
        if value is None:
            raise self.refusal(name, "is missing", f"{what} is required")
        return value

    def find(self, name: str, kind: type[ValueT], what: str) -> ValueT | None:
        """Give a member, None when it is absent or null."""
        value = self._values.get(name)
        if value is None:
            return None
        # To Python true is a 1; to a caller it is not.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.refusal(name, f"is {describe(value)}", f"{what} is allowed")
        return value

    def refusal(self, name: str, found: str, allowed: str) -> Problem:
        """Give the problem of a member."""
        field = f"{self._path}{name}"
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field} {found}: {allowed}", field=field)


def read_object(request: ApiRequest, *, bytes_max: int, is_required: bool = True) -> Fields:
    """Read the body as a JSON object; an optional one may be absent.

    Raises:
        Problem: 408, 413, 503 when the server stops, or 400 when it is no JSON object.
    """
    if request.body_fault is BodyFault.TOO_SLOW:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "body did not come in time", field="body")
    if request.body_fault is BodyFault.CUT_OFF:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, CUT_OFF, field="body")
    if request.body_fault is BodyFault.TOO_LARGE or len(request.body) > bytes_max:
        detail = f"body is too large: at most {bytes_max} bytes are allowed"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, field="body")
    if not request.body.strip() and not is_required:
        return Fields({})
    try:
        value = msgspec.json.decode(request.body)
    except (ValueError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"body is no JSON: {error}", field="body") from None
    if not isinstance(value, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, f"body is {describe(value)}: an object is allowed", field="body")
    return Fields(value)


def describe(value: object) -> str:
    """Say what a JSON value is; texts are not shown, for they may be secrets."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)[:40]
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"
