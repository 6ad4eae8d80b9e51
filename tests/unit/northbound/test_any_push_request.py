"""Any bytes as a request about pushes: an envelope or a problem document, always, and nothing that was our fault."""

import re

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.northbound.messages import ApiRequest, BodyFault
from commandpost.northbound.routing import Route
from tests.fakes.services import MASTER_KEY
from tests.unit.northbound.house import run
from tests.unit.northbound.push_house import URL, PushHouse

HOUSE = PushHouse()
HOUSE.add()
HOUSE.envelope("POST", "/triggers", {"title": "t", "ds_id": "t", "url": URL, "type": "change"})
ROUTES = [
    route
    for route in HOUSE.api.routes
    if route.documentation.tag in ("Subscriptions", "Triggers", "Push")
    # Verifying waits; what is said to it has a table of its own.
    and route.documentation.name != "addSubscription"
]
NAMES = ("title", "ds_id", "dev_ids", "ds_uuids", "url", "type", "threshold", "lolmt", "uplmt", "failure_id")
WORDS = st.sampled_from([URL, ">", "inout", "in", "change", "frozen", "live", "exp", "==", "1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=12,
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8) | VALUES
QUERIES = st.dictionaries(
    st.sampled_from(["title", "page", "per_page", "pid", "limit", "before"]), st.binary(max_size=20), max_size=4
).map(lambda pairs: b"&".join(name.encode() + b"=" + value for name, value in pairs.items()))


@settings(max_examples=300)
@given(
    st.sampled_from(ROUTES),
    st.sampled_from(["1", "2", "0", "x", "9" * 40, "-1", "%", "\ud800", "a/b"]),
    QUERIES | st.binary(max_size=60),
    st.binary(max_size=60) | BODIES.map(msgspec.json.encode),
    st.sampled_from([None, None, None, *BodyFault]),
)
def test_every_route_answers_any_request(
    route: Route, segment: str, query: bytes, body: bytes, body_fault: BodyFault | None
) -> None:
    """With one of the statuses its document names."""
    request = ApiRequest(
        method=route.method,
        path=re.sub(r"{\w+}", lambda _: segment, route.template),
        query=query,
        headers=((b"api-key", MASTER_KEY.encode()),),
        body=b"" if body_fault else body,
        body_fault=body_fault,
    )

    response = run(HOUSE.api.handle(request))

    documentation = route.documentation
    if documentation.problems is None:
        envelope = msgspec.json.decode(response.body)
        assert response.status == 200 or "/" in segment
        assert isinstance(envelope["errno"], int)
    elif response.status == documentation.status:
        assert documentation.status == 204 or msgspec.json.decode(response.body) is not None
    else:
        problem = msgspec.json.decode(response.body)
        assert response.status in documentation.problems
        assert response.content_type == b"application/problem+json"
        assert response.status == 404 or problem["errors"][0]["field"]
    assert HOUSE.events.told == []
