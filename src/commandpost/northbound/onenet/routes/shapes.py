"""How routes of the dialect are declared: by family, each with what a reader should know of it."""

from typing import Any, Final

from commandpost.northbound.onenet.dialect import CallHandler, CallRoute, Subject
from commandpost.northbound.onenet.errno import Family
from commandpost.northbound.openapi import JSON_TYPE
from commandpost.northbound.parameter import JsonSchema, Parameter
from commandpost.northbound.routing import RequestBody, RouteDocumentation

Parameters = tuple[Parameter[Any], ...]  # Any: each parameter has a type of its own

OBJECT: Final[JsonSchema] = {"type": "object"}
ARRAY: Final[JsonSchema] = {"type": "array"}
OCTETS: Final = "application/octet-stream"


def nb(
    method: str,
    template: str,
    handler: CallHandler,
    *,
    name: str,
    tag: str,
    summary: str,
    parameters: Parameters,
    description: str = "",
    body: RequestBody | None = None,
    data_schema: JsonSchema | None = None,
    data: object = None,
    body_holds_parameters: bool = False,
) -> CallRoute:
    """Declare a call of the `/nbiot*` family: each names its device by `imei`."""
    return CallRoute(
        method=method,
        template=template,
        handler=handler,
        family=Family.NB,
        subject=Subject.DEVICE,
        body_holds_parameters=body_holds_parameters,
        documentation=RouteDocumentation(
            name=name,
            tag=tag,
            summary=summary,
            description=description,
            parameters=parameters,
            body=body,
            data_schema=data_schema,
            example=envelope_sample(data),
        ),
    )


def general(
    method: str,
    template: str,
    handler: CallHandler,
    *,
    name: str,
    tag: str,
    summary: str,
    description: str = "",
    parameters: Parameters = (),
    body: RequestBody | None = None,
    data_schema: JsonSchema | None = None,
    data: object = None,
    subject: Subject = Subject.PRODUCT,
    is_of_streams: bool = False,
    is_open: bool = False,
    answers_with_bytes: bool = False,
) -> CallRoute:
    """Declare a call that answers with the general table.

    Args:
        is_open: no credential is asked for.
        answers_with_bytes: success comes without an envelope.
    """
    return CallRoute(
        method=method,
        template=template,
        handler=handler,
        family=Family.GENERAL,
        subject=subject,
        is_of_streams=is_of_streams,
        documentation=RouteDocumentation(
            name=name,
            tag=tag,
            summary=summary,
            description=description,
            parameters=parameters,
            body=body,
            data_schema=data_schema,
            example=None if answers_with_bytes else envelope_sample(data),
            content_type=OCTETS if answers_with_bytes else JSON_TYPE,
            is_open=is_open,
            has_envelope=not answers_with_bytes,
        ),
    )


def raw_body(example: str, *, bytes_max: int) -> RequestBody:
    """Declare a body that is handed on as it is, 1 byte or more."""
    schema = {"type": "string", "format": "binary", "minLength": 1, "maxLength": bytes_max}
    return RequestBody(schema=schema, example=example, bytes_max=bytes_max, content_type=OCTETS)


def envelope_sample(data: object) -> object:
    """Give an answer that holds this; None: an answer without data."""
    answer: dict[str, object] = {"errno": 0, "error": "succ"}
    if data is not None:
        answer["data"] = data
    return answer
