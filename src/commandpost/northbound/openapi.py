"""The OpenAPI document, drawn from the table of routes.

Source: OpenAPI Specification 3.1.1.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from commandpost import __version__
from commandpost.northbound.parameter import Parameter
from commandpost.northbound.routing import Route, RouteDocumentation

Json = dict[str, object]

JSON_TYPE: Final = "application/json"
PROBLEM_TYPE: Final = "application/problem+json"
PROBLEM_SCHEMA: Final[Json] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

_TITLE: Final = "Commandpost"
ABOUT: Final = (
    "Every call of the OneNET dialect is answered with HTTP 200 and an envelope, "
    '`{"errno":0,"error":"succ","data":…}`: '
    "what became of it is in `errno` and `error`. Names of query parameters and body keys match without regard to "
    "case, and unknown ones are ignored. A body is read as JSON, or where the call says so as bytes, whatever its "
    "Content-Type. Times are Beijing time, unless the server is set to another zone.",
    "`/v1` is no part of the dialect: there the outcome is the HTTP status, a failure is a problem document "
    "(RFC 9457), members of a body match exactly, unknown ones are refused, and times are UTC. It is served where "
    "events are pushed.",
    "What is no call at all has a status of its own, whatever the path: 404 for one that is not served, 400 for what "
    "is not HTTP/1.1, 408 and 431 for a head that comes too slowly or is too large, and 503 where there is no room "
    "for another connection.",
)
"""What holds for many calls, in paragraphs; code stands between backticks."""
_SECURITY: Final = "api-key"
_TOKEN_SECURITY: Final = "authorization"
_PATH_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "uuid": "Id of the command, 36 characters.",
    "device_id": "Id of the device in decimal digits.",
    "datastream_id": "Id of the datastream, percent-encoded where it is more than letters, digits and `_.-`.",
    "index": "Index of the binary, percent-encoded as a datastream's id is.",
    "key": "The key itself, percent-encoded.",
    "subscription_id": "Id of the subscription in decimal digits.",
    "trigger_id": "Id of the trigger in decimal digits.",
    "group_id": "Id of the subscription in decimal digits.",
}
_FAILURE_EXAMPLE: Final = {"errno": 8, "error": "not found: no response"}
_FAILURE: Final = {"$ref": "#/components/schemas/Failure"}
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}


def describe_api(routes: Iterable[Route]) -> Json:
    """Give the whole document."""
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": _TITLE,
            "version": __version__,
            "description": "\n\n".join(("Commands for devices that sleep.", *ABOUT)),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                _SECURITY: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "api-key",
                    "description": "The MasterKey of the product; for calls about a single device also a device-level "
                    "key whose permissions name the device and the verb.",
                },
                _TOKEN_SECURITY: {
                    "type": "apiKey",
                    "in": "header",
                    "name": "authorization",
                    "description": "A token signed with the access key of the product: "
                    "`version=2018-10-31&res=products%2F{id}&et={Unix seconds}&method=sha256&sign={base64}`, each "
                    "value percent-encoded. `sign` is the HMAC by the method (md5, sha1, sha256) of et, method, res "
                    "and version, a line each, under the base64-decoded access key. With `res` "
                    "`products/{id}/devices/{device id or IMEI}` it opens that device alone.",
                },
            },
            "schemas": {"Failure": _failure_schema(), "Problem": PROBLEM_SCHEMA},
        },
    }


def path_names(template: str) -> list[str]:
    """Give the names of a template's variable segments."""
    return [part[1:-1] for part in template.split("/") if part.startswith("{")]


def describe_path_value(name: str) -> str:
    """Say what a variable segment stands for."""
    return _PATH_DESCRIPTIONS[name]


def _operation(route: Route) -> Json:
    documentation = route.documentation
    operation: Json = {
        "operationId": documentation.name,
        "tags": [documentation.tag],
        "summary": documentation.summary,
    }
    if documentation.description:
        operation["description"] = documentation.description
    parameters = [_path_parameter(name) for name in path_names(route.template)]
    parameters += [_query_parameter(parameter) for parameter in documentation.parameters]
    if parameters:
        operation["parameters"] = parameters
    if documentation.body is not None:
        body = documentation.body
        operation["requestBody"] = {
            "required": body.is_required,
            "description": f"At most {body.bytes_max} bytes.",
            "content": {body.content_type: {"schema": body.schema, "example": body.example}},
        }
    operation["responses"] = _responses(documentation)
    operation["security"] = [] if documentation.is_open else [{_SECURITY: []}, {_TOKEN_SECURITY: []}]
    return operation


def _path_parameter(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": describe_path_value(name),
        "schema": {"type": "string"},
    }


def _query_parameter(parameter: Parameter[Any]) -> Json:  # Any: each parameter has a type of its own
    # One that may be given under another name is not required under this one.
    shown: Json = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required and parameter.or_name is None,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        shown["style"] = "form"
        shown["explode"] = False
    if parameter.example is not None:
        shown["example"] = parameter.example
    return shown


def _responses(documentation: RouteDocumentation) -> Json:
    if documentation.problems is None:
        return {"200": _response(documentation)}
    success: Json = {"description": documentation.summary}
    if documentation.data_schema is not None:
        media = {"schema": documentation.data_schema, "example": documentation.example}
        success["content"] = {documentation.content_type: media}
    responses: Json = {str(documentation.status): success}
    for status in documentation.problems:
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_TYPE: {"schema": _PROBLEM}},
        }
    return responses


def _response(documentation: RouteDocumentation) -> Json:
    if not documentation.has_envelope:
        content: Json = {documentation.content_type: {}}
        if not documentation.is_open:
            content[JSON_TYPE] = {"schema": _FAILURE, "example": _FAILURE_EXAMPLE}
        return {"description": documentation.summary, "content": content}
    return {
        "description": "Success, or a failure said in `errno` and `error`.",
        "content": {
            documentation.content_type: {
                "schema": {"oneOf": [_success_schema(documentation), _FAILURE]},
                "example": documentation.example,
            }
        },
    }


def _success_schema(documentation: RouteDocumentation) -> Json:
    properties: Json = {"errno": {"const": 0}, "error": {"const": "succ"}}
    required = ["errno", "error"]
    if documentation.data_schema is not None:
        properties["data"] = documentation.data_schema
        required.append("data")
    return {"type": "object", "required": required, "properties": properties}


def _failure_schema() -> Json:
    return {
        "type": "object",
        "required": ["errno", "error"],
        "properties": {"errno": {"type": "integer", "not": {"const": 0}}, "error": {"type": "string"}},
    }
