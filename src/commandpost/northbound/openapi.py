"""The OpenAPI document, drawn from the table of routes.

Source: OpenAPI Specification 3.1.1.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from commandpost import __version__
from commandpost.northbound.parameter import Parameter
from commandpost.northbound.routing import Route, RouteDocumentation

Json = dict[str, object]

_TITLE: Final = "Commandpost"
_DESCRIPTION: Final = (
    "Commands for devices that sleep, in the OneNET dialect. Every call is answered with HTTP 200 and an envelope; "
    "`errno` 0 is success, everything else is said in `errno` and `error`. Only a path that is not served is answered "
    "with 404. Names of query parameters and body keys match without regard to case, unknown ones are ignored, and a "
    "body is read as JSON whatever its Content-Type. Times are Beijing time."
)
_SECURITY: Final = "api-key"
_PATH_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "uuid": "Id of the command, 36 characters.",
    "device_id": "Id of the device in decimal digits.",
}
_FAILURE: Final = {"$ref": "#/components/schemas/Failure"}


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
            "description": _DESCRIPTION,
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
                    "description": "The MasterKey of the product.",
                }
            },
            "schemas": {"Failure": _failure_schema()},
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
            "content": {"application/json": {"schema": body.schema, "example": body.example}},
        }
    operation["responses"] = {"200": _response(documentation)}
    operation["security"] = [] if documentation.is_open else [{_SECURITY: []}]
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


def _response(documentation: RouteDocumentation) -> Json:
    if not documentation.has_envelope:
        return {"description": documentation.summary, "content": {documentation.content_type: {}}}
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
