"""Any bytes as a request: a valid envelope, always."""

import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from commandpost.northbound.messages import ApiRequest, BodyFault
from commandpost.northbound.settings import ErrnoProfile, NorthboundSettings
from tests.fakes.services import IMEI, MASTER_KEY, UUID
from tests.unit.northbound.fakes import STREAM
from tests.unit.northbound.house import House, run

HOUSES = [House(settings=NorthboundSettings(errno_profile=profile)) for profile in ErrnoProfile]
TEMPLATES = [(route.method, route.template) for route in HOUSES[0].api.routes if not route.documentation.is_open]
NAMES = sorted(
    {parameter.name for route in HOUSES[0].api.routes for parameter in route.documentation.parameters} | {"ep_name"}
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("data", "args", "res_id", "val", "type", "title", "protocol", "auth_info", "tags", "other"),
                    *("permissions", "resources", "dev_id", "ds_id", "access_methods", "sn", "mac"),
                    *("datastreams", "datapoints", "id", "at", "value", "unit", "unit_symbol"),
                ]
            )
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
QUERY_VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([IMEI.encode(), b"0", b"1", b"2", b"true", b"2030-01-01T00:00:00", b"1,2,x", b"-1", b"65536"]),
    st.integers().map(lambda number: str(number).encode()),
)
QUERIES = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(NAMES), QUERY_VALUES, max_size=10).map(
        lambda pairs: b"&".join(name.encode() + b"=" + value for name, value in pairs.items())
    ),
    st.dictionaries(st.sampled_from(NAMES), QUERY_VALUES, max_size=10).map(
        lambda pairs: b"imei=" + IMEI.encode() + b"".join(b"&" + n.encode() + b"=" + v for n, v in pairs.items())
    ),
)
HEADERS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=4).flatmap(
    lambda headers: st.sampled_from([headers, [*headers, (b"api-key", MASTER_KEY.encode())]])
)


def check(request: ApiRequest) -> None:
    for house in HOUSES:
        response = run(house.api.handle(request))

        assert response.status in (200, 404)
        envelope = msgspec.json.decode(response.body)
        assert list(envelope) in (["errno", "error"], ["errno", "error", "data"])
        assert isinstance(envelope["errno"], int)
        assert isinstance(envelope["error"], str)
        assert (envelope["errno"] == 0) == (envelope["error"] == "succ")
        assert (response.status == 404) <= (envelope["errno"] == 8)
        assert house.events.told == []  # nothing was our fault


@given(st.text(max_size=10), st.text(max_size=60), st.binary(max_size=60), HEADERS, st.binary(max_size=60))
def test_any_method_and_path(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Even what no server would hand on."""
    if path.strip("/") in ("healthz", "docs", "openapi.json"):
        return
    check(ApiRequest(method=method, path=path, query=query, headers=headers, body=body))


@given(
    st.sampled_from(TEMPLATES),
    st.sampled_from([UUID, "1000001", STREAM, "x", "a/b", "", "\ud800", "%", "9" * 40]),
    QUERIES,
    HEADERS,
    st.one_of(st.binary(max_size=100), JSON_VALUES.map(msgspec.json.encode)),
    st.sampled_from([None, None, None, *BodyFault]),
)
def test_any_query_header_and_body_of_a_route(
    route: tuple[str, str],
    segment: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    body_fault: BodyFault | None,
) -> None:
    """Every route, in both profiles."""
    method, template = route
    path = re.sub(r"{\w+}", lambda _: segment, template)
    check(ApiRequest(method=method, path=path, query=query, headers=headers, body=body, body_fault=body_fault))
