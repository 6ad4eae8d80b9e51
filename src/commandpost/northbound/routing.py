"""The table of routes: what is served, by whom, and what a reader should know of it.

Here: the records, and look-up. Not here: what any route does. The one table serves requests, the OpenAPI document and
the page for people.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.northbound.parameter import JsonSchema, Parameter

PathValues = Mapping[str, str]
Handler = Callable[[ApiRequest, PathValues], Awaitable[ApiResponse]]

PATH_CHARACTERS_MAX: Final = 1024  # the longest path served has some 90
NO_PATH_VALUES: Final[PathValues] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBody:
    """What a route takes as its body."""

    schema: JsonSchema
    example: object
    bytes_max: int
    is_required: bool = True
    content_type: str = "application/json"
    """What it is read as, whatever the request calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDocumentation:
    """What is said of a route to its readers."""

    name: str
    """Unique; the OpenAPI operationId."""
    tag: str
    summary: str
    description: str = ""
    parameters: tuple[Parameter[Any], ...] = ()  # Any: each has a type of its own
    body: RequestBody | None = None
    data_schema: JsonSchema | None = None
    """Of `data` in the envelope, None: no data."""
    example: object = None
    """A whole answer."""
    content_type: str = "application/json"
    is_open: bool = False
    """Whether no credential is asked for."""
    status: int = 200
    """Of success."""
    problems: tuple[int, ...] | None = None
    """The other statuses, each with a problem document (RFC 9457); None: the dialect, which has 200 and envelopes."""
    has_envelope: bool = True
    """Whether success comes in an envelope. Where `content_type` is not JSON, failure does all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path; `template` may hold `{name}` segments."""

    method: str
    template: str
    handler: Handler
    documentation: RouteDocumentation

    @property
    def body_bytes_max(self) -> int:
        """What its body may have; 0 when it takes none."""
        return 0 if self.documentation.body is None else self.documentation.body.bytes_max


@dataclass(frozen=True, slots=True)
class _Pattern:
    segments: tuple[str, ...]
    names: tuple[tuple[int, str], ...]
    route: Route

    def match(self, segments: Sequence[str]) -> PathValues | None:
        for mine, theirs in zip(self.segments, segments, strict=True):
            if mine and mine != theirs:
                return None
        return {name: segments[at] for at, name in self.names}


class RouteTable:
    """Finds the route of a request: static paths first, then templates in the order in which they were given."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes)
        self._static: dict[tuple[str, str], Route] = {}
        self._patterns: dict[tuple[str, int], list[_Pattern]] = {}
        for route in self._routes:
            self._add(route)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def _add(self, route: Route) -> None:
        segments = route.template.split("/")
        names = tuple((at, part[1:-1]) for at, part in enumerate(segments) if part.startswith("{"))
        if not names:
            if (route.method, route.template) in self._static:
                raise ValueError(f"{route.method} {route.template} is there twice")
            self._static[route.method, route.template] = route
            return
        fixed = tuple("" if part.startswith("{") else part for part in segments)
        self._patterns.setdefault((route.method, len(segments)), []).append(
            _Pattern(segments=fixed, names=names, route=route)
        )

    def find(self, method: str, path: str, segments: Sequence[str] | None = None) -> tuple[Route, PathValues] | None:
        """Give the route and the values of its template; None when there is none.

        Doubled slashes and a slash at the end are passed over: real clients produce both (northbound reference 1.2).

        Args:
            segments: the parts of the path where one of them holds a slash; no path without templates does.
        """
        if segments is not None:
            return self._match(method, segments) if len(path) <= PATH_CHARACTERS_MAX else None
        route = self._static.get((method, path))
        if route is not None:
            return route, NO_PATH_VALUES
        if len(path) > PATH_CHARACTERS_MAX:
            return None
        parts = ["", *(part for part in path.split("/") if part)]
        route = self._static.get((method, "/".join(parts)))
        return self._match(method, parts) if route is None else (route, NO_PATH_VALUES)

    def _match(self, method: str, segments: Sequence[str]) -> tuple[Route, PathValues] | None:
        for pattern in self._patterns.get((method, len(segments)), ()):
            values = pattern.match(segments)
            if values is not None:
                return pattern.route, values
        return None
