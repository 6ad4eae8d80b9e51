"""Queries and the table of routes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commandpost.domain.errors import Invalid
from commandpost.northbound.messages import ApiRequest, ApiResponse
from commandpost.northbound.parameter import parse_integer, parse_number
from commandpost.northbound.query import Query, parse_query
from commandpost.northbound.routing import PathValues, Route, RouteDocumentation, RouteTable


def read(raw: bytes) -> Query:
    return parse_query(raw, bytes_max=1000, parameters_max=8)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", None),
        (b"name", None),
        (b"name=", None),
        (b"name=v", "v"),
        (b"Name=v", "v"),
        (b"name=v&name=w", "v"),
        (b"name=&name=w", None),
        (b"NAME=w&name=v", "v"),
        (b"NAME=w&Name=v", "w"),
        (b"n%61me=%76", "v"),
        (b"name=a+b%2Bc", "a b+c"),
        (b"name=17:30:00", "17:30:00"),
        (b"name=a=b", "a=b"),
        (b"name=%", "%"),
        (b"name=%zz", "%zz"),
        (b"name=%e4%b8%ad", "中"),
        ("name=中".encode(), "中"),
        (b"name=%ef%bf%bd", "\N{REPLACEMENT CHARACTER}"),
        (b"name=v&other=%ff&%ff=w", "v"),
        (b"&&name=v&", "v"),
    ],
)
def test_how_a_value_is_found(raw: bytes, value: str | None) -> None:
    """Exact match first, first duplicate wins, what nobody asks for may be anything, empty is none."""
    assert read(raw).find("name") == value


@pytest.mark.parametrize(
    "raw",
    [
        b"name=a%FFb",
        b"NAME=%ff",
        b"name=\xff",
        b"name=\xff&x=%41",
        b"name=%D6%D0",  # GBK
        b"name=%ED%A0%80",  # a surrogate
        b"name=%C0%AF",  # an overlong slash
    ],
)
def test_a_value_that_is_no_utf_8_is_refused_when_it_is_asked_for(raw: bytes) -> None:
    """Never taken for another text."""
    with pytest.raises(Invalid, match="text in UTF-8") as refusal:
        read(raw).find("name")

    assert refusal.value.field == "name"


def test_a_name_with_capitals_is_found_however_it_is_written() -> None:
    """`devIds` is the only one of the dialect."""
    assert [read(raw).find("devIds") for raw in (b"devIds=1", b"devids=1", b"DEVIDS=1")] == ["1", "1", "1"]


def test_a_fall_back_fills_gaps_only() -> None:
    """The query wins."""
    query = read(b"a=1&B=2")
    query.fall_back_to({"a": "9", "b": "9", "c": "9"})

    assert [query.find(name) for name in ("a", "b", "c", "d")] == ["1", "2", "9", None]


@pytest.mark.parametrize("raw", [b"x" * 1001, b"&" * 8])
def test_a_query_that_is_too_long_or_has_too_many_parameters(raw: bytes) -> None:
    """Before anything of it is decoded."""
    with pytest.raises(Invalid, match="query"):
        read(raw)


@given(st.binary(max_size=200).filter(lambda raw: raw.count(b"&") < 8))
def test_any_octets_are_a_query(raw: bytes) -> None:
    """Nothing else comes of them than a value or a refusal."""
    query = read(raw)
    with suppress(Invalid):
        value = query.find("name")
        assert value is None or value.encode().decode() == value


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("-5", -5), ("+5", 5), ("9" * 19, 10**19 - 1)])
def test_whole_numbers(text: str, number: int) -> None:
    """Decimal digits with an optional sign."""
    assert parse_integer(text) == number


@pytest.mark.parametrize("text", ["", "-", "+", "--1", "1.0", "1e3", " 1", "1 ", "1_0", "0x1", "１", "٣", "9" * 20])
def test_what_is_no_whole_number(text: str) -> None:
    """What int() would take besides is refused."""
    assert parse_integer(text) is None


@pytest.mark.parametrize(("text", "number"), [("1", 1.0), ("-1.5", -1.5), (".5", 0.5), ("1e3", 1000.0), ("+2.", 2.0)])
def test_numbers(text: str, number: float) -> None:
    """Decimal notation."""
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1e999", "1_0", "１", " 1", "e", "1e", "0x1", "1" * 65])
def test_what_is_no_number(text: str) -> None:
    """What float() would take besides is refused."""
    assert parse_number(text) is None


async def answer(_request: ApiRequest, _values: PathValues) -> ApiResponse:  # handlers are awaited
    return ApiResponse(body=b"")


def route(method: str, template: str) -> Route:
    documentation = RouteDocumentation(name=f"{method} {template}", tag="t", summary="s")
    return Route(method=method, template=template, handler=answer, documentation=documentation)


TABLE = RouteTable(
    [
        route("GET", "/things/{id}"),
        route("GET", "/things/{name}"),
        route("GET", "/things/{id}/parts/{part}"),
        route("GET", "/things/all"),
        route("PUT", "/things/{id}"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "template", "values"),
    [
        ("GET", "/things/all", "/things/all", {}),
        ("GET", "//things//all/", "/things/all", {}),
        ("GET", "/things/7", "/things/{id}", {"id": "7"}),
        ("PUT", "/things/all", "/things/{id}", {"id": "all"}),
        ("GET", "/things/7/parts/8", "/things/{id}/parts/{part}", {"id": "7", "part": "8"}),
    ],
)
def test_static_paths_first_then_templates_in_order(
    method: str, path: str, template: str, values: dict[str, str]
) -> None:
    """Whatever order they were given in, `all` is not taken for an id."""
    found = TABLE.find(method, path)

    assert found is not None
    assert (found[0].template, found[1]) == (template, values)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/things"), ("POST", "/things/7"), ("GET", "/things/7/parts"), ("GET", "/other/7")]
)
def test_what_is_not_served(method: str, path: str) -> None:
    """None."""
    assert TABLE.find(method, path) is None


def test_a_route_is_there_once() -> None:
    """A fault of ours, found when the table is built."""
    with pytest.raises(ValueError, match="there twice"):
        RouteTable([route("GET", "/x"), route("GET", "/x")])
